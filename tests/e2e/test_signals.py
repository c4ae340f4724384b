"""A run that is told to stop: what is in flight is kept if it comes in time, and the same command goes on."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from harness.bench import Bench
from harness.deadline import wait_until
from harness.jobs import Job
from harness.lake import Lake, check_unique
from harness.servers import API_KEY, Counted

from triplelake.cli.extract import extract_command

pytestmark = pytest.mark.spark

_TEXTS = [f"{family}若兰生于临川城，在云梦书院教书。" for family in "赵钱孙李周吴郑王冯陈褚卫"]


@pytest.mark.infra
def test_a_signal_of_a_terminal_ends_a_run_whose_answers_do_not_come(scripted: Counted, tmp_path: Path) -> None:
    file = tmp_path / "in.txt"
    file.write_text("\n".join(_TEXTS), encoding="utf-8")
    words = ["jobs/extract.py", "--input", file, "--format", "lines", "--output", tmp_path / "kg"]
    words += ["--pool", scripted.url, "--set", "run.bucket_size=4", "--set", "run.wave_s=0.001", "--set", "run.lanes=1"]
    words += ["--set", "run.grace_s=0.5"]
    # Longer than a test may take: it is Spark that ends the wave, not an answer that did not come in time.
    words += ["--set", "asking.timeout_s=3000", "--set", "asking.deadline_s=3000"]
    lake = Lake(tmp_path / "kg")
    scripted.hold(lambda _: lake.version("attempts") > 0)
    job = Job(words, tmp_path)
    job.wait_until(lambda: lake.version("attempts") > 0 and scripted.waiting > 0, "the second wave")
    job.tell_all(signal.SIGINT)
    ended = job.wait()
    assert ended.code == 130, ended.text
    assert "the same command goes on" in ended.stderr
    assert "Traceback" not in ended.text and "WARN" not in ended.text
    assert [row["status"] for row in lake.rows("runs")] == ["interrupted"]
    committed = {row["request_id"]: row for row in lake.rows("attempts")}
    assert 0 < len(committed) < len(_TEXTS)
    scripted.wait_until(lambda: scripted.waiting == 0, "the workers to go")


@pytest.mark.infra
def test_what_is_in_flight_at_a_signal_is_answered_and_kept(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted = bench.server
    file = bench.folder / "in.txt"
    file.write_text("\n".join(_TEXTS), encoding="utf-8")
    words = ["--input", str(file), "--format", "lines", "--output", str(bench.output)]
    # One wave for all: without a partial commit nothing would be kept.
    words += ["--pool", scripted.url, "--set", "run.lanes=1"]
    scripted.hold()
    said = io.StringIO()
    ended = threading.Event()

    def tell() -> None:
        scripted.wait_until(lambda: scripted.waiting > 0 or ended.is_set(), "the first questions")
        if ended.is_set():
            return
        # To this process, which is the driver here, as a scheduler sends it.
        os.kill(os.getpid(), signal.SIGTERM)
        stopping = "Stopping: what is in flight is answered and kept."
        wait_until(lambda: stopping in said.getvalue() or ended.is_set(), "the job to take notice")
        # Three places, twelve questions, three seconds each: the task is told long before it could ask them all.
        since: dict[str, float] = {}
        scripted.hold(lambda asked: time.monotonic() - since.setdefault(asked, time.monotonic()) < 3)

    monkeypatch.setenv("TRIPLELAKE__API_KEY", API_KEY)
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setattr(sys, "stdout", said)
    before = signal.getsignal(signal.SIGTERM)
    with ThreadPoolExecutor(1) as executor:
        telling = executor.submit(tell)
        try:
            code = extract_command(words)
        finally:
            ended.set()
            signal.signal(signal.SIGTERM, before)
        telling.result()
    assert code == 130, said.getvalue()
    assert 0 < bench.lake.counts()["attempts"] == len(scripted.answered) < len(_TEXTS)
    [row] = bench.lake.rows("runs")
    assert (row["status"], row["answered"]) == ("interrupted", len(scripted.answered))

    scripted.release()
    bench.extract(file, corpus__format="lines", run__lanes=1)
    assert bench.lake.counts()["attempts"] == len(_TEXTS)
    check_unique(bench.lake)
