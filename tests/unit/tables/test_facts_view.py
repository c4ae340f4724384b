"""The view `facts`: one fact whichever way its mentions say it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa

from triplelake.config import AnswerSettings
from triplelake.prompt.ontology import Ontology, Relation
from triplelake.tables.mentions import AnsweredChunk, document_rows
from triplelake.tables.schemas import TRIPLES
from triplelake.tables.views import VIEWS, render
from triplelake.types import LANGS

ANSWER = AnswerSettings()


def relation(id: str, **more: Any) -> Relation:
    return Relation(id=id, names=dict.fromkeys(LANGS, id), **more)


FAMILY = Ontology(
    "family",
    (relation("parent", inverse="child"), relation("child", inverse="parent"), relation("spouse", symmetric=True)),
)


def chunk(rank: int, text: str, *triples: tuple[str, str, str]) -> AnsweredChunk:
    completion = json.dumps(triples, ensure_ascii=False)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return AnsweredChunk(f"c{rank}", f"d{rank}", "v", 0, 0, text, "", "", "zh-Hans", f"r{rank}", completion, False, at)


def rows_of(*chunks: AnsweredChunk, ontology: Ontology | None = FAMILY) -> list[dict[str, Any]]:
    return [row for each in chunks for row in document_rows([each], ontology, ANSWER)]


def facts_of(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """What the view says of these mentions, in DuckDB."""
    lake = duckdb.connect()
    mentions = pa.Table.from_pylist(rows, schema=TRIPLES.arrow)
    lake.register("current_triples", mentions)
    query = render(VIEWS["facts"], {"current_triples": "current_triples"}, "duckdb")
    return lake.sql(
        f"SELECT subject, predicate, object, mentions, documents FROM ({query}) ORDER BY 1, 2, 3"
    ).fetchall()


def test_a_symmetric_relation_is_one_fact_both_ways_and_each_mention_as_said() -> None:
    rows = rows_of(
        chunk(1, "张三的妻子是李四。", ("张三", "spouse", "李四")),
        chunk(2, "李四嫁給張三。", ("李四", "spouse", "張三")),
    )
    assert [(row["subject"], row["object"]) for row in rows] == [("张三", "李四"), ("李四", "張三")]
    assert len({row["fact_id"] for row in rows}) == 1
    assert len({row["inverted"] for row in rows}) == 2
    [(subject, predicate, object, mentions, documents)] = facts_of(rows)
    assert {subject, object} <= {"张三", "張三", "李四"} and predicate == "spouse"
    assert (mentions, documents) == (2, 2)


def test_inverse_relations_are_one_fact_under_the_first() -> None:
    rows = rows_of(
        chunk(1, "张三的父亲是张大。", ("张三", "parent", "张大")),
        chunk(2, "张大之子张三。", ("张大", "child", "张三")),
    )
    assert [(row["predicate"], row["fact_predicate"], row["inverted"]) for row in rows] == [
        ("parent", "parent", False),
        ("child", "parent", True),
    ]
    assert facts_of(rows) == [("张三", "parent", "张大", 2, 2)]


def test_direction_counts_where_the_ontology_says_nothing() -> None:
    plain = Ontology("plain", (relation("spouse"),))
    rows = rows_of(
        chunk(1, "张三和李四。", ("张三", "spouse", "李四")),
        chunk(2, "李四和张三。", ("李四", "spouse", "张三")),
        ontology=plain,
    )
    assert len({row["fact_id"] for row in rows}) == 2
    assert len(facts_of(rows)) == 2


def test_rows_from_before_these_columns_are_read_as_they_were_said() -> None:
    rows = rows_of(chunk(1, "张大之子张三。", ("张大", "child", "张三")), ontology=Ontology("x", (relation("child"),)))
    old = [row | {"fact_predicate": None, "inverted": None} for row in rows]
    assert facts_of(old) == facts_of(rows) == [("张大", "child", "张三", 1, 1)]
