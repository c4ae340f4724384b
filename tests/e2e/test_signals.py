"""A run that is told to stop: what is in flight is kept if it comes in time, and the same command goes on."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest
from harness.jobs import Job
from harness.lake import Lake, check_unique
from harness.servers import Counted

pytestmark = pytest.mark.spark

_TEXTS = [f"{family}若兰生于临川城，在云梦书院教书。" for family in "赵钱孙李周吴郑王冯陈褚卫"]


def test_a_signal_of_a_terminal_ends_a_run_whose_answers_do_not_come(scripted: Counted, tmp_path: Path) -> None:
    file = tmp_path / "in.txt"
    file.write_text("\n".join(_TEXTS), encoding="utf-8")
    words = ["jobs/extract.py", "--input", file, "--format", "lines", "--output", tmp_path / "kg"]
    words += ["--pool", scripted.url, "--set", "run.bucket_size=4", "--set", "run.wave_s=0.001", "--set", "run.lanes=1"]
    words += ["--set", "run.grace_s=0.5"]
    lake = Lake(tmp_path / "kg")
    scripted.hold(lambda _: lake.version("attempts") > 0)
    job = Job(words, tmp_path)
    job.wait_until(lambda: lake.version("attempts") > 0 and scripted.waiting > 0, "the second wave")
    job.tell_all(signal.SIGINT)
    ended = job.wait()
    assert ended.code == 130, ended.text
    assert "the same command goes on" in ended.stderr
    assert "Traceback" not in ended.text
    assert [row["status"] for row in lake.rows("runs")] == ["interrupted"]
    committed = {row["request_id"]: row for row in lake.rows("attempts")}
    assert 0 < len(committed) < len(_TEXTS)
    scripted.wait_until(lambda: scripted.waiting == 0, "the workers to go")


def test_what_is_in_flight_at_a_signal_is_answered_and_kept(bench: Any) -> None:
    scripted, tmp_path = bench.server, bench.folder
    file = tmp_path / "in.txt"
    file.write_text("\n".join(_TEXTS), encoding="utf-8")
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
    assert 0 < lake.counts()["attempts"] == len(scripted.answered) < len(_TEXTS)
    assert [(row["status"], row["answered"]) for row in lake.rows("runs")] == [("interrupted", len(scripted.answered))]

    scripted.release()
    bench.extract(file, corpus__format="lines", run__lanes=1)
    assert lake.counts()["attempts"] == len(_TEXTS)
    check_unique(lake)
