"""CSV, for spreadsheets or for programs."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO

import pyarrow as pa

from triplelake.export.form import File, Lines, Part, Row, plain

_MARK = "'"
_BYTE_ORDER_MARK = "\ufeff"

# Spreadsheets take such a cell for a formula, some also in full width. A cell that begins with the mark itself is
# marked too, so that taking one away gives every text back.
_FORMULA = re.compile(r"'*[=+\-@＝＋－＠\t\r\n]")


@dataclass(frozen=True, slots=True)
class Csv:
    """CSV in UTF-8.

    Args:
        spreadsheet: with a byte order mark, by which Excel knows the encoding, and an apostrophe before a text that
            a spreadsheet would compute; without it, every cell is what the table holds.
    """

    spreadsheet: bool = True

    def files(self, columns: pa.Schema) -> tuple[File, ...]:
        head = (_BYTE_ORDER_MARK if self.spreadsheet else "") + rows_of_cells([columns.names])
        return (File("", (Part("rows", self.lines),), head),)

    def lines(self, rows: Sequence[Row]) -> Lines:
        marked = 0
        table = []
        for row in rows:
            cells = [plain(value) for value in row.values()]
            if self.spreadsheet:
                kept, cells = cells, [without_formula(cell) for cell in cells]
                marked += sum(before is not after for before, after in zip(kept, cells, strict=True))
            table.append(cells)
        return Lines(rows_of_cells(table), len(rows), marked)

    def note(self, marks: int) -> str:
        if not marks:
            return ""
        return (
            f"{marks:,} cells begin like a formula and have an apostrophe in front, so that a spreadsheet shows them "
            "as text; --plain leaves it out"
        )


def without_formula(cell: object) -> object:
    """A cell that no spreadsheet takes for a formula; numbers as they are."""
    return _MARK + cell if isinstance(cell, str) and _FORMULA.match(cell) else cell


def as_text(cell: str) -> str:
    """What `without_formula` was given."""
    return cell.removeprefix(_MARK) if _FORMULA.match(cell) else cell


def rows_of_cells(rows: Sequence[Sequence[object]]) -> str:
    """Rows as RFC 4180 has them; None is an empty cell."""
    text = StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()
