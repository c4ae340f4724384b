"""Cells of CSV that a spreadsheet shows and does not compute, and what was written back from them."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from io import StringIO

_MARK = "'"

# Spreadsheets take such a cell for a formula, some also in full width. A cell that begins with the mark itself is
# marked too, so that taking one away gives every text back.
_FORMULA = re.compile(r"'*[=+\-@＝＋－＠\t\r\n]")


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
