"""From tables to files, by Spark: what is selected, each entity once, and nothing where a condition is wrong."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from rich.console import Console

from triplelake.commands.export import Choice, export
from triplelake.errors import UsageError
from triplelake.export.choice import FORMS
from triplelake.tables.schemas import DOCUMENTS, TRIPLES, Table
from triplelake.tables.store import Store

pytestmark = pytest.mark.spark

VERSION = {"doc_version": "v", "extraction_key": "k", "derivation": "d"}
AT = datetime(2031, 2, 3, tzinfo=UTC)


def _append(store: Store, table: Table, rows: list[dict[str, Any]]) -> None:
    frame = store.spark.createDataFrame(pa.Table.from_pylist(rows, schema=table.arrow))
    store.append(table, frame, run_id="r")


def _mention(number: int, subject: str, predicate: str, object_: str, **changes: Any) -> dict[str, Any]:
    ends = {"subject": subject, "object": object_, "subject_id": f"id {subject}", "object_id": f"id {object_}"}
    whole = {"predicate": predicate, "fact_id": f"{subject} {predicate} {object_}", "triple_id": f"t{number}"}
    rest = {
        "doc_id": "a",
        "evidence": f"{subject}，\n{object_}。",
        "grounding": "exact",
        "flags": [],
        "extracted_at": AT,
    }
    return {**VERSION, **ends, **whole, **rest, **changes}


def _read(file: Path, encoding: str = "utf-8") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file.read_text(encoding=encoding), newline=""), strict=True))


def test_what_is_selected_is_written_whole(store: Store, tmp_path: Path) -> None:
    _append(store, DOCUMENTS, [{**VERSION, "doc_id": "a", "state": "published", "state_at": AT}])
    _append(
        store,
        TRIPLES,
        [
            _mention(1, "林若兰", "born_in", "临川"),
            _mention(2, "林若兰", "born_in", "临川"),
            _mention(3, "临川", "located_in", "云梦", object_type="place"),
            _mention(4, "他", "born_in", "临川", flags=["pronoun_subject"]),
            _mention(5, "陈若", "author", "旧文", doc_id="gone"),
        ],
    )
    said = Console(file=io.StringIO(), width=400)

    facts = tmp_path / "facts.csv"
    export(Choice(store.output, str(facts), FORMS["csv"], where="mentions > 1"), said)
    (fact,) = _read(facts, "utf-8-sig")
    assert list(fact)[:3] == ["subject", "predicate", "object"]
    assert (fact["subject"], fact["mentions"], fact["documents"]) == ("林若兰", "2", "1")

    folder = tmp_path / "知识 图"
    export(Choice(store.output, str(folder), FORMS["neo4j"], what="triples"), said)
    nodes, relationships = _read(folder / "nodes.csv"), _read(folder / "relationships.csv")
    assert sorted(node["entity_id:ID"] for node in nodes) == ["id 临川", "id 云梦", "id 他", "id 林若兰"]
    assert {node["name"]: node[":LABEL"] for node in nodes}["云梦"] == "Entity;place"
    assert {row["triple_id"] for row in relationships} == {"t1", "t2", "t3", "t4"}
    assert {row[end] for row in relationships for end in (":START_ID", ":END_ID")} == {
        node["entity_id:ID"] for node in nodes
    }

    quads = tmp_path / "kg.nq"
    export(Choice(store.output, str(quads), FORMS["nquads"], predicates=("located_in",)), said)
    assert "relation:located_in" in quads.read_text() and "relation:born_in" not in quads.read_text()

    assert isinstance(said.file, io.StringIO)
    told = said.file.getvalue()
    assert f"{facts}: 1 fact," in told and f"{folder}: 4 triples" in told
    assert f"'--nodes={folder}/nodes.csv' '--relationships={folder}/relationships.csv' --multiline-fields=true" in told
    assert "--ontology names it" in told

    with pytest.raises(UsageError, match="--where mention > 1") as caught:
        export(Choice(store.output, str(tmp_path / "no.csv"), FORMS["csv"], where="mention > 1"), said)
    assert "mentions" in caught.value.remedy
    assert sorted(each.name for each in tmp_path.iterdir() if str(each) != store.output) == [
        "facts.csv",
        "kg.nq",
        "知识 图",
    ]
