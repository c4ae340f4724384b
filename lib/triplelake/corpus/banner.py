"""A title above the header of a spreadsheet's export: told as the likely cause where no column has a known name."""

from __future__ import annotations

import csv
from itertools import islice

from triplelake.corpus.encodings import CODECS
from triplelake.corpus.looks import Look, text_of
from triplelake.corpus.readers.delimited import declared_separator, separator
from triplelake.corpus.shell import made_of, piped

_ROWS = 20
_SHOWN = 60
_NAME_CHARS = 40  # of a cell that may be a column's name


def banner_hint(look: Look) -> str:
    """What to do if the first row looks like a title and a later one like the header; else empty."""
    found = _header(look)
    if found is None:
        return ""
    title, line, names = found
    made = made_of(look, f"table.{look.format}")
    # `tail` would cut a line feed of two bytes in two.
    command = piped(look, f"tail -n +{line}", as_utf8=CODECS[look.encoding].unit > 1)
    return (
        f"Its first row, `{title[:_SHOWN]}`, looks like a title above the table, and line {line} like the header: "
        f"{', '.join(names)[:_SHOWN]}. Without what stands above it:\n  {command} > {made}\n"
        f"Then: --input {made}\n"
    )


def _header(look: Look) -> tuple[str, int, list[str]] | None:
    """The title, and the line and the names of the row that looks like the header."""
    lines = text_of(look).splitlines(keepends=True)
    above = 1 if lines and declared_separator(lines[0]) else 0
    rows = _rows(lines[above:], "\t" if look.format == "tsv" else None)
    filled = [[cell for cell in row if cell.strip()] for _, row in rows]
    wide = next((index for index, cells in enumerate(filled) if len(cells) > 1 and _may_name(rows[index][1])), None)
    if not wide or 2 * max(len(cells) for cells in filled[:wide]) > len(filled[wide]):
        return None  # the first row may be the header; or what stands above it is as wide as a row
    return "".join(filled[0][:1]), above + rows[wide][0], filled[wide]


def _rows(lines: list[str], delimiter: str | None) -> list[tuple[int, list[str]]]:
    """The first rows, each with the number of its first line."""
    # A title alone has no separator: the one that most of the first lines have is taken.
    likely = delimiter or separator(max(lines[:_ROWS], key=lambda line: max(map(line.count, ",;\t")), default=""))
    found, before = [], 0
    reader = csv.reader(lines, delimiter=likely)
    try:
        for row in islice(reader, _ROWS):
            found.append((before + 1, row))
            before = reader.line_num
    except csv.Error:
        pass  # what was read so far is enough, or nothing can be said
    return found


def _may_name(row: list[str]) -> bool:
    """Whether all cells of a row may be names of columns."""
    return all(cell.strip() and len(cell) <= _NAME_CHARS and not cell.strip().isdigit() for cell in row)
