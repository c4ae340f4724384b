"""CSV and TSV, the first row naming the columns."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from itertools import chain
from typing import BinaryIO

from triplelake.corpus.encodings import CODECS
from triplelake.corpus.readers.raw import MAX_RECORD_BYTES, TOO_LONG, RawRecord, Unreadable, decode, read_lines
from triplelake.corpus.splits import Split
from triplelake.types import Rejected


class _CsvDialect(csv.excel):
    strict = True  # a field whose quotes do not close properly is refused, not guessed

    def __init__(self, header: str) -> None:
        self.delimiter = separator(header)
        super().__init__()


class _TsvDialect(csv.Dialect):
    # As the registered text/tab-separated-values: no quoting. A text that begins with a quotation
    # mark, common in prose, would otherwise swallow the rows that follow it.
    delimiter = "\t"
    quoting = csv.QUOTE_NONE
    lineterminator = "\n"


def separator(header: str) -> str:
    """What stands between the fields of CSV, by its first line; where the comma is the decimal sign, semicolons."""
    return "," if "," in header else max(",;\t", key=header.count)


def read_csv(stream: BinaryIO, split: Split) -> Iterator[RawRecord | Rejected]:
    """Rows with quoted fields as RFC 4180 has them. Places are `line N`, where the row starts."""
    return _read(stream, split, _CsvDialect)


def read_tsv(stream: BinaryIO, split: Split) -> Iterator[RawRecord | Rejected]:
    """Rows cut at tabs, quotation marks being plain text."""
    return _read(stream, split, lambda header: _TsvDialect())


def _read(stream: BinaryIO, split: Split, dialect: Callable[[str], csv.Dialect]) -> Iterator[RawRecord | Rejected]:
    csv.field_size_limit(MAX_RECORD_BYTES)
    lines = _TextLines(stream, split)
    first = next(iter(lines), "")
    rows = csv.reader(chain((first,), lines), dialect(first))
    header: list[str] | None = None
    while True:
        place = f"line {rows.line_num + 1}"
        try:
            row = next(rows, None)
            lines.check()
        except csv.Error as error:
            lines.forget()
            yield Rejected(split.path, place, f"is not a row: {error}")
            continue
        except Unreadable as why:
            if why.place:  # the stream itself failed
                raise
            yield Rejected(split.path, place, why.reason)
            continue
        if row is None:
            return
        if header is None:
            header = row or None
        elif len(row) == len(header):
            yield RawRecord(place, dict(zip(header, row, strict=True)))
        elif row:
            yield Rejected(split.path, place, f"has {len(row)} fields where the header has {len(header)}")


class _TextLines:
    """Lines as the csv module wants them, remembering what was wrong with those it took last."""

    def __init__(self, stream: BinaryIO, split: Split) -> None:
        self._lines = self._decoded(stream, split)
        self._wrong: str | None = None

    def __iter__(self) -> Iterator[str]:
        return self._lines

    def check(self) -> None:
        """Raises Unreadable if a line taken since the last check was not text."""
        wrong, self._wrong = self._wrong, None
        if wrong is not None:
            raise Unreadable(wrong)

    def forget(self) -> None:
        self._wrong = None

    def _decoded(self, stream: BinaryIO, split: Split) -> Iterator[str]:
        codec = CODECS[split.encoding]
        for line in read_lines(stream, split):
            if line.raw is None:
                self._wrong = TOO_LONG
                yield "\n"
                continue
            try:
                text = decode(line.raw, line.offset, codec)
            except Unreadable as why:
                self._wrong = self._wrong or why.reason
                # Only to find where the row ends: a row with such a line is refused.
                text = codec.guess(line.raw)
            # A lone CR ends a line too in some old files. Not splitlines: it cuts at U+2028 as well.
            yield from _cut_at_cr(text)


def _cut_at_cr(text: str) -> Iterator[str]:
    body, end = (text[:-2], "\r\n") if text.endswith("\r\n") else (text, "")
    *first, last = body.split("\r")
    for part in first:
        yield part + "\r"
    if last or end:
        yield last + end
