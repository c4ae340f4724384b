"""How the buckets of a plan are cut into waves, and when what a wave brought ends the run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pyarrow as pa
import pytest

from triplelake.config import RunSettings
from triplelake.engine.asking.buckets import Bucket
from triplelake.engine.asking.budget import Budget
from triplelake.engine.asking.tally import COUNTED, Tally, WaveResult
from triplelake.engine.asking.waves import Fleet, Waves
from triplelake.errors import TooManyFailures, TriplelakeError
from triplelake.pool.desk import Desk
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.reports import TaskCounts, TaskId, TaskReport
from triplelake.tables.schemas import ATTEMPTS
from triplelake.types import Lang

SLOTS = 6
POOL = (Endpoint("http://a", slots=SLOTS),)
_SCHEMA = pa.schema([*(ATTEMPTS.arrow.field(name) for name in COUNTED), ("triples", pa.int32())])


def waves(buckets: Sequence[Bucket] = (), desk: Desk | None = None, **settings: Any) -> Waves:
    """Over no store."""
    nothing = cast(Any, lambda *_: None)
    made = Waves(
        store=cast(Any, None),
        template=cast(Any, type("Template", (), {"plan_id": "p"})),
        settings=RunSettings(**settings),
        fleet=lambda: Fleet(POOL, SLOTS, 1, nothing),
        check_pool=nothing,
        on_wave=nothing,
        on_tick=nothing,
        on_stop=nothing,
        run_id="r",
        desk=desk,
        tally=Tally(),
        budget=Budget(),
    )
    made._open.extend(buckets)
    return made


def buckets(count: int, size: int = 4, lang: Lang = "en", first: int = 0) -> list[Bucket]:
    return [Bucket(first + number, lang, size, partial=False) for number in range(count)]


def taken(made: Waves) -> list[int]:
    return [bucket.bucket for bucket in made._take()]


def result(answered: int, failed: int = 0, wave: int = 0) -> WaveResult:
    row = {"prompt_tokens": 1, "cached_tokens": 0, "completion_tokens": 1, "latency_ms": 1.0, "endpoint": "http://a"}
    row |= {"failed_tries": [], "triples": 1}
    rows = [row | {"status": "failed" if place < failed else "ok"} for place in range(answered)]
    return WaveResult(wave, answered, (), pa.Table.from_pylist(rows, schema=_SCHEMA))


def test_a_first_wave_fills_each_slot_a_few_times() -> None:
    made = waves(buckets(100))
    assert sum(bucket.open for bucket in made._take()) == SLOTS * 4


def test_a_later_wave_is_as_long_as_the_settings_say_at_the_rate_so_far() -> None:
    made = waves(buckets(1000), wave_s=20.0)
    made.tally.answered, made._began = 300, time.monotonic() - 10
    assert sum(bucket.open for bucket in made._take()) == pytest.approx(30 * 20, abs=4)


def test_a_pool_that_is_slow_still_gets_a_request_for_each_slot() -> None:
    made = waves(buckets(1000, size=1), wave_s=1.0)
    made.tally.answered, made._began = 1, time.monotonic() - 1000
    assert sum(bucket.open for bucket in made._take()) == SLOTS


def test_a_wave_is_of_one_language_and_buckets_go_in_order() -> None:
    made = waves([*buckets(3, lang="zh-Hans"), *buckets(20, lang="en", first=3)])
    assert taken(made) == [0, 1, 2]
    assert taken(made) == [3, 4, 5, 6, 7, 8]
    assert [bucket.bucket for bucket in made._open] == [*range(9, 23)]


def test_nothing_is_taken_of_an_empty_plan_or_after_a_stop() -> None:
    assert taken(waves()) == []
    made = waves(buckets(3), desk=Desk(POOL))
    made._stop()
    assert taken(made) == []


@pytest.mark.parametrize(("failed", "ends"), [(20, False), (21, True)])
def test_more_failures_than_allowed_end_the_run(failed: int, ends: bool) -> None:
    made = waves(max_failure_rate=0.2)
    if not ends:
        made._finish(result(100, failed))
        return
    with pytest.raises(TooManyFailures, match=r"21 of 100 failed; .* allows 20%"):
        made._finish(result(100, failed))


def test_a_few_answers_are_too_few_to_judge_by() -> None:
    made = waves()
    made._finish(result(49, failed=49))
    with pytest.raises(TooManyFailures):
        made._finish(result(1))


@pytest.mark.parametrize(("written", "raised"), [(5, False), (4, True)])
def test_a_wave_that_was_computed_twice_is_told(written: int, raised: bool) -> None:
    desk = Desk(POOL)
    made = waves(desk=desk)
    desk.open(3, POOL)
    desk.report(TaskReport(TaskId(3, 0, 0), 0, {}, TaskCounts(answered=5), over=True, whole=True))
    if not raised:
        made._finish(result(written, wave=3))
        return
    with pytest.raises(TriplelakeError, match="wave 3: its tasks returned 5 answers, and 4 were written"):
        made._finish(replace(result(written, wave=3), sent=written))
