"""Cells that a spreadsheet would compute are shown as text, and read back as they were."""

from __future__ import annotations

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triplelake.spreadsheets import as_text, rows_of_cells, without_formula


@given(st.text(alphabet=st.sampled_from("'=+-@a \t\r\n临"), max_size=6))
def test_one_apostrophe_less_gives_every_text_back(text: str) -> None:
    cell = without_formula(text)
    assert isinstance(cell, str)
    assert not re.match(r"[=+\-@\t\r\n]", cell)
    assert re.sub(r"^'(?='*[=+\-@\t\r\n])", "", cell) == text


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=2)))
def test_csv_gives_every_text_back(rows: list[list[str]]) -> None:
    assert list(csv.reader(io.StringIO(rows_of_cells(rows), newline=""), strict=True)) == rows


@pytest.mark.parametrize("cell", ["=1+1", "-3", "'=1", "＝甲", "'tis", "plain", "", "''"])
def test_a_cell_is_read_as_it_was_before_a_spreadsheet_saw_it(cell: str) -> None:
    assert as_text(str(without_formula(cell))) == cell
