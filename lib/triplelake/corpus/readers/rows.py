"""Lines for the csv module that can be given back: what a row took by mistake is read again, line by line."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import BinaryIO

from triplelake.corpus.encodings import CODECS
from triplelake.corpus.readers.raw import MAX_RECORD_BYTES, TOO_LONG, Unreadable, decode, read_lines
from triplelake.corpus.splits import Split

_LINE = re.compile(r"[^\r\n]*(?:\r\n|[\r\n])|[^\r\n]+")
_UNDECODED = re.compile("[\ud800-\udfff]")
_PACKED = 4096  # lines are held as one text from here on: millions of short ones would cost much memory
_AGAIN = 100
"""Lines at most of a row that begins where lines are read again: else a file made for it costs their square."""


class Lines:
    """The decoded lines of a file, counted, and held as long as the row that takes them is not accepted.

    A line that is no text stands for itself with lone surrogates, and its reason is remembered: only the end of its
    row is to be found.

    Attributes:
        number: of the line given last, from 1.
        known: the last line that was given back.
    """

    def __init__(self, stream: BinaryIO, split: Split) -> None:
        self.number = 0
        self.known = 0
        self._start = 1
        self._decoded = self._read(stream, split)
        self._again: list[Iterator[str]] = []  # what was given back, the nearest last
        self._packs: list[str] = []
        self._held: list[str] = []
        self._size = 0
        self._wrong: dict[int, str] = {}
        self._failure: Unreadable | None = None

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._size > MAX_RECORD_BYTES:
            raise csv.Error(TOO_LONG)
        if self._start <= self.known and self.number - self._start + 1 >= _AGAIN:
            raise csv.Error("a quotation mark does not close")
        line = self._take()
        self.number += 1
        self._size += len(line)
        self._held.append(line)
        if len(self._held) == _PACKED:
            self._packs.append("".join(self._held))
            self._held.clear()
        return line

    def begin(self) -> int:
        """The next line begins a row; its number."""
        self._packs.clear()
        self._held.clear()
        self._size = 0
        if self._wrong and self.number >= self.known:
            self._wrong.clear()
        self._start = self.number + 1
        return self._start

    def wrong(self) -> str | None:
        """Why a line of the row is no text, if so: of the first such line."""
        numbers = [number for number in self._wrong if self._start <= number <= self.number]
        return self._wrong[min(numbers)] if numbers else None

    def after_first(self) -> Iterator[str]:
        """The lines of the row without its first."""
        found = _LINE.finditer("".join((*self._packs, *self._held)))
        next(found, None)
        return (match.group() for match in found)

    def give_back(self) -> None:
        """All lines of the row but the first come again."""
        self._again.append(self.after_first())
        self.known = max(self.known, self.number)
        self.number = self._start

    def unread(self, line: str) -> None:
        """The line that was given last comes again, as if for the first time."""
        self._again.append(iter((line,)))
        self.number -= 1

    def end(self) -> None:
        """Raises Unreadable if the lines ended because the file could not be read further."""
        if self._failure is not None:
            raise self._failure

    def _take(self) -> str:
        while self._again:
            if (line := next(self._again[-1], None)) is not None:
                return line
            self._again.pop()
        return next(self._decoded)

    def _read(self, stream: BinaryIO, split: Split) -> Iterator[str]:
        codec = CODECS[split.encoding]
        count = 0
        try:
            for line in read_lines(stream, split):
                text, reason = "\n", TOO_LONG
                if line.raw is not None:
                    try:
                        text, reason = decode(line.raw, line.offset, codec), ""
                    except Unreadable as why:
                        text, reason = codec.guess(line.raw), why.reason
                # A lone CR ends a line too in some old files. Not splitlines: it cuts at U+2028 as well.
                for part in _LINE.findall(text):
                    count += 1
                    if reason and (line.raw is None or _UNDECODED.search(part)):
                        self._wrong[count] = reason
                    yield part
        except Unreadable as why:
            # Told at the end: what a row took before it can still be read again.
            self._failure = why
