"""CSV and TSV, the first row naming the columns.

A quotation mark that stands where none is meant would take all lines up to the next one, or to the end, into one
row. So a row of several lines that is none is read again line by line: its first line is lost, and told, and the
lines after it give what rows they hold.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import BinaryIO

from triplelake.corpus.copies import numbered
from triplelake.corpus.readers.raw import MAX_RECORD_BYTES, RawRecord, place_of_lines
from triplelake.corpus.readers.reader import Reader
from triplelake.corpus.readers.rows import Lines
from triplelake.corpus.splits import Split
from triplelake.types import Rejected

_SEP = re.compile(r'"?sep=(.)"?[\r\n]*', re.IGNORECASE)
_UNSEEN = " \t\u3000\ufeff\u200b"  # around a name: no eye sees them, and no option would name them
_KEY = re.compile(r"(?=\D*\d)[!-~]{1,40}", re.ASCII)
_DIGITS = re.compile(r"\d+", re.ASCII)
_MANY = 4  # lines of a row from which it is asked whether they are rows themselves
_SURE = 3  # rows whose first cells are alike, before a line that is not is no row


class _CsvDialect(csv.excel):
    strict = True  # a field whose quotes do not close properly is refused, not guessed

    def __init__(self, delimiter: str) -> None:
        self.delimiter = delimiter
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


def declared_separator(line: str) -> str | None:
    """The separator that a line `sep=;` names, as spreadsheets write it above the header; None if it is another."""
    found = _SEP.fullmatch(line)
    return found[1] if found else None


def column_names(header: list[str]) -> list[str]:
    """The names of a header, each once: of a name that stands twice, `name#1` and `name#2`; `column 3` without one."""
    return numbered([name.strip(_UNSEEN) or f"column {number}" for number, name in enumerate(header, 1)])


def read_csv(stream: BinaryIO, split: Split) -> Iterator[RawRecord | Rejected]:
    """Rows with quoted fields as RFC 4180 has them. Places are `line N`, where the row starts, or `lines N to M`."""
    csv.field_size_limit(MAX_RECORD_BYTES)
    lines = Lines(stream, split)
    first = next(lines, "")
    named = declared_separator(first)
    if first and named is None:
        lines.unread(first)
    return _Reading(split, lines, lambda: _CsvDialect(named or separator(first))).records()


def read_tsv(stream: BinaryIO, split: Split) -> Iterator[RawRecord | Rejected]:
    """Rows cut at tabs, quotation marks being plain text."""
    csv.field_size_limit(MAX_RECORD_BYTES)
    return _Reading(split, Lines(stream, split), _TsvDialect).records()


class _Reading:
    """One file on its way from lines to records."""

    def __init__(self, split: Split, lines: Lines, dialect: Callable[[], csv.Dialect]) -> None:
        self._split = split
        self._lines = lines
        self._dialect = dialect()
        self._key: str | None = None  # what all first cells so far are like
        self._alike = 0
        self._lost: tuple[int, int, str] | None = None  # lines that are read again and give no row: from, to, why

    def records(self) -> Iterator[RawRecord | Rejected]:
        """The records, in file order.

        Raises:
            Unreadable: the file could not be read to its end.
        """
        rows = csv.reader(self._lines, self._dialect)
        header: list[str] | None = None
        while True:
            start = self._lines.begin()
            row, fault = self._next(rows)
            if row is None:
                break
            wrong = self._lines.wrong()
            if start > self._lines.known:
                yield from self._told()
            if header is None:
                if wrong or fault:
                    reason = f"cannot be read as a header: {wrong or fault}"
                    yield replace(self._rejected(start, self._lines.number, reason), cut=True)
                    return
                header = column_names(row) if row else None
                continue
            fault = fault or self._fault(row, start, len(header))
            if fault is not None:
                yield from self._refuse(start, wrong or fault)
            elif wrong:  # of a row that is whole but for some bytes no line is a row
                yield from self._told()
                yield self._rejected(start, self._lines.number, wrong)
            elif row:
                yield from self._told()
                self._learn(row[0])
                yield RawRecord(f"line {start}", dict(zip(header, row, strict=True)))
        yield from self._told()
        self._lines.end()

    def _next(self, rows: Iterator[list[str]]) -> tuple[list[str] | None, str | None]:
        try:
            row = next(rows, None)
        except csv.Error as error:
            return [], f"is not a row: {error}"
        return row, None

    def _fault(self, row: list[str], start: int, width: int) -> str | None:
        if not row:
            return None
        if len(row) != width:
            return f"has {len(row)} fields where the header has {width}"
        if start <= self._lines.known and self._alike >= _SURE and self._key and _shape(row[0]) != self._key:
            return "is no row like those before it"
        if self._lines.number - start + 1 >= _MANY and self._swallows(row[0], width):
            return "its quotation mark closes lines later, and those lines are rows"
        return None

    def _refuse(self, start: int, reason: str) -> Iterator[Rejected]:
        last = self._lines.number
        if last > start:
            reason = f"{reason}; lines {start} to {last} were read as one row, then one by one"
            self._lines.give_back()
        if start > self._lines.known:
            yield self._rejected(start, start, reason)
        else:
            first, _, why = self._lost or (start, start, reason)
            self._lost = first, start, why

    def _told(self) -> Iterator[Rejected]:
        if self._lost is not None:
            yield self._rejected(*self._lost)
            self._lost = None

    def _rejected(self, first: int, last: int, reason: str) -> Rejected:
        return Rejected(self._split.path, place_of_lines(first, last), reason, last - first + 1)

    def _learn(self, cell: str) -> None:
        shape = _shape(cell)
        if not self._alike:
            self._key = shape
        elif shape != self._key:
            self._key = None
        self._alike += 1

    def _swallows(self, own: str, width: int) -> bool:
        """Whether all lines of the row after its first are rows that go on with its key.

        Verse with a comma in each line is a cell, and so is a list that is numbered from 1.
        """
        shape = _shape(own)
        before = own
        if shape is None:
            return False
        for line in self._lines.after_first():
            try:
                row = next(csv.reader((line,), self._dialect), [])
            except csv.Error:
                return False
            if len(row) != width or _shape(row[0]) != shape or not _follows(before, row[0]):
                return False
            before = row[0]
        return True


def _shape(cell: str) -> str | None:
    """What a key is like, its numbers left out: `a-9` of `a-17`; None of prose."""
    return _DIGITS.sub("9", cell) if _KEY.fullmatch(cell) else None


def _follows(before: str, after: str) -> bool:
    return not (before.isdigit() and after.isdigit()) or int(before[:40]) < int(after[:40])


CSV = Reader("csv", read_csv, endings=(".csv",), records="row")
TSV = Reader("tsv", read_tsv, endings=(".tsv",), records="row")
