"""DuckDB over delta-rs reads the tables and the views as Spark does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from triplelake.tables.schemas import TABLES
from triplelake.tables.store import Store
from triplelake.tables.views import VIEWS, register

pytestmark = pytest.mark.spark


def plain(value: Any) -> Any:
    """A value as both engines can be compared by it: a map is a dict to one and a list of pairs to the other."""
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, dict):
        return [[name, plain(each)] for name, each in sorted(value.items())]
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value


def sorted_rows(rows: Sequence[dict[str, Any]]) -> list[str]:
    return sorted(repr(plain(row)) for row in rows)


def test_both_engines_see_the_same_rows(bench: Any, spark: SparkSession) -> None:
    bench.backend.refused = lambda question: "拒绝" in question
    documents = [
        {"id": "a", "text": "林若兰生于临川城，在云梦书院教书。", "kind": "人物"},
        {"id": "b", "text": "陳若蘭生於臨川城，在雲夢書院教書。", "kind": "人物"},
        {"id": "c", "text": "Edda Lund was born in Harrow and lived in Ostrell.", "kind": "person"},
        {"id": "d", "text": "这一句会被拒绝回答，所以它失败。", "kind": "other"},
        {"id": "e", "text": "……", "kind": "empty"},
    ]
    bench.extract(
        bench.corpus(documents), corpus__id_column="id", corpus__keep_columns=["kind"], run__max_failure_rate=0.5
    )
    store = Store(spark, str(bench.output))
    register(store)
    for name in (*(table.name for table in TABLES), *VIEWS):
        by_spark = [row.asDict(recursive=True) for row in spark.table(name).collect()]
        assert by_spark, f"{name} is empty, so this compares nothing"
        assert sorted_rows(by_spark) == sorted_rows(bench.lake.view(name)), name
    for table in TABLES:
        protocol = bench.lake.delta(table.name).protocol()
        assert (protocol.min_reader_version, protocol.reader_features or []) == (1, [])


def test_the_script_beside_the_tables_runs_from_any_folder(
    bench: Any, spark: SparkSession, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bench.extract(bench.corpus([{"id": "a", "text": "林若兰生于临川城，在云梦书院教书。"}]))
    statements = (bench.output / "sql" / "spark.sql").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    session = spark.newSession()
    code = "\n".join(line for line in statements.splitlines() if not line.startswith("--"))
    for statement in filter(str.strip, code.split(";")):
        session.sql(statement)
    expected = {row["fact_id"] for row in bench.lake.view("facts")}
    assert expected
    assert {row["fact_id"] for row in session.table("facts").collect()} == expected
