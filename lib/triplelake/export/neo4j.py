"""Files for `neo4j-admin database import`: entities are nodes, facts or triples are relationships."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from triplelake.export.form import LIST_SEPARATOR, File, FormKind, Lines, Part, Row, plain
from triplelake.spreadsheets import rows_of_cells

NODES, RELATIONSHIPS = "nodes.csv", "relationships.csv"
_NODES_HEAD = ("entity_id:ID", "name", "type", ":LABEL")
_LABEL = "Entity"
_SPECIAL = {"subject_id": ":START_ID", "object_id": ":END_ID", "predicate": ":TYPE"}


@dataclass(frozen=True, slots=True)
class Neo4j:
    """A folder with the two files, their headers in their first lines. Cells with line breaks are the marks."""

    def files(self, columns: pa.Schema) -> tuple[File, ...]:
        head = [_SPECIAL.get(field.name, f"{field.name}{_type(field.type)}") for field in columns]
        return (
            File(NODES, (Part("entities", self.nodes),), rows_of_cells([_NODES_HEAD])),
            File(RELATIONSHIPS, (Part("rows", self.relationships),), rows_of_cells([head])),
        )

    def nodes(self, rows: Sequence[Row]) -> Lines:
        return _lines([(row["entity_id"], row["name"], row["type"], _labels(row["type"])) for row in rows])

    def relationships(self, rows: Sequence[Row]) -> Lines:
        return _lines([[plain(value) for value in row.values()] for row in rows])

    def note(self, marks: int) -> str:
        return ""


def _load(folder: Path, marks: int) -> str:
    """The command line that loads a folder into the database `neo4j`, which must not hold anything yet."""
    words = ["neo4j-admin", "database", "import", "full", "neo4j"]
    words += [f"--nodes={folder / NODES}", f"--relationships={folder / RELATIONSHIPS}"]
    if marks:
        words.append("--multiline-fields=true")
    return shlex.join(words)


NEO4J = FormKind(
    "neo4j", "", lambda options: Neo4j(), folder=frozenset({NODES, RELATIONSHIPS}), tool="Neo4j", load=_load
)


def _lines(cells: Sequence[Sequence[object]]) -> Lines:
    breaks = sum(isinstance(cell, str) and ("\n" in cell or "\r" in cell) for row in cells for cell in row)
    return Lines(rows_of_cells(cells), len(cells), breaks)


def _labels(kind: str | None) -> str:
    """A node's labels; one that holds the separator would be two."""
    return f"{_LABEL}{LIST_SEPARATOR}{kind.replace(LIST_SEPARATOR, ',')}" if kind else _LABEL


def _type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"{_type(kind.value_type) or ':string'}[]"
    if pa.types.is_boolean(kind):
        return ":boolean"
    if pa.types.is_timestamp(kind):
        return ":datetime"
    if pa.types.is_floating(kind):
        return ":double"
    if pa.types.is_integer(kind):
        return ":long" if kind.bit_width > 32 else ":int"
    return ""
