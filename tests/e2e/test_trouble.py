"""A run that cannot go on says so by its exit code, keeps what is done, and goes on by the same command."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from harness.jobs import Job, run_job
from harness.lake import Lake, check_unique
from harness.servers import Counted

from triplelake.errors import PoolError, TooManyFailures
from triplelake.tables.publish import Published, Publisher

pytestmark = pytest.mark.spark

_FAMILIES = "赵钱孙李周吴郑王冯陈褚卫"
DOCUMENTS = [
    {"id": f"d{number}", "text": f"{family}若兰生于临川城，在云梦书院教书。"} for number, family in enumerate(_FAMILIES)
]
_WAVES = {"run__bucket_size": 4, "run__wave_s": 0.001}


def test_too_many_failures_end_the_run_and_keep_what_is_done(bench: Any) -> None:
    bench.backend.refused = lambda question: any(family in question for family in _FAMILIES[:3])
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
    assert {each["doc_id"] for each in bench.lake.view("current_triples")} == {f"d{i}" for i in range(3, 12)}
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


def test_failures_below_the_limit_are_a_success(bench: Any) -> None:
    bench.backend.refused = lambda question: _FAMILIES[0] in question
    journal = bench.extract(bench.corpus(DOCUMENTS), corpus__id_column="id", **_WAVES)
    assert (journal.tally.answered, journal.tally.failed, journal.documents) == (12, 1, 12)
    assert [row["exit_code"] for row in bench.lake.rows("runs")] == [0]


def test_a_server_that_dies_ends_the_run_and_the_same_command_goes_on(bench: Any) -> None:
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


def test_a_defect_leaves_its_row_in_runs(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Publisher) -> Published:
        raise ZeroDivisionError("nothing expected this")

    monkeypatch.setattr(Publisher, "publish", broken)
    with pytest.raises(ZeroDivisionError):
        bench.extract(bench.corpus(DOCUMENTS[:1]), corpus__id_column="id")
    [row] = bench.lake.rows("runs")
    assert (row["exit_code"], row["status"], row["answered"]) == (1, "failed", 1)
    assert row["error"] == "ZeroDivisionError: nothing expected this"


@pytest.mark.parametrize("by", ["scheduler", "terminal"])
def test_a_signal_ends_the_run_and_the_same_command_goes_on(by: str, scripted: Counted, tmp_path: Path) -> None:
    file = tmp_path / "in.txt"
    file.write_text("\n".join(document["text"] for document in DOCUMENTS), encoding="utf-8")
    words = ["jobs/extract.py", "--input", file, "--format", "lines", "--output", tmp_path / "kg"]
    words += ["--pool", scripted.url, "--set", "run.bucket_size=4", "--set", "run.wave_s=0.001", "--set", "run.lanes=1"]
    words += ["--set", "run.grace_s=0.5"]
    lake = Lake(tmp_path / "kg")
    scripted.hold(lambda _: lake.version("attempts") > 0)
    job = Job(words, tmp_path)
    job.wait_until(lambda: lake.version("attempts") > 0 and scripted.waiting > 0, "the second wave")
    if by == "scheduler":
        job.tell(signal.SIGTERM)
    else:
        job.tell_all(signal.SIGINT)
    ended = job.wait()
    assert ended.code == 130, ended.text
    assert "the same command goes on" in ended.stderr
    assert "Traceback" not in ended.text
    assert [row["status"] for row in lake.rows("runs")] == ["interrupted"]
    committed = {row["request_id"]: row for row in lake.rows("attempts")}
    assert 0 < len(committed) < len(DOCUMENTS)
    scripted.wait_until(lambda: scripted.waiting == 0, "the workers to go")
    if by == "terminal":
        return

    scripted.release()
    scripted.forget()
    ended = run_job(words, tmp_path)
    assert ended.code == 0, ended.text
    assert len(scripted.asked) == len(DOCUMENTS) - len(committed)
    assert len(lake.view("current_documents")) == len(DOCUMENTS)
    check_unique(lake)


def test_what_is_in_flight_at_a_signal_is_answered_and_kept(scripted: Counted, tmp_path: Path) -> None:
    file = tmp_path / "in.txt"
    file.write_text("\n".join(document["text"] for document in DOCUMENTS), encoding="utf-8")
    words = ["jobs/extract.py", "--input", file, "--format", "lines", "--output", tmp_path / "kg"]
    # One wave for all: without a partial commit nothing would be kept.
    words += ["--pool", scripted.url, "--set", "run.lanes=1"]
    scripted.hold()
    job = Job(words, tmp_path)
    job.wait_until(lambda: scripted.waiting > 0, "the first questions")
    job.tell(signal.SIGTERM)
    job.wait_until(lambda: "Stopping: what is in flight is answered and kept." in job.output, "the job to take notice")
    # Three places, twelve questions, three seconds each: the task is told long before it could ask them all.
    since: dict[str, float] = {}
    scripted.hold(lambda asked: time.monotonic() - since.setdefault(asked, time.monotonic()) < 3)
    ended = job.wait()
    assert ended.code == 130, ended.text
    lake = Lake(tmp_path / "kg")
    assert 0 < lake.counts()["attempts"] == len(scripted.answered) < len(DOCUMENTS)
    assert [(row["status"], row["answered"]) for row in lake.rows("runs")] == [("interrupted", len(scripted.answered))]

    scripted.release()
    ended = run_job(words, tmp_path)
    assert ended.code == 0, ended.text
    assert lake.counts()["attempts"] == len(DOCUMENTS)
    check_unique(lake)
