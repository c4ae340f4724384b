"""The tables: made once, written by one function, readable by others."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from chispa import assert_df_equality
from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from triplelake.errors import OutputError
from triplelake.tables.schemas import ATTEMPTS, PLANS, RUNS, SEQUENCE, TABLES, Table
from triplelake.tables.store import Commit, Store
from triplelake.tables.views import create_views

pytestmark = pytest.mark.spark


def rows(store: Store, table: Table, *given: dict[str, Any]) -> DataFrame:
    values = [tuple(row.get(name) for name in table.names) for row in given]
    return store.spark.createDataFrame(values, table.spark)


def plan(plan_id: str) -> dict[str, Any]:
    return {"plan_id": plan_id, "requests": 3, "sequence": 1, "planned_at": datetime(2026, 1, 2, tzinfo=UTC)}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_arrow_and_spark_agree_on_every_column(table: Table) -> None:
    assert table.arrow.names == table.spark.names == table.names
    assert all(field.metadata["comment"] for field in table.spark)


def test_a_second_reader_sees_the_same_rows(store: Store) -> None:
    store.append(PLANS, rows(store, PLANS, plan("a"), plan("b")), run_id="r")

    assert_df_equality(
        store.read(PLANS), rows(store, PLANS, plan("a"), plan("b")), ignore_row_order=True, ignore_metadata=True
    )
    delta = DeltaTable(store.location(PLANS))
    assert delta.protocol().min_reader_version == 1
    found = duckdb.from_arrow(delta.to_pyarrow_table()).order("plan_id").project("plan_id, requests").fetchall()
    assert found == [("a", 3), ("b", 3)]


def test_each_commit_has_the_next_sequence(store: Store) -> None:
    def sequences(table: Table) -> list[int]:
        return sorted(row[SEQUENCE] for row in store.read(table).select(SEQUENCE).collect())

    store.append(PLANS, rows(store, PLANS, plan("a")), run_id="r")
    store.append(PLANS, rows(store, PLANS, plan("b"), plan("c")), run_id="r")
    later = Store(store.spark, store.output)
    later.append(PLANS, rows(store, PLANS, plan("d")), run_id="s")
    assert sequences(PLANS) == [1, 2, 2, 3]

    # A run that is refused leaves its row beside those of the run that is alive.
    store.append_row(RUNS, {"run_id": "r"}, run_id="r")
    later.append_row(RUNS, {"run_id": "s"}, run_id="s")
    store.append_row(RUNS, {"run_id": "r"}, run_id="r")
    assert sequences(RUNS) == [1, 2, 3]


def test_times_are_written_as_microseconds(store: Store) -> None:
    store.append(PLANS, rows(store, PLANS, plan("a")), run_id="r")
    file = next(Path(store.location(PLANS)).glob("*.parquet"))
    column = pq.ParquetFile(file).schema.column(PLANS.names.index("planned_at"))
    assert (column.path, column.physical_type) == ("planned_at", "INT64")


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_is_readable_without_table_features(store: Store, table: Table) -> None:
    delta = DeltaTable(store.location(table))
    assert delta.protocol().min_reader_version == 1
    assert not delta.protocol().reader_features


def test_a_transaction_seen_before_writes_and_evaluates_nothing(store: Store) -> None:
    store.append(PLANS, rows(store, PLANS, plan("a")), run_id="r", commit=Commit(txn=("app", 0)))

    poison = rows(store, PLANS, plan("b")).withColumn("chunks", F.raise_error(F.lit("was evaluated")).cast("long"))
    store.append(PLANS, poison, run_id="r", commit=Commit(txn=("app", 0)))

    assert [row["plan_id"] for row in store.read(PLANS).collect()] == ["a"]


def test_the_run_stands_in_the_commit(store: Store) -> None:
    store.append(PLANS, rows(store, PLANS, plan("a")), run_id="r7", commit=Commit(note={"wave": 3}))
    newest = DeltaTable(store.location(PLANS)).history(1)[0]
    assert '"run_id": "r7"' in newest["userMetadata"]
    assert '"wave": 3' in newest["userMetadata"]


def test_creating_twice_changes_nothing(store: Store) -> None:
    store.append(PLANS, rows(store, PLANS, plan("a")), run_id="r")
    version = DeltaTable(store.location(PLANS)).version()
    store.create()
    assert DeltaTable(store.location(PLANS)).version() == version


def test_a_foreign_delta_table_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    spark.range(3).write.format("delta").save(str(tmp_path / "kg" / "attempts"))
    with pytest.raises(OutputError, match="is not a table of triplelake") as caught:
        Store(spark, str(tmp_path / "kg")).create()
    assert caught.value.remedy


def test_a_folder_of_other_files_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    folder = tmp_path / "kg" / ATTEMPTS.name
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(OutputError):
        Store(spark, str(tmp_path / "kg")).create()
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_missing_output_is_told(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no table"):
        Store(spark, str(tmp_path / "none")).require()


def test_a_dotted_name_is_what_is_there(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match=r"no catalog `kg`.*\n.*Write \./kg\.v2"):
        Store(spark, "kg.v2")
    (tmp_path / "kg.v2").mkdir()
    assert Store(spark, "kg.v2").location(PLANS) == f"{tmp_path}/kg.v2/plans"
    assert Store(spark, "spark_catalog.kg").in_catalog
    (tmp_path / "spark_catalog.kg").mkdir()
    with pytest.raises(OutputError, match="is a folder here, and"):
        Store(spark, "spark_catalog.kg")


def test_a_store_that_spark_does_not_know_is_told(spark: SparkSession) -> None:
    with pytest.raises(OutputError, match="cannot be reached"):
        Store(spark, "nosuchstore://b/知识").check()
    # One name for S3, whatever Spark calls it; here it has no library for it.
    for scheme in ("s3", "s3a", "s3n"):
        with pytest.raises(OutputError, match=r"cannot be reached: java\S+: .*S3AFileSystem not found\n") as caught:
            Store(spark, f"{scheme}://b/知识").check()
        assert "--packages org.apache.hadoop:hadoop-aws:3.4.2" in caught.value.remedy


def test_no_table_is_made_without_the_lease(spark: SparkSession, tmp_path: Path) -> None:
    made = Store(spark, str(tmp_path / "kg"))

    def refuse() -> None:
        raise OutputError("kg", "is in use")

    made.guards.append(refuse)
    with pytest.raises(OutputError, match="in use"):
        made.create()
    assert made.check() == list(TABLES)


def test_the_scripts_read_what_they_lie_beside(store: Store) -> None:
    store.append(PLANS, rows(store, PLANS, plan("a")), run_id="r")
    create_views(Store(store.spark, f"file://{store.output}"))
    for statement in (Path(store.output) / "sql" / "spark.sql").read_text(encoding="utf-8").split(";\n")[:-1]:
        store.spark.sql(statement)
    assert [row["plan_id"] for row in store.spark.table("plans").collect()] == ["a"]
    create_views(store)
    for_duckdb = (Path(store.output) / "sql" / "duckdb.sql").read_text(encoding="utf-8")
    assert "delta_scan('./plans')" in for_duckdb and store.output not in for_duckdb


def test_rows_as_they_are_now_stay_as_they_are(store: Store) -> None:
    store.append(PLANS, rows(store, PLANS, plan("a")), run_id="r")
    now = store.read_now(PLANS)
    store.append(PLANS, rows(store, PLANS, plan("b")), run_id="r")
    assert [row["plan_id"] for row in now.collect()] == ["a"]


def test_what_is_persisted_of_rows_as_they_are_now_outlives_an_append(store: Store) -> None:
    store.append(PLANS, rows(store, PLANS, plan("a")), run_id="r")
    evaluated = store.spark.sparkContext.accumulator(0)

    def count(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            evaluated.add(batch.num_rows)
            yield batch

    kept = store.read_now(PLANS).select("plan_id").mapInArrow(count, "plan_id string").persist()
    assert kept.count() == 1
    store.append(PLANS, rows(store, PLANS, plan("b")), run_id="r")
    # Of a plain read Spark would evaluate it anew, and find two.
    assert (kept.count(), evaluated.value) == (1, 1)
    kept.unpersist()


@dataclass(frozen=True)
class Waiting:
    """Lets rows through when a file is there; says by another file that it has begun."""

    folder: Path

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            (self.folder / "begun").touch()
            while not (self.folder / "go").exists():
                time.sleep(0.01)
            yield batch


@pytest.mark.parametrize("read", ["read", "read_now"])
def test_an_append_that_looks_at_its_own_table_at_one_version_bears_other_commits(
    read: str, store: Store, tmp_path: Path
) -> None:
    """The other lane commits while a wave runs that has looked up what is answered already."""

    def row(request: str) -> DataFrame:
        return rows(store, ATTEMPTS, {"request_id": request})

    store.append(ATTEMPTS, row("old"), run_id="r")
    done = getattr(store, read)(ATTEMPTS).select("request_id")
    new = row("old").union(row("new")).join(done, "request_id", "left_anti").select(*ATTEMPTS.names)
    slow = new.coalesce(1).mapInArrow(Waiting(tmp_path), schema=ATTEMPTS.spark)
    with ThreadPoolExecutor(1) as executor:
        wave = executor.submit(store.append, ATTEMPTS, slow, run_id="r", commit=Commit(txn=("lane", 1)))
        deadline = time.monotonic() + 60
        while not (tmp_path / "begun").exists():
            assert time.monotonic() < deadline and not wave.done(), wave
            time.sleep(0.01)
        store.append(ATTEMPTS, row("other"), run_id="r")
        (tmp_path / "go").touch()
        failure = wave.exception()
    found = {each["request_id"] for each in store.read(ATTEMPTS).collect()}
    if read == "read":
        assert "DELTA_CONCURRENT_APPEND" in str(failure), "nothing is shown if a plain read bears it too"
        assert found == {"old", "other"}
    else:
        assert failure is None
        assert found == {"old", "new", "other"}
