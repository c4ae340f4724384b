"""From tables to a report, by Spark: counts of what is published, each document with its own triples."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from rich.console import Console

from triplelake.commands.report import make_report
from triplelake.export.target import Target
from triplelake.report.gather import gather
from triplelake.report.model import SHOWN_CHARS, Cause, Edge, OutputCounts, Place
from triplelake.tables.schemas import ATTEMPTS, CHUNKS, DOCUMENTS, RUNS, TRIPLES, Table
from triplelake.tables.store import Store
from triplelake.tables.views import Views

pytestmark = pytest.mark.spark

VERSION = {"doc_version": "v", "extraction_key": "k", "derivation": "d"}
AT = datetime(2031, 2, 3, 4, 5, tzinfo=UTC)
LONG = "云" * (SHOWN_CHARS - 2)


def _append(store: Store, table: Table, rows: list[dict[str, Any]]) -> None:
    frame = store.spark.createDataFrame(pa.Table.from_pylist(rows, schema=table.arrow))
    store.append(table, frame, run_id="r")


def _mention(number: int, doc_id: str, subject: str, object_: str, start: int, **changes: Any) -> dict[str, Any]:
    ends = {"subject": subject, "object": object_, "subject_id": f"id {subject}", "object_id": f"id {object_}"}
    whole = {"predicate": "born_in", "fact_id": f"{subject} {object_}", "triple_id": f"t{number}", "doc_id": doc_id}
    places = {"subject_from": "chunk", "object_from": "chunk", "evidence_start": start}
    at = start + len(subject) + 2
    spans = {"subject_start": start, "subject_end": start + len(subject), "object_start": at}
    rest = {"object_end": at + len(object_), "grounding": "exact", "flags": [], "extracted_at": AT, "evidence": "e"}
    return {**VERSION, **ends, **whole, **places, **spans, **rest, **changes}


def test_a_report_of_tables(store: Store, tmp_path: Path) -> None:
    texts = {"a": "林若兰生于临川。林若兰住云梦。", "b": LONG + "林若兰生于临川。"}
    published = [
        {**VERSION, "doc_id": name, "state": "published", "state_at": AT, "chunks": 2, "failed": 1, "lang": "zh-Hans"}
        for name in texts
    ]
    rejected = {"state": "rejected", "source": "in.jsonl", "place": "byte 7", "reason": "no text", "state_at": AT}
    _append(store, DOCUMENTS, [*published, rejected, rejected])
    _append(
        store,
        CHUNKS,
        [
            {**VERSION, "doc_id": name, "ordinal": n, "text": text, "char_start": start, "request_id": f"{name}{n}"}
            for name, whole in texts.items()
            for n, start, text in ((0, 0, whole[:8]), (1, 8, whole[8:]))
        ]
        # An answer of an older version of the document is not part of the text.
        + [{**VERSION, "doc_version": "old", "doc_id": "a", "ordinal": 0, "text": "旧", "char_start": 0}],
    )
    _append(
        store,
        TRIPLES,
        [
            _mention(1, "a", "林若兰", "临川", 0),
            _mention(2, "a", "林若兰", "云梦", 8, subject_from="title", subject_start=0, flags=["type_conflict"]),
            _mention(3, "b", "林若兰", "临川", len(LONG)),
        ],
    )
    failed = {"status": "failed", "error_code": "timeout", "error_message": "no answer", "finished_at": AT}
    _append(store, ATTEMPTS, [{**failed, "request_id": "b1"}])
    run = {"started_at": AT, "command": "extract", "status": "succeeded", "extraction_key": "k", "asking_s": 2.0}
    run |= {"answered": 3, "settings": '{"ontology": "none", "input": ["in.jsonl"]}', "versions": '{"model": "m@1"}'}
    _append(store, RUNS, [run])

    found = gather(store, Views(store, fixed=True))
    assert found.counts == OutputCounts(2, 1, 4, 2, 3, 1, 1, 3)
    assert (found.model, found.ontology, found.input) == ("m@1", "none", "in.jsonl")
    assert [(run.answers_per_s, run.started_at) for run in found.runs] == [(1.5, AT)]
    assert [(each.predicate, each.mentions, each.flagged) for each in found.relations] == [("born_in", 3, 1)]
    assert found.support == (0, 1, 0, 0)
    assert found.failures == (Cause("timeout", 1, "no answer"),)
    assert found.rejections == (Cause("no text", 1, "in.jsonl, byte 7"),)
    assert found.edges == (Edge("id 林若兰", "林若兰", "born_in", "id 临川", "临川", 2, 2),)
    shown = {document.doc_id: document for document in found.documents}
    assert shown["a"].text == texts["a"] and not shown["a"].cut
    assert [each.subject_at for each in shown["a"].mentions] == [Place(0, 3, False), Place(0, 11, True)]
    # A triple beyond what is shown of its document is not shown either.
    assert len(shown["b"].text) == SHOWN_CHARS and shown["b"].cut and shown["b"].mentions == ()

    file = tmp_path / "report.html"
    said = io.StringIO()
    make_report(store.output, Target(str(file)), Console(file=said), lang="zh", documents=1)
    assert "共 1 条事实" in file.read_text(encoding="utf-8")
    assert "从 2 篇文档中随机抽取 1 篇" in file.read_text(encoding="utf-8")
    assert "Wrote:" in said.getvalue()
