"""Rows as `facts` and `current_triples` have them, and a form's files made of them without Spark."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from triplelake.export.form import Form

Row = dict[str, Any]
Rendered = Mapping[str, str]

_AT = datetime(2031, 2, 3, 4, 5, 6, 789, UTC)

FACTS = pa.schema(
    [
        *((name, pa.string()) for name in ("subject", "predicate", "object", "fact_id", "subject_id", "object_id")),
        *((name, pa.string()) for name in ("subject_type", "object_type")),
        *((name, pa.int64()) for name in ("mentions", "documents")),
        ("first_seen", pa.timestamp("us", tz="UTC")),
        ("example", pa.string()),
    ]
)
TRIPLES = pa.schema(
    [
        *((name, pa.string()) for name in ("subject", "predicate", "object", "triple_id", "fact_id", "doc_id")),
        *((name, pa.string()) for name in ("subject_type", "object_type", "subject_id", "object_id")),
        *((name, pa.int32()) for name in ("subject_start", "evidence_start", "evidence_end")),
        ("span_ambiguous", pa.bool_()),
        ("evidence", pa.string()),
        ("confidence", pa.float64()),
        ("lang", pa.string()),
        ("flags", pa.list_(pa.string())),
    ]
)


def _row(schema: pa.Schema, subject: str, object_: str, number: int, changes: Mapping[str, Any]) -> Row:
    values: Row = {
        "subject": subject,
        "predicate": "born_in",
        "object": object_,
        "triple_id": f"t{number}",
        "fact_id": f"f{number}",
        "doc_id": "卷 1/a#b",
        "subject_id": f"e-{subject.encode().hex()}",
        "object_id": f"e-{object_.encode().hex()}",
        "subject_type": "person",
        "object_type": None,
        "mentions": 3,
        "documents": 2,
        "first_seen": _AT,
        "example": "林若兰生于临川城。",
        "subject_start": 0,
        "evidence_start": 10,
        "evidence_end": 19,
        "span_ambiguous": False,
        "evidence": "林若兰生于临川城。",
        "confidence": None,
        "lang": "zh-Hans",
        "flags": ["pronoun_subject", "type_conflict"],
        **changes,
    }
    return {name: values[name] for name in schema.names}


@pytest.fixture
def fact() -> Callable[..., Row]:
    def make(subject: str, object_: str, number: int = 1, **changes: Any) -> Row:
        return _row(FACTS, subject, object_, number, changes)

    return make


@pytest.fixture
def triple() -> Callable[..., Row]:
    def make(subject: str, object_: str, number: int = 1, **changes: Any) -> Row:
        return _row(TRIPLES, subject, object_, number, changes)

    return make


@pytest.fixture
def rendered() -> Callable[[Form, Sequence[Row]], Rendered]:
    """The files of a form by their names, a row at a time, as small batches would give it."""

    def make(form: Form, rows: Sequence[Row]) -> Rendered:
        ends: dict[str, Row] = {}
        for row in rows:
            for role in ("subject", "object"):
                end = {"entity_id": row[f"{role}_id"], "name": row[role], "type": row[f"{role}_type"]}
                ends.setdefault(end["entity_id"], end)
        sources: dict[str, list[Row]] = {"rows": list(rows), "entities": list(ends.values())}
        found = {}
        for file in form.files(TRIPLES if "triple_id" in rows[0] else FACTS):
            parts = [part.lines([row]).text for part in file.parts for row in sources[part.source]]
            found[file.name] = "".join([file.head, *parts, file.foot])
        return found

    return make
