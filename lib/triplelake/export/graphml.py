"""GraphML: entities are nodes, facts or triples are edges.

An edge's id is a value of it, too: not every reader keeps the id. Two edges may have the same ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from triplelake.export.form import File, FormKind, Lines, Part, Row, plain
from triplelake.export.xml_text import xml_text

_HEAD = """\
<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
"""
_FOOT = "</graph>\n</graphml>\n"
_ENDS = ("subject_id", "object_id")
_NODE_KEYS = {"name": "label", "type": "type"}
"""Columns of an entity, by the names of a node's values: `label` is what other tools show."""


@dataclass(frozen=True, slots=True)
class GraphMl:
    """GraphML. Characters that XML 1.0 cannot hold become U+FFFD; they are the marks."""

    def files(self, columns: pa.Schema) -> tuple[File, ...]:
        edges = [field for field in columns if field.name not in _ENDS]
        head = [
            _HEAD,
            *(_declared(f"n_{column}", "node", name, "string") for column, name in _NODE_KEYS.items()),
            *(_declared(f"e_{field.name}", "edge", field.name, _type(field.type)) for field in edges),
            '<graph id="triplelake" edgedefault="directed">\n',
        ]
        parts = (Part("entities", self.nodes), Part("rows", self.edges))
        return (File("", parts, "".join(head), _FOOT),)

    def nodes(self, rows: Sequence[Row]) -> Lines:
        text = _Text()
        for row in rows:
            text.open(f'<node id="{row["entity_id"]}">')
            text.values("n", ((column, row[column]) for column in _NODE_KEYS))
            text.open("</node>\n")
        return Lines(text.joined(), len(rows), text.replaced)

    def edges(self, rows: Sequence[Row]) -> Lines:
        text = _Text()
        for row in rows:
            key = "triple_id" if "triple_id" in row else "fact_id"
            text.open(f'<edge id="{row[key]}" source="{row["subject_id"]}" target="{row["object_id"]}">')
            text.values("e", ((column, value) for column, value in row.items() if column not in _ENDS))
            text.open("</edge>\n")
        return Lines(text.joined(), len(rows), text.replaced)

    def note(self, marks: int) -> str:
        replaced = f"{marks:,} characters that XML cannot hold were replaced by U+FFFD; " if marks else ""
        return f"{replaced}Gephi merges the edges between the same two nodes into one, so that it shows fewer"


GRAPHML = FormKind("graphml", ".graphml", lambda options: GraphMl())


class _Text:
    """XML that grows."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self.replaced = 0

    def open(self, tag: str) -> None:
        self._parts.append(tag)

    def values(self, prefix: str, values: Iterable[tuple[str, object]]) -> None:
        for column, value in values:
            if value is not None:
                text, replaced = xml_text(str(plain(value)))
                self.replaced += replaced
                self._parts.append(f'<data key="{prefix}_{column}">{text}</data>')

    def joined(self) -> str:
        return "".join(self._parts)


def _declared(key: str, what: str, name: str, kind: str) -> str:
    return f'<key id="{key}" for="{what}" attr.name="{name}" attr.type="{kind}"/>\n'


def _type(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_floating(kind):
        return "double"
    if pa.types.is_integer(kind):
        return "long" if kind.bit_width > 32 else "int"
    return "string"
