"""CSV, for spreadsheets or for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from triplelake.export.form import File, FormKind, Lines, Part, Row, plain
from triplelake.spreadsheets import rows_of_cells, without_formula

_BYTE_ORDER_MARK = "\ufeff"


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


CSV = FormKind("csv", ".csv", lambda options: Csv(spreadsheet=not options.plain))
