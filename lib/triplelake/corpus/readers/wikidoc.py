"""Many articles in a file, `<doc …>` around each: a split owns those that begin in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from triplelake.corpus.encodings import CODECS, Codec
from triplelake.corpus.files import compression_of, open_file
from triplelake.corpus.readers.lines import TEXT
from triplelake.corpus.readers.raw import (
    MAX_RECORD_BYTES,
    TOO_LONG,
    Line,
    RawRecord,
    Unreadable,
    decode,
    place_of_lines,
    read_lines,
)
from triplelake.corpus.readers.reader import Reader
from triplelake.corpus.splits import Split
from triplelake.corpus.wikidoc import END, ID, TITLE, attributes, decoded, holds_articles, without_title
from triplelake.types import Rejected


@dataclass
class _Open:
    """An article, or lines outside of any, that is not at its end.

    Args:
        offset: of its first line.
        first, last: its lines, from 1 at the split's first.
        named: the attributes; None outside of an article.
        wrong: why it cannot be read.
    """

    offset: int
    first: int
    last: int
    named: dict[str, str] | None
    parts: list[str] = field(default_factory=list)
    size: int = 0
    wrong: str | None = None

    def add(self, text: str, number: int, wrong: str | None) -> None:
        self.last = number
        self.size += len(text)
        self.wrong = self.wrong or wrong or (TOO_LONG if self.size > MAX_RECORD_BYTES else None)
        if self.wrong or self.named is None:
            self.parts.clear()  # nothing of it is read
        else:
            self.parts.append(text)

    def fields(self) -> dict[str, object]:
        named = self.named or {}
        return {**named, TEXT: without_title(decoded("".join(self.parts)), named.get(TITLE))}


def read_wikidoc(stream: BinaryIO, split: Split) -> Iterator[RawRecord | Rejected]:
    """The articles that begin in the split; the columns are their attributes and `text`.

    Places are `byte N`, in any split. An article that does not end before the next one begins is rejected, and so are
    lines outside of articles; their lines are named.
    """
    codec = CODECS[split.encoding]
    told = _Told(split)
    now: _Open | None = None
    ours = split.start == 0  # else the lines up to the first article are those of the split before
    number = 0
    try:
        for number, line in enumerate(read_lines(stream, replace(split, end=None)), 1):
            text, wrong = _text(line, codec)
            begins = attributes(text)
            if begins is not None:
                if now is not None:
                    yield told.rejected(now)
                now = None
                if split.end is not None and line.offset >= split.end:
                    return
                ours = True
                now = _Open(line.offset, number, number, begins[0])
                text = begins[1]
            elif not ours or ((now is None or now.named is None) and text.isspace() and not wrong):
                continue
            now = now or _Open(line.offset, number, number, None)
            ends = now.named is not None and text.rstrip().endswith(END)
            now.add(text.rstrip().removesuffix(END) if ends else text, number, wrong)
            if ends:
                yield told.rejected(now) if now.wrong else RawRecord(f"byte {now.offset}", now.fields())
                now = None
    except Unreadable:
        if now is not None:
            yield told.rejected(now)
        raise
    if now is not None:
        yield told.rejected(now)


class _Told:
    """What cannot be read, with its lines counted from the start of the file."""

    def __init__(self, split: Split) -> None:
        self._split = split
        self._before: int | None = None if split.start else 0

    def rejected(self, what: _Open) -> Rejected:
        if self._before is None:
            # Counted only where there is something to tell: it reads the file up to here.
            with open_file(self._split.path, compression_of(self._split.path)) as stream:
                before = replace(self._split, start=0, end=self._split.start)
                self._before = sum(1 for _ in read_lines(stream, before))
        first, last = self._before + what.first, self._before + what.last
        reason = what.wrong or (f"has no {END}" if what.named is not None else "stands outside of <doc …> and </doc>")
        return Rejected(self._split.path, place_of_lines(first, last), reason, last - first + 1)


def _text(line: Line, codec: Codec) -> tuple[str, str | None]:
    """The text of a line, and why it is none, if so: then as much of it as shows where articles begin and end."""
    if line.raw is None:
        return "", TOO_LONG
    try:
        return decode(line.raw, line.offset, codec), None
    except Unreadable as why:
        return codec.guess(line.raw), why.reason


WIKIDOC = Reader(
    "wikidoc",
    read_wikidoc,
    splittable=True,
    id=ID,
    title=TITLE,
    recognises=holds_articles,
    note="each <doc …> one document",
)
