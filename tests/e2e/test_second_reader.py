"""What a run leaves, read by others: DuckDB over delta-rs, another session of Spark, and as triples."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from string import Template
from typing import Any

import pytest
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import CommitFailedError
from harness.bench import Bench
from harness.lake import check_offsets
from pyspark.sql import SparkSession

from triplelake.tables.schemas import TABLES
from triplelake.tables.store import Store
from triplelake.tables.views import VIEWS, register

pytestmark = pytest.mark.spark


DOCUMENTS = [
    {"id": "a", "text": "林若兰生于临川城，在云梦书院教书。", "kind": "人物"},
    {"id": "b", "text": "陳若蘭生於臨川城，在雲夢書院教書。", "kind": "人物"},
    {"id": "c", "text": "Edda Lund was born in Harrow and lived in Ostrell.", "kind": "person"},
    {"id": "d", "text": "这一句会被拒绝回答，所以它失败。", "kind": "other"},
    {"id": "e", "text": "……", "kind": "empty"},
]


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


@pytest.fixture(scope="module")
def done(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The job over documents of all kinds, once for all that read its tables."""
    bench = Bench.make(tmp_path_factory.mktemp("done"))
    bench.backend.refused = lambda question: "拒绝" in question
    bench.extract(
        bench.corpus(DOCUMENTS), corpus__id_column="id", corpus__keep_columns=["kind"], run__max_failure_rate=0.5
    )
    return bench


def test_documents_become_triples(done: Bench) -> None:
    rows = done.lake.view("current_triples")
    assert {(row["subject"], row["object"], row["doc_id"], row["lang"]) for row in rows} == {
        ("林若", "兰生", "a", "zh-Hans"),
        ("林若", "于临", "a", "zh-Hans"),
        ("陳若", "蘭生", "b", "zh-Hant"),
        ("陳若", "於臨", "b", "zh-Hant"),
        ("Edda", "Lund", "c", "en"),
        ("Edda", "Harrow", "c", "en"),
    }
    # Each document is one sentence.
    texts = {document["id"]: document["text"] for document in DOCUMENTS}
    assert all(row["evidence"] == texts[row["doc_id"]] for row in rows)
    check_offsets(done.lake)


def test_both_engines_see_the_same_rows(done: Bench, spark: SparkSession) -> None:
    store = Store(spark, str(done.output))
    register(store)
    for name in (*(table.name for table in TABLES), *VIEWS):
        by_spark = [row.asDict(recursive=True) for row in spark.table(name).collect()]
        assert by_spark, f"{name} is empty, so this compares nothing"
        assert sorted_rows(by_spark) == sorted_rows(done.lake.view(name)), name
    for table in TABLES:
        protocol = done.lake.delta(table.name).protocol()
        assert (protocol.min_reader_version, protocol.reader_features or []) == (1, [])


def test_the_views_are_sql_that_datafusion_reads(done: Bench) -> None:
    """The engine inside delta-rs, Polars' scans and others; it holds no views, so that each stands inside the next."""
    engine = QueryBuilder()
    names = {table.name: table.name for table in TABLES}
    for table in TABLES:
        engine.register(table.name, done.lake.delta(table.name))
    for name, query in VIEWS.items():
        text = Template(query).substitute(names, flag_count="coalesce(array_length(flags), 0)", least_confidence="0.0")
        rows = engine.execute(text).read_all().num_rows
        assert rows == len(done.lake.view(name)), name
        names[name] = f"({text})"


def test_delta_rs_refuses_to_write_what_is_clustered(done: Bench, tmp_path: Path) -> None:
    """As docs/tables.md says: reading is all that others are for."""
    copied = shutil.copytree(done.output / "triples", tmp_path / "triples")
    with pytest.raises(CommitFailedError, match="ClusteredTable"):
        DeltaTable(copied).delete("doc_id = 'a'")


def test_the_script_beside_the_tables_runs_from_any_folder(
    done: Bench, spark: SparkSession, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    statements = (done.output / "sql" / "spark.sql").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    session = spark.newSession()
    code = "\n".join(line for line in statements.splitlines() if not line.startswith("--"))
    for statement in filter(str.strip, code.split(";")):
        session.sql(statement)
    expected = {row["fact_id"] for row in done.lake.view("facts")}
    assert expected
    assert {row["fact_id"] for row in session.table("facts").collect()} == expected
