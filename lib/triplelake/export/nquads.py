"""RDF as N-Quads: each row is a named graph with one triple, and says where it comes from.

With the base `urn:triplelake:`:

    <urn:triplelake:entity:ID> <urn:triplelake:relation:born_in> <urn:triplelake:entity:ID> <urn:triplelake:triple:ID> .
    <urn:triplelake:triple:ID> <http://www.w3.org/ns/prov#wasDerivedFrom> <urn:triplelake:document:ID> .
    <urn:triplelake:triple:ID> <urn:triplelake:column:evidence> "…"@zh-Hans .

The graph of a fact is `fact:ID`. What is said of a graph, an entity (its name and type) or a relation (its names in
the ontology) stands in the default graph. Every other column of the row is a `column:NAME` of its graph.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
from pyoxigraph import DefaultGraph, Literal, NamedNode, Quad, RdfFormat, serialize

from triplelake.export.form import File, FormKind, Lines, Part, Row
from triplelake.export.iris import Names
from triplelake.prompt.ontology import Ontology, Relation

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_RDFS = "http://www.w3.org/2000/01/rdf-schema#"
_XSD = "http://www.w3.org/2001/XMLSchema#"
_TYPE, _LABEL = NamedNode(f"{_RDF}type"), NamedNode(f"{_RDFS}label")
_PROPERTY, _TIME = NamedNode(f"{_RDF}Property"), NamedNode(f"{_XSD}dateTime")
_FROM = NamedNode("http://www.w3.org/ns/prov#wasDerivedFrom")

_TEXT_OF_DOCUMENT = "evidence"
_IN_THE_TRIPLE = frozenset({"subject_id", "predicate", "object_id"})
_HAN = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]")


@dataclass(frozen=True, slots=True)
class NQuads:
    """N-Quads.

    Args:
        ontology: names the relations, each in the languages that it has; None: they have no names.
    """

    names: Names
    ontology: Ontology | None = None

    def files(self, columns: pa.Schema) -> tuple[File, ...]:
        head = _text(quad for relation in self._relations() for quad in self._labels(relation))
        return (File("", (Part("entities", self.entities), Part("rows", self.lines)), head),)

    def entities(self, rows: Sequence[Row]) -> Lines:
        return Lines(_text(quad for row in rows for quad in self._entity(row)), len(rows))

    def lines(self, rows: Sequence[Row]) -> Lines:
        return Lines(_text(quad for row in rows for quad in self._row(row)), len(rows))

    def note(self, marks: int) -> str:
        return ""

    def _relations(self) -> tuple[Relation, ...]:
        return self.ontology.relations if self.ontology else ()

    def _labels(self, relation: Relation) -> Iterator[Quad]:
        node = self.names.of("relation", relation.id)
        yield _said(node, _TYPE, _PROPERTY)
        for lang, name in relation.names.items():
            # Where an ontology has no name in a language, it holds the other language's.
            if relation.names["zh-Hans"] != relation.names["en"] or bool(_HAN.search(name)) == (lang != "en"):
                yield _said(node, _LABEL, Literal(name, language=lang))

    def _entity(self, row: Row) -> Iterator[Quad]:
        node = self.names.of("entity", row["entity_id"])
        yield _said(node, _LABEL, Literal(row["name"]))
        if row["type"]:
            yield _said(node, _TYPE, self.names.of("type", row["type"]))

    def _row(self, row: Row) -> Iterator[Quad]:
        key = "triple_id" if "triple_id" in row else "fact_id"
        graph = self.names.of(key.removesuffix("_id"), row[key])
        yield Quad(
            self.names.of("entity", row["subject_id"]),
            self.names.of("relation", row["predicate"]),
            self.names.of("entity", row["object_id"]),
            graph,
        )
        for column, value in row.items():
            if column in _IN_THE_TRIPLE or column == key:
                continue
            if column == "doc_id":
                yield _said(graph, _FROM, self.names.of("document", value))
            for each in value if isinstance(value, list) else [value]:
                if each is not None:
                    lang = row.get("lang") if column == _TEXT_OF_DOCUMENT else None
                    yield _said(graph, self.names.of("column", column), _literal(each, lang))


N_QUADS = FormKind("nquads", ".nq", lambda options: NQuads(options.names, options.ontology), names_relations=True)


def _said(node: NamedNode, predicate: NamedNode, value: NamedNode | Literal) -> Quad:
    return Quad(node, predicate, value, DefaultGraph())


def _literal(value: Any, lang: str | None) -> Literal:
    if isinstance(value, datetime):
        return Literal(value.isoformat(), datatype=_TIME)
    return Literal(value, language=lang) if lang else Literal(value)


def _text(quads: Iterator[Quad]) -> str:
    found = serialize(quads, format=RdfFormat.N_QUADS)
    assert found is not None  # without an output it is what comes back
    return found.decode()
