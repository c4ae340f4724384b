"""A report as values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from triplelake.report.model import Cause, Document, Edge, Mention, OutputCounts, Place, RelationCount, Report, Run

AT = datetime(2031, 2, 3, 4, 5, tzinfo=UTC)

TEXT = "林若兰生于临川城，在云梦书院教书。"
DOCUMENTS = (
    Document(
        "卷一/a",
        "林若兰",
        TEXT,
        "zh-Hans",
        False,
        (
            Mention("林若兰", "born_in", "临川城", Place(0, 3, False), Place(5, 8, False), ()),
            Mention("林若兰", "employer", "云梦书院", Place(0, 3, True), Place(10, 14, False), (), 0.876),
            Mention("云梦书院", "located_in", "云梦", Place(10, 14, False), Place(10, 12, False), ("type_conflict",)),
        ),
    ),
    Document(
        "b",
        "",
        "Edda Lund was born in Harrow.",
        "en",
        True,
        (Mention("Edda Lund", "born_in", "Harrow", Place(0, 9, False), Place(22, 28, False), ()),),
    ),
    Document("c", "", "……", "zh-Hans", False, ()),
)


@pytest.fixture
def report() -> Callable[..., Report]:
    def make(**changes: Any) -> Report:
        whole = Report(
            output="out/kg",
            made_at=AT,
            model="atom-7b-chat@0123456789ab",
            ontology="ontologies/general.yaml",
            input="corpus.jsonl",
            counts=OutputCounts(4321, 2, 9876, 3, 100_000, 1234, 87_654, 45_678),
            runs=(
                Run(AT, "extract", "succeeded", 4321, 9876, 3, 100_000, 500_000, 1000.0, None),
                Run(AT, "maintain", "failed", 0, 0, 0, 0, 0, None, "out/kg: in use"),
            ),
            relations=(
                RelationCount("born_in", 60_000, 50_000, 4000, 1000),
                RelationCount("employer", 30_000, 30_000, 2000, 234),
                RelationCount("located_in", 10_000, 7654, 900, 0),
            ),
            relations_in_all=28,
            support=(80_000, 5000, 2000, 654),
            failures=(Cause("timeout", 3, "no answer in 300 s"),),
            rejections=(Cause("no text", 2, "corpus.jsonl, byte 12"),),
            documents=DOCUMENTS,
            edges=(
                Edge("e1", "林若兰", "born_in", "e2", "临川城", 9, 5),
                Edge("e1", "林若兰", "employer", "e3", "云梦书院", 3, 2),
                Edge("e4", "Edda Lund", "born_in", "e5", "Harrow", 1, 1),
            ),
        )
        return replace(whole, **changes)

    return make
