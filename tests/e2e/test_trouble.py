"""A run that cannot go on says so by its exit code, keeps what is done, and goes on by the same command."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from harness.bench import Bench
from harness.lake import check_unique
from pyspark.sql import DataFrame, SparkSession

from triplelake.errors import OutputError, PoolError, TooManyFailures, TriplelakeError, classified
from triplelake.tables.publish import Published, Publisher
from triplelake.tables.schemas import ATTEMPTS, Table
from triplelake.tables.store import Store

pytestmark = pytest.mark.spark

_FAMILIES = "赵钱孙李周吴郑王冯陈褚卫"
DOCUMENTS = [
    {"id": f"d{number}", "text": f"{family}若兰生于临川城，在云梦书院教书。"} for number, family in enumerate(_FAMILIES)
]
_WAVES: dict[str, Any] = {"run__bucket_size": 4, "run__wave_s": 0.001}


@pytest.mark.infra
def test_too_many_failures_end_the_run_and_can_be_asked_again(bench: Bench) -> None:
    refused = set(_FAMILIES[:3])
    bench.backend.refused = lambda question: any(family in question for family in refused)
    file = bench.corpus(DOCUMENTS)
    with pytest.raises(TooManyFailures) as caught:
        bench.extract(file, corpus__id_column="id", **_WAVES)
    assert caught.value.exit_code == 5
    assert "3 of 12 failed" in str(caught.value)
    [row] = bench.lake.rows("runs")
    assert (row["exit_code"], row["status"], row["answered"], row["failed"]) == (5, "failed", 12, 3)
    assert row["remedy"]
    assert {each["doc_id"] for each in bench.lake.view("failures")} == {"d0", "d1", "d2"}
    assert {each["error_code"] for each in bench.lake.view("failures")} == {"bad_request"}
    before = {row["triple_id"]: row for row in bench.lake.view("current_triples")}
    assert {each["doc_id"] for each in before.values()} == {f"d{i}" for i in range(3, 12)}
    assert {each["doc_id"]: each["failed"] for each in bench.lake.view("current_documents", "failed > 0")} == {
        "d0": 1,
        "d1": 1,
        "d2": 1,
    }
    check_unique(bench.lake)

    # A limit that allows them: the answers are there, so that nothing is asked.
    bench.server.forget()
    bench.extract(file, corpus__id_column="id", run__max_failure_rate=0.5, **_WAVES)
    assert bench.server.asked == []

    # One fails again: nothing is lost by trying.
    refused -= set(_FAMILIES[1:3])
    run_row = bench.extract(file, corpus__id_column="id", run__retry_failed=True, run__max_failure_rate=0.5)
    assert (run_row.tally.answered, run_row.tally.failed, len(bench.server.asked)) == (3, 1, 3)
    assert [row["doc_id"] for row in bench.lake.view("failures")] == ["d0"]
    after = {row["triple_id"]: row for row in bench.lake.view("current_triples")}
    assert {name: after[name] for name in before} == before
    assert {row["doc_id"] for row in after.values()} == {f"d{i}" for i in range(1, 12)}

    refused.clear()
    bench.server.forget()
    run_row = bench.extract(file, corpus__id_column="id", run__retry_failed=True)
    assert (run_row.tally.answered, run_row.tally.failed, run_row.documents) == (1, 0, 1)
    assert [_FAMILIES[0] in asked for asked in bench.server.asked] == [True]
    assert bench.lake.view("failures") == []
    assert {row["doc_id"] for row in bench.lake.view("current_triples")} == {document["id"] for document in DOCUMENTS}
    assert [row["doc_id"] for row in bench.lake.view("current_documents", "failed > 0")] == []
    # Failures below the limit are a success.
    assert Counter(row["exit_code"] for row in bench.lake.rows("runs")) == {5: 1, 0: 3}


@pytest.mark.infra
def test_a_server_that_dies_ends_the_run_and_the_same_command_goes_on(bench: Bench) -> None:
    file = bench.corpus(DOCUMENTS)
    lake = bench.lake
    # One wave passes; then the server dies with the questions of the next in its hands.
    bench.server.hold(lambda _: lake.version("attempts") > 0)
    with ThreadPoolExecutor(1) as executor:
        running = executor.submit(bench.extract, file, corpus__id_column="id", run__lanes=1, asking__tries=2, **_WAVES)
        bench.server.wait_until(
            lambda: running.done() or (lake.version("attempts") > 0 and bench.server.waiting > 0), "the second wave"
        )
        bench.server.die()
        bench.server.release()
        error = running.exception()
    assert isinstance(error, PoolError), error
    assert error.exit_code == 4
    assert bench.server.url in str(error) and error.remedy
    committed = {row["request_id"]: row for row in lake.rows("attempts")}
    assert 0 < len(committed) < len(DOCUMENTS)
    assert [row["exit_code"] for row in lake.rows("runs")] == [4]
    assert len(lake.view("current_documents")) == len(committed)

    bench.server.revive()
    before = len(bench.server.answered)
    bench.extract(file, corpus__id_column="id", run__lanes=1, asking__tries=2, **_WAVES)
    assert len(bench.server.answered) - before == len(DOCUMENTS) - len(committed)
    after = {row["request_id"]: row for row in lake.rows("attempts")}
    assert {name: after[name] for name in committed} == committed
    assert len(lake.view("current_documents")) == len(DOCUMENTS)
    check_unique(lake)


def test_a_key_that_is_refused_from_now_on_ends_the_run_at_once(bench: Bench) -> None:
    documents = [{"text": f"{family}若兰教了{number}年书。"} for family in _FAMILIES for number in range(4)]
    file = bench.corpus(documents)
    lake = bench.lake
    bench.server.hold(lambda _: lake.version("attempts") > 0)
    with ThreadPoolExecutor(1) as executor:
        running = executor.submit(bench.extract, file, run__lanes=1)
        bench.server.wait_until(
            lambda: running.done() or (lake.version("attempts") > 0 and bench.server.waiting > 0), "the second wave"
        )
        bench.backend.key = "another key"
        bench.server.release()
        error = running.exception()
    assert isinstance(error, PoolError), error
    assert error.exit_code == 4
    assert bench.server.url in str(error) and "API key" in str(error) and error.remedy
    committed = lake.counts()["attempts"]
    assert 0 < committed < len(documents)
    # Only those of the second wave that were in flight when the first of them was refused: two slots, and one to wait.
    assert committed < len(bench.server.asked) <= committed + 3
    assert [row["exit_code"] for row in lake.rows("runs")] == [4]


def test_a_second_run_and_maintenance_are_refused_while_a_run_is_alive(bench: Bench) -> None:
    file = bench.corpus(DOCUMENTS)
    bench.server.hold()
    with ThreadPoolExecutor(1) as executor:
        running = executor.submit(bench.extract, file, corpus__id_column="id", **_WAVES)
        try:
            bench.server.wait_until(lambda: bench.server.waiting > 0 or running.done(), "the first question")
            versions = bench.lake.versions()
            with pytest.raises(OutputError, match="is in use by run") as caught:
                bench.extract(file, corpus__id_column="id")
            assert caught.value.exit_code == 6
            with pytest.raises(OutputError, match="is in use by run") as caught:
                bench.maintain(maintain__retain_days=0, maintain__allow_short_retention=True)
            assert caught.value.exit_code == 6
            assert {**bench.lake.versions(), "runs": 0} == {**versions, "runs": 0}
        finally:
            bench.server.release()
        assert running.result().documents == len(DOCUMENTS)
    assert len(bench.server.asked) == len(DOCUMENTS)
    told = sorted((row["command"], row["exit_code"]) for row in bench.lake.rows("runs"))
    assert told == [("extract", 0), ("extract", 6), ("maintain", 6)]
    check_unique(bench.lake)


def test_a_table_that_somebody_alters_during_a_wave_ends_the_run(bench: Bench, spark: SparkSession) -> None:
    file = bench.corpus(DOCUMENTS)
    bench.server.hold()
    with ThreadPoolExecutor(1) as executor:
        running = executor.submit(bench.extract, file, corpus__id_column="id")
        try:
            bench.server.wait_until(lambda: bench.server.waiting > 0 or running.done(), "the first question")
            spark.sql(f"ALTER TABLE delta.`{bench.output}/attempts` SET TBLPROPERTIES ('somebody' = 'else')")
        finally:
            bench.server.release()
        error = running.exception()
    assert isinstance(error, Exception)
    assert "changed by somebody else" in str(classified(error))
    assert [row["exit_code"] for row in bench.lake.rows("runs")] == [6]
    assert bench.lake.rows("attempts") == []
    bench.extract(file, corpus__id_column="id")
    assert len(bench.lake.view("current_documents")) == len(DOCUMENTS)
    check_unique(bench.lake)


def test_a_defect_leaves_its_row_in_runs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Publisher) -> Published:
        raise ZeroDivisionError("nothing expected this")

    monkeypatch.setattr(Publisher, "publish", broken)
    with pytest.raises(ZeroDivisionError):
        bench.extract(bench.corpus(DOCUMENTS[:1]), corpus__id_column="id")
    [row] = bench.lake.rows("runs")
    assert (row["exit_code"], row["status"], row["answered"]) == (1, "failed", 1)
    assert row["error"] == "ZeroDivisionError: nothing expected this"


def test_a_wave_that_spark_computes_twice_fails_loudly(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    append = Store.append

    def count_first(self: Store, table: Table, frame: DataFrame, **given: Any) -> None:
        if table is ATTEMPTS:
            frame.count()
        append(self, table, frame, **given)

    monkeypatch.setattr(Store, "append", count_first)
    with pytest.raises(TriplelakeError, match="returned 24 answers, and 12 were written") as caught:
        bench.extract(bench.corpus(DOCUMENTS), corpus__id_column="id")
    assert caught.value.exit_code == 1
    # The answers are right, and are published.
    assert len(bench.lake.view("current_documents")) == len(DOCUMENTS)
