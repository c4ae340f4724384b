"""Progress as plain lines: what is committed and what is on its way add up."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from triplelake.engine.asking.progress import Reporter
from triplelake.engine.asking.tally import Tally
from triplelake.pool.reports import TaskCounts


def test_lines_add_what_is_on_its_way_and_come_at_most_every_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    console = Console(file=io.StringIO(), width=200)
    tally = Tally()
    with Reporter(console, 40) as reporter:
        reporter.tick(tally, TaskCounts())
        now += 10
        reporter.tick(tally, TaskCounts(answered=10, failed=1, triples=7, completion_tokens=500))
        now += 9
        reporter.tick(tally, TaskCounts(answered=15))
        now += 1
        tally.answered, tally.failed, tally.triples, tally.completion_tokens, tally.seconds = 20, 1, 15, 900, 19.0
        reporter.tick(tally, TaskCounts(answered=10, triples=5, completion_tokens=100))
        now += 1
        tally.answered, tally.seconds = 40, 21.0
        reporter.wave(tally)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        "10/40 answered, 7 triples, 50 tok/s, 1 failed, 30 s left",
        "30/40 answered, 20 triples, 50 tok/s, 1 failed, 7 s left",
        "40/40 answered, 15 triples, 43 tok/s, 1 failed, 0 s left",
    ]
    assert tally.answered == 40, "a tick must not count for a commit"
