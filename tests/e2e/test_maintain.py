"""Maintenance between runs: work lists, small and old files go; what the tables say, and what a run asks, stays."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from harness.bench import Bench
from harness.lake import Lake, check_derived, check_offsets, check_unique
from harness.servers import general_ontology
from pyspark.sql import SparkSession

from triplelake.config import AnswerSettings
from triplelake.errors import Interrupted, OutputError, PoolError
from triplelake.tables import maintain as upkeep
from triplelake.tables.maintain import PACKED
from triplelake.tables.schemas import RUNS, TABLES
from triplelake.tables.store import Store
from triplelake.tables.views import VIEWS, register

pytestmark = pytest.mark.spark

# Two waves: of two buckets, since there are two slots, and of what is left.
_WAVES: dict[str, Any] = {"corpus__id_column": "id", "run__bucket_size": 4, "run__wave_s": 0.001, "run__lanes": 1}
_NOW: dict[str, Any] = {"maintain__retain_days": 0, "maintain__allow_short_retention": True}


def documents(families: str) -> list[dict[str, str]]:
    return [{"id": family, "text": f"{family}若兰生于临川城，在云梦书院教书。"} for family in families]


FIRST = documents("赵钱孙李周吴郑王冯陈")
SECOND = documents("蒋沈韩杨朱秦尤许何吕")


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of a test have few files."""
    monkeypatch.setattr(upkeep, "_FEW_FILES", 2)


def interrupted(bench: Bench) -> None:
    """Leave a plan of which one wave is answered."""
    version = max(bench.lake.version("attempts"), 0)
    bench.server.hold(lambda _: bench.lake.version("attempts") > version)
    file = bench.corpus(SECOND, "second.jsonl")
    with ThreadPoolExecutor(1) as executor:
        running = executor.submit(bench.extract, file, asking__tries=1, asking__patience_s=0.0, **_WAVES)
        bench.server.wait_until(
            lambda: running.done() or (bench.lake.version("attempts") > version and bench.server.waiting > 0),
            "the second wave",
        )
        bench.server.die()
        bench.server.release()
        assert isinstance(running.exception(), PoolError), running.exception()
    bench.server.revive()


def content(lake: Lake) -> Mapping[str, list[str]]:
    """All rows of what maintenance must not change."""
    kept = [table.name for table in TABLES if table.name not in ("requests", "runs")]
    return {name: sorted(map(repr, lake.rows(name))) for name in kept} | {
        name: sorted(map(repr, lake.view(name))) for name in VIEWS
    }


@pytest.mark.infra  # takes a minute or two
def test_lists_and_files_go_and_every_run_goes_on_as_before(
    bench: Bench, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = bench.lake
    first = bench.corpus(FIRST)
    bench.extract(first, **_WAVES)
    interrupted(bench)
    before, files = content(lake), {table.name: len(lake.delta(table.name).file_uris()) for table in TABLES}
    _, unfinished = [row["plan_id"] for row in sorted(lake.rows("plans"), key=lambda row: row["sequence"])]
    left = len(SECOND) - sum(row["plan_id"] == unfinished for row in lake.rows("attempts"))
    assert 0 < left < len(SECOND)

    counts, versions = lake.counts(), lake.versions()
    bench.maintain(dry_run=True, **_NOW)
    assert (lake.counts(), lake.versions()) == (counts, versions)
    assert "10 rows of 1 finished plan would be dropped" in bench.said

    run_row = bench.maintain(**_NOW)
    assert content(lake) == before
    assert {row["plan_id"] for row in lake.rows("requests")} == {unfinished}
    assert len(lake.rows("requests")) == len(SECOND)
    assert "10 rows of 1 finished plan dropped; 10 rows of 1 unfinished plan stay to go on with" in bench.said
    [row] = [row for row in lake.rows("runs") if row["command"] == "maintain"]
    assert (row["run_id"], row["status"], row["exit_code"]) == (run_row.run_id, "succeeded", 0)
    check_files(bench, spark, files)
    named = [commit for commit in lake.delta("attempts").history() if commit["operation"] == "OPTIMIZE"]
    assert [run_row.run_id in commit["userMetadata"] for commit in named] == [True]

    # Nothing is left to do, so that only the row is written.
    monkeypatch.undo()
    versions = lake.versions()
    bench.maintain()
    assert lake.versions() == versions | {"runs": versions["runs"] + 1}

    bench.server.forget()
    bench.extract(first, **_WAVES)
    assert bench.server.asked == []
    second = bench.folder / "second.jsonl"
    bench.extract(second, **_WAVES)
    assert "Going on with the plan of an earlier run" in bench.said
    assert len(bench.server.asked) == left
    assert {row["doc_id"] for row in lake.view("current_documents")} == {each["id"] for each in (*FIRST, *SECOND)}
    check_unique(lake)
    assert check_offsets(lake) > 0
    check_derived(lake, general_ontology(), AnswerSettings())


def check_files(bench: Bench, spark: SparkSession, before: Mapping[str, int]) -> None:
    """Fewer of them, no other on the disk, and every engine reads them as before."""
    for table in TABLES:
        delta = bench.lake.delta(table.name)
        live = len(delta.file_uris())
        # The row of the maintenance itself came after all else.
        packed = live - (table is RUNS)
        assert table not in PACKED or (packed == 1 < before[table.name]) or before[table.name] == 1, table.name
        files = (bench.output / table.name).glob("*.parquet")
        assert len(list(files)) == live, table.name
        protocol = delta.protocol()
        assert (protocol.min_reader_version, protocol.reader_features or []) == (1, [])
    store = Store(spark, str(bench.output))
    store.require()
    register(store)
    for name in VIEWS:
        assert spark.table(name).count() == len(bench.lake.view(name))


@pytest.mark.infra  # takes a minute or two
def test_a_plan_that_was_overtaken_is_dropped_and_asks_nothing_where_it_goes_on(bench: Bench) -> None:
    interrupted(bench)
    overtaken = bench.folder / "second.jsonl"
    bench.extract(bench.corpus([*SECOND, *FIRST], "more.jsonl"), corpus__id_column="id")
    bench.maintain(**_NOW)
    assert bench.lake.rows("requests") == []
    assert "of 2 finished plans dropped" in bench.said

    bench.server.forget()
    bench.extract(overtaken, **_WAVES)
    assert bench.server.asked == []
    bench.extract(overtaken, **_WAVES)
    assert "Going on" not in bench.said
    check_unique(bench.lake)


def test_a_run_is_refused_while_it_goes_on_and_not_after_a_signal(
    bench: Bench, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = bench.corpus(FIRST)
    Store(spark, str(bench.output)).create()

    def refuse_and_stop(*_: Any) -> None:
        with pytest.raises(OutputError, match="is in use by run"):
            bench.extract(file, **_WAVES)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(upkeep, "work_lists", refuse_and_stop)
        with pytest.raises(Interrupted):
            bench.maintain()
    told = [(row["command"], row["status"]) for row in bench.lake.rows("runs")]
    assert sorted(told) == [("extract", "failed"), ("maintain", "interrupted")]
    assert bench.extract(file, **_WAVES).documents == len(FIRST)
