"""A report as one HTML file that asks nothing of any network."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from triplelake.prompt.ontology import Ontology
from triplelake.report.layout import WIDTH, layout
from triplelake.report.marks import Piece, pieces
from triplelake.report.model import Document, Report
from triplelake.report.words import WORDS
from triplelake.types import Lang, PageLang

COLOURS = 10
"""Relations that have a colour of their own; the others share the grey one."""

_TEMPLATES = Path(__file__).parent / "templates"
_TAGS: Mapping[PageLang, Lang] = {"zh": "zh-Hans", "en": "en"}
"""The tag of a page's language: a browser is told it, and relations are named in it."""

_LONGEST_NAME = 14
_NAME_DOWN, _NAME_HEIGHT = 4, 13


@dataclass(frozen=True, slots=True)
class _Marked:
    """A document as it is drawn: title and text in pieces."""

    document: Document
    title: tuple[Piece, ...]
    text: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class _Line:
    """A fact in the drawing; the name of its relation stands at (x, y), at the middle of the line."""

    x1: float
    y1: float
    x2: float
    y2: float
    x: float
    y: float
    predicate: str
    relation: str
    told: str


@dataclass(frozen=True, slots=True)
class _Node:
    """An entity in the drawing; `short` is its name as it fits."""

    x: float
    y: float
    name: str
    short: str


def page(report: Report, lang: PageLang, ontology: Ontology | None) -> str:
    """The whole file. All that comes from tables is escaped, and a policy in it forbids any other script or source.

    Args:
        ontology: names the relations; those that it lacks are shown by their ids.
    """
    words = WORDS[lang]
    names = {relation.id: relation.names[_TAGS[lang]] for relation in ontology.relations} if ontology else {}
    colours = {relation.predicate: rank for rank, relation in enumerate(report.relations[:COLOURS])}
    lines, nodes, height = _drawing(report, names)
    script = (_TEMPLATES / "page.js").read_text(encoding="utf-8")
    # Ours alone: the templates hold nothing that comes from a document.
    return (
        _environment()
        .get_template("page.html")
        .render(
            report=report,
            lang=_TAGS[lang],
            words=words,
            script=Markup(script),
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            style=Markup((_TEMPLATES / "page.css").read_text(encoding="utf-8")),
            name=lambda predicate: names.get(predicate, predicate),
            doubts=lambda flags: words["between"].join(words.get(flag, flag) for flag in flags),
            colour=lambda predicate: colours.get(predicate, COLOURS),
            coloured=COLOURS,
            documents=[_marked(document) for document in report.documents],
            lines=lines,
            nodes=nodes,
            width=WIDTH,
            height=max(height, 60.0),
        )
    )


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _marked(document: Document) -> _Marked:
    def spans(in_title: bool) -> Iterator[tuple[int, int, int]]:
        for number, mention in enumerate(document.mentions):
            for place in mention.places:
                if place.in_title is in_title:
                    yield place.start, place.end, number

    return _Marked(
        document,
        tuple(pieces(document.title, spans(in_title=True))),
        tuple(pieces(document.text, spans(in_title=False))),
    )


def _drawing(report: Report, names: Mapping[str, str]) -> tuple[list[_Line], list[_Node], float]:
    ends = [(edge.subject_id, edge.object_id) for edge in report.edges]
    places, height = layout(ends)
    lines = []
    called: dict[str, str] = {}
    pairs = Counter[frozenset[str]]()
    for edge in report.edges:
        (x1, y1), (x2, y2) = places[edge.subject_id], places[edge.object_id]
        relation = names.get(edge.predicate, edge.predicate)
        told = f"{edge.subject} — {relation} → {edge.object} ({edge.documents})"
        # Of several relations between the same two each name stands below the one before it.
        pair = frozenset((edge.subject_id, edge.object_id))
        x, y = (x1 + x2) / 2, (y1 + y2) / 2 + _NAME_DOWN + _NAME_HEIGHT * pairs[pair]
        pairs[pair] += 1
        lines.append(_Line(x1, y1, x2, y2, x, y, edge.predicate, relation, told))
        called |= {edge.subject_id: edge.subject, edge.object_id: edge.object}
    nodes = [_Node(*places[node], name, _short(name)) for node, name in called.items()]
    return lines, nodes, height


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
