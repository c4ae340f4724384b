"""What a run may use up: what each bound leaves, and that waves never go beyond it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triplelake.config import RunSettings, Settings, load_settings
from triplelake.engine.asking import waves as module
from triplelake.engine.asking.buckets import Bucket
from triplelake.engine.asking.budget import REQUESTS, TOKENS, Budget, Left, budget_of, check_budget
from triplelake.engine.asking.tally import COUNTED, EndpointTally, Tally, WaveResult
from triplelake.engine.asking.waves import Fleet, Waves
from triplelake.errors import UsageError
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.reports import TaskCounts
from triplelake.tables.schemas import ATTEMPTS

SLOTS = 6
POOL = (Endpoint("http://a", slots=SLOTS),)
_SCHEMA = pa.schema([*(ATTEMPTS.arrow.field(name) for name in COUNTED), ("triples", pa.int32())])


def settings_of(**given: Any) -> Settings:
    return load_settings(None, {name.replace("__", "."): value for name, value in given.items()}, {})


def tally(answered: int, tokens: int, slow_ms: float | None = None) -> Tally:
    made = Tally(answered=answered, prompt_tokens=tokens)
    if slow_ms is not None:
        made.endpoints["http://a"] = EndpointTally(answered=answered)
        made.endpoints["http://a"].latencies.add(slow_ms)
    return made


def test_without_a_bound_nothing_is_ever_spent() -> None:
    assert Budget().left(tally(10**6, 10**9), 10**6, SLOTS) is None
    assert Budget().spent(tally(10**6, 10**9), TaskCounts(), 10) is None
    assert not Budget().is_late(0.0)


def test_requests_that_are_promised_are_spent() -> None:
    assert Budget(requests=100).left(tally(60, 0), 30, SLOTS) == Left(10, REQUESTS)


def test_tokens_are_told_from_the_answers_so_far() -> None:
    assert Budget(tokens=1000).left(tally(0, 0), 0, SLOTS) == Left(SLOTS, TOKENS)
    assert Budget(tokens=1000).left(tally(0, 0), SLOTS, SLOTS) == Left(0, TOKENS)
    assert Budget(tokens=1000).left(tally(4, 400), 2, SLOTS) == Left(4, TOKENS)


def test_what_is_in_flight_is_taken_to_cost_as_much_as_what_is_answered() -> None:
    budget, live = Budget(tokens=1000), TaskCounts(answered=2, prompt_tokens=150, completion_tokens=50)
    assert budget.spent(tally(4, 400), live, 4) is None
    assert budget.spent(tally(4, 400), live, 5) == TOKENS
    assert budget.spent(tally(0, 0), TaskCounts(), 5) is None, "nothing tells yet what an answer costs"


@pytest.mark.parametrize(("now", "passed"), [(97.9, False), (98.1, True)])
def test_nothing_is_begun_that_would_end_too_late(now: float, passed: bool) -> None:
    budget = Budget(deadlines={"cost.max": 200.0, "budget.until": 100.0}, clock=lambda: now)
    seen = tally(5, 50, slow_ms=2000)
    assert budget.spent(seen, TaskCounts(), 0) == ("budget.until" if passed else None)
    assert budget.left(seen, 0, SLOTS) == (Left(0, "budget.until") if passed else None)


def test_what_is_late_is_given_up_after_the_grace() -> None:
    assert not Budget(deadlines={"budget.until": 100.0}, clock=lambda: 159.0).is_late(60.0)
    assert Budget(deadlines={"budget.until": 100.0}, clock=lambda: 160.0).is_late(60.0)


def test_time_and_money_are_counted_from_the_start_of_the_run() -> None:
    started = datetime.now(UTC) - timedelta(seconds=100)
    given = {"budget__duration": "1h", "cost__max": 10, "cost__gpu_hour": 2.5, "cost__gpus": 2}
    found = budget_of(settings_of(**given), 1, started, clock=lambda: 1000.0)
    assert found.deadlines == pytest.approx({"budget.duration": 4500.0, "cost.max": 900 + 7200.0}, abs=5)
    hour = f"{(started + timedelta(hours=3)).hour:02}:00 UTC"
    [(setting, at)] = budget_of(settings_of(budget__until=hour), 1, started, clock=lambda: 0.0).deadlines.items()
    assert setting == "budget.until" and 2 * 3600 - 105 <= at <= 3 * 3600


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"cost__max": 10}, "no price is known"),
        ({"cost__max": 10, "cost__gpu_hour": 0}, "no price is known"),
        ({"cost__max": 10, "cost__gpu_hour": 2}, "the embedded server has none"),
    ],
)
def test_money_needs_a_price_and_a_gpu(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        check_budget(settings_of(**given))
        budget_of(settings_of(**given), 1, datetime.now(UTC))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"budget__duration": 90}, "with its unit"),
        ({"budget__until": "25:00"}, "time of day"),
        ({"budget__until": 1440}, "string"),
        ({"budget__max_requests": 0}, "greater than or equal to 1"),
    ],
)
def test_a_bound_that_cannot_be_is_refused(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        settings_of(**given)


@pytest.mark.parametrize(("number", "meant"), [(1320, "22:00"), (605, "10:05"), (1439, "23:59")])
def test_a_time_of_day_that_yaml_takes_for_a_number_is_what_was_written(number: int, meant: str) -> None:
    assert settings_of(budget__until=number).budget.until == meant
    assert load_settings(None, {}, {"TRIPLELAKE__BUDGET__UNTIL": meant}).budget.until == meant


class Plan:
    """The open requests of a plan, answered as they are taken."""

    def __init__(self, sizes: list[int], budget: Budget) -> None:
        self.open = Counter(dict(enumerate(sizes)))
        nothing = cast(Any, lambda *_: None)
        self.waves = Waves(
            store=cast(Any, None),
            template=cast(Any, type("Template", (), {"plan_id": "p"})),
            settings=RunSettings(),
            fleet=lambda: Fleet(POOL, SLOTS, 1, nothing),
            check_pool=nothing,
            on_wave=nothing,
            on_tick=nothing,
            on_stop=nothing,
            run_id="r",
            desk=None,
            tally=Tally(),
            budget=budget,
        )
        self.waves._open.extend(self.buckets())

    def buckets(self) -> list[Bucket]:
        return [Bucket(number, "en", count, partial=True) for number, count in self.open.items() if count]

    def open_of(self, store: object, plan: str, among: tuple[Bucket, ...]) -> list[Bucket]:
        numbers = {bucket.bucket for bucket in among}
        return [bucket for bucket in self.buckets() if bucket.bucket in numbers]

    def commit(self, taken: list[Bucket], lost: int, tokens: int) -> None:
        """A wave comes back, but for some of its requests."""
        sent = sum(bucket.open for bucket in taken)
        rows: list[dict[str, Any]] = []
        kept = max(0, sent - lost)
        row = {"status": "ok", "cached_tokens": 0, "completion_tokens": 0, "latency_ms": 1.0, "endpoint": "http://a"}
        for bucket in taken:
            here = min(bucket.open, kept - len(rows))
            assert here <= self.open[bucket.bucket], "asked twice"
            self.open[bucket.bucket] -= here
            rows += [row | {"prompt_tokens": tokens, "failed_tries": [], "triples": 1}] * here
        self.waves._finish(WaveResult(0, sent, tuple(taken), pa.Table.from_pylist(rows, schema=_SCHEMA)))


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=12),
    st.integers(1, 60),
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=30),
)
def test_exactly_as_many_requests_are_asked_as_may_be(
    sizes: list[int], most: int, course: list[tuple[int, bool]]
) -> None:
    plan = Plan(sizes, Budget(requests=most))
    in_flight: list[list[Bucket]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "open_buckets", plan.open_of)
        for lost, first in [*course, *[(0, False)] * 200]:
            # Two lanes; where nothing may be begun, a lane would wait for the other's wave.
            if len(in_flight) < 2 and plan.waves._may_begin():
                in_flight.append(plan.waves._take())
                asked = plan.waves.tally.answered + sum(bucket.open for wave in in_flight for bucket in wave)
                assert asked <= most
            elif in_flight:
                # One that brings nothing three times ends the run, which is no matter of a budget.
                taken = in_flight.pop(0 if first else -1)
                plan.commit(taken, min(lost, sum(bucket.open for bucket in taken) - 1), tokens=3)
    assert not in_flight and plan.waves._take() == []
    assert plan.waves.tally.answered == min(most, sum(sizes))
    assert plan.waves._ended_by == (REQUESTS if most < sum(sizes) else None)


def test_tokens_end_a_run_at_the_last_answer_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan([4] * 20, Budget(tokens=200))
    monkeypatch.setattr(module, "open_buckets", plan.open_of)
    while taken := plan.waves._take():
        plan.commit(taken, 0, tokens=15)
    assert plan.waves.tally.prompt_tokens == 195 and plan.waves._ended_by == TOKENS


def test_a_bound_that_all_of_the_plan_keeps_to_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan([4, 4], Budget(requests=8, tokens=10**6))
    monkeypatch.setattr(module, "open_buckets", plan.open_of)
    while taken := plan.waves._take():
        plan.commit(taken, 0, tokens=15)
    assert plan.waves.tally.answered == 8 and plan.waves._ended_by is None


def test_a_cut_bucket_is_taken_up_again_where_a_request_of_its_wave_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan([5], Budget(requests=3))
    monkeypatch.setattr(module, "open_buckets", plan.open_of)
    [taken] = plan.waves._take()
    assert taken == replace(plan.buckets()[0], open=3, cut=True)
    plan.commit([taken], 1, tokens=1)
    [again] = plan.waves._take()
    assert (again.open, again.cut) == (1, True)
