"""A run that may use up so much and no more: it ends cleanly, says so, and the next one goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from harness.bench import Bench
from harness.lake import check_unique

from triplelake.commands import extract as job
from triplelake.engine.asking.budget import Budget
from triplelake.engine.asking.progress import Reporter
from triplelake.errors import BudgetSpent

pytestmark = pytest.mark.spark

_TEXTS = [{"text": f"{family}若兰生于临川城，在云梦书院教书。"} for family in "赵钱孙李周吴郑王冯陈褚卫"]
_ONE_LANE: dict[str, Any] = {"run__lanes": 1}


def told_to_stop(monkeypatch: pytest.MonkeyPatch, then: Callable[[], object]) -> None:
    """Do something at the moment in which a budget ends the run."""
    stopping = Reporter.stopping

    def tell(reporter: Reporter, budget: str | None) -> None:
        stopping(reporter, budget)
        then()

    monkeypatch.setattr(Reporter, "stopping", tell)


def deadline_when(monkeypatch: pytest.MonkeyPatch, reached: Callable[[], bool], late: Callable[[], bool]) -> None:
    """A budget whose time is over once something is so, and long over once something else is."""

    def clock() -> float:
        return 1000.0 if late() else 10.0 if reached() else 0.0

    monkeypatch.setattr(job, "budget_of", lambda *_: Budget(deadlines={"budget.until": 5.0}, clock=clock))


def test_requests_end_a_run_and_the_next_ones_go_on(bench: Bench) -> None:
    file = bench.corpus(_TEXTS)
    bench.server.forget()
    with pytest.raises(
        BudgetSpent, match=r"budget.max_requests: ended the run: 5 requests were asked, 7 are left"
    ) as end:
        bench.extract(file, budget__max_requests=5)
    assert end.value.exit_code == 8
    assert "Budget:   at most 5 requests (budget.max_requests)" in bench.said
    [row] = bench.lake.rows("runs")
    assert (row["status"], row["exit_code"], row["answered"], row["documents"]) == ("budget_spent", 8, 5, 5)
    # Of what a scheduler takes for a success nothing is raised; and a run that needs no more than it may is one.
    again = bench.extract(file, budget__max_requests=5, budget__success=True)
    assert again.spent is not None and again.tally.answered == 5
    assert "Budget:   budget.max_requests: ended the run" in bench.said
    last = bench.extract(file, budget__max_requests=2)
    assert last.spent is None and last.tally.answered == 2
    runs = sorted((row["status"], row["exit_code"]) for row in bench.lake.rows("runs"))
    assert runs == [("budget_spent", 0), ("budget_spent", 8), ("succeeded", 0)]
    assert len(bench.server.asked) == len(set(bench.server.asked)) == len(_TEXTS)
    check_unique(bench.lake)


def test_tokens_end_a_run(bench: Bench) -> None:
    # Each answer of the scripted server takes 15 tokens.
    with pytest.raises(BudgetSpent, match=r"budget\.max_tokens"):
        bench.extract(bench.corpus(_TEXTS), budget__max_tokens=100, **_ONE_LANE)
    [row] = bench.lake.rows("runs")
    assert 45 <= row["prompt_tokens"] + row["completion_tokens"] <= 100
    assert row["documents"] == row["answered"]


@pytest.mark.parametrize("comes", [True, False])
def test_what_is_in_flight_when_the_time_is_over(bench: Bench, monkeypatch: pytest.MonkeyPatch, comes: bool) -> None:
    """Comes in time and is kept; or does not and is given up, and the run ends as cleanly."""
    server, stopped = bench.server, [False]

    def at_the_stop() -> None:
        stopped[0] = True
        if comes:
            # Three places, twelve questions, three seconds each: the task is told long before it could ask them all.
            since: dict[str, float] = {}
            server.hold(lambda asked: time.monotonic() - since.setdefault(asked, time.monotonic()) < 3)

    server.hold()
    deadline_when(monkeypatch, lambda: server.waiting > 0, lambda: stopped[0] and not comes)
    told_to_stop(monkeypatch, at_the_stop)
    file = bench.corpus(_TEXTS)
    with pytest.raises(BudgetSpent, match=r"budget\.until: ended the run"):
        bench.extract(file, **_ONE_LANE)
    assert "Stopping by budget.until: what is in flight is answered and kept." in bench.said
    server.release()
    [row] = bench.lake.rows("runs")
    answered = row["answered"]
    assert (0 < answered < len(_TEXTS)) if comes else answered == 0
    assert bench.lake.counts()["attempts"] == row["documents"] == answered
    check_unique(bench.lake)
    if not comes:
        monkeypatch.undo()
        bench.extract(file)
        assert bench.lake.counts()["attempts"] == len(_TEXTS)
        check_unique(bench.lake)


def test_a_run_whose_time_is_over_before_it_asks_has_planned_for_the_next(bench: Bench) -> None:
    file = bench.corpus(_TEXTS)
    bench.server.forget()
    with pytest.raises(BudgetSpent, match=r"budget\.duration: ended the run: 0 requests were asked, 12 are left"):
        bench.extract(file, budget__duration="1s", run__preflight=False)
    assert not bench.server.asked
    assert bench.lake.counts()["requests"] == len(_TEXTS)
    [row] = bench.lake.rows("runs")
    assert (row["status"], row["exit_code"], row["answered"]) == ("budget_spent", 8, 0)


def test_a_dry_run_tells_the_bounds(bench: Bench) -> None:
    given: dict[str, Any] = {"budget__max_requests": 5000, "budget__max_tokens": 10**6, "budget__duration": "2h"}
    bench.preview(bench.corpus(_TEXTS), **given, cost__max=100, cost__gpu_hour=2)
    assert "Budget:   at most 5,000 requests (budget.max_requests)" in bench.said
    assert "at most 1,000,000 tokens of prompt and answer (budget.max_tokens)" in bench.said
    assert "asking ends in 2 h 00 min (budget.duration)" in bench.said
    assert "asking ends in 50 h 00 min (cost.max)" in bench.said
