"""What becomes of a wave that comes back without some of its answers, and when that ends the run."""

from __future__ import annotations

from typing import Any, cast

import pyarrow as pa
import pytest

from triplelake.config import RunSettings
from triplelake.engine.asking import waves as module
from triplelake.engine.asking.buckets import Bucket
from triplelake.engine.asking.budget import Budget
from triplelake.engine.asking.tally import COUNTED, Tally, WaveResult
from triplelake.engine.asking.waves import Waves
from triplelake.errors import PoolError
from triplelake.tables.schemas import ATTEMPTS

_SCHEMA = pa.schema([*(ATTEMPTS.arrow.field(name) for name in COUNTED), ("triples", pa.int32())])


def bucket(number: int) -> Bucket:
    return Bucket(number, "en", 4, partial=False)


def result(answered: int, sent: int = 4) -> WaveResult:
    row = {"status": "ok", "prompt_tokens": 1, "cached_tokens": 0, "completion_tokens": 1, "latency_ms": 1.0}
    rows = [row | {"endpoint": "http://a", "failed_tries": [], "triples": 1}] * answered
    return WaveResult(0, sent, (bucket(0),), pa.Table.from_pylist(rows, schema=_SCHEMA))


@pytest.fixture
def waves(monkeypatch: pytest.MonkeyPatch) -> Waves:
    """Over no store: what is open of a wave's buckets is all of it."""
    monkeypatch.setattr(module, "open_buckets", lambda store, plan, buckets: [*buckets])
    nothing = cast(Any, lambda *_: None)
    template = cast(Any, type("Template", (), {"plan_id": "p"}))
    given: dict[str, Any] = dict.fromkeys(("fleet", "check_pool", "on_wave", "on_tick", "on_stop"), nothing)
    return Waves(
        cast(Any, None), template, RunSettings(), **given, run_id="r", desk=None, tally=Tally(), budget=Budget()
    )


def test_a_pool_that_answers_most_of_each_wave_works_to_the_end(waves: Waves) -> None:
    for _ in range(20):
        waves._finish(result(answered=1))
    assert waves.tally.answered == 20


def test_a_pool_that_answers_nothing_ends_the_run(waves: Waves) -> None:
    for answered in (0, 0, 1, 0, 0):
        waves._finish(result(answered))
    with pytest.raises(PoolError, match="3 waves in a row came back without a single answer"):
        waves._finish(result(0))


def test_what_came_back_is_asked_after_all_others(waves: Waves) -> None:
    waves._open.append(bucket(1))
    waves._finish(result(answered=3))
    assert [each.bucket for each in waves._open] == [1, 0]
