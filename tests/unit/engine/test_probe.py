"""What a probe says of a run: slots that are busy, not questions that wait, decide how long it takes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triplelake.config import AskingSettings, load_settings
from triplelake.engine.probe import Asked, estimate

FREE = AskingSettings()


def alike(count: int, took: float, *, slots: int) -> list[Asked]:
    """Questions of one length that keep so many slots busy, one after the other."""
    return [Asked((n // slots) * took, (n // slots + 1) * took, 100, 10) for n in range(count)]


def test_a_pool_that_is_kept_busy_takes_as_long_as_its_slots_do() -> None:
    found = estimate(alike(20, 6.0, slots=4), 12_000, 4, FREE)
    assert found.hours.value == pytest.approx(12_000 * 6 / 4 / 3600)
    assert (found.hours.low, found.hours.high) == pytest.approx((found.hours.value,) * 2)
    assert (found.prompt.value, found.decoded.value, found.most_busy) == (1_200_000, 120_000, 4)


def test_waiting_for_a_slot_is_no_cost_of_a_question() -> None:
    # Eight sent at once to four slots: four wait while the others are answered.
    sent = [Asked(0.0, 6.0, 100, 10)] * 4 + [Asked(0.0, 12.0, 100, 10)] * 4
    assert estimate(sent, 8, 4, FREE).hours.value == pytest.approx(12 / 3600)


def test_few_questions_tell_how_few_slots_they_kept_busy() -> None:
    found = estimate(alike(3, 6.0, slots=3), 3_000, 64, FREE)
    assert found.most_busy == 3
    assert found.hours.value == pytest.approx(3_000 * 6 / 64 / 3600)


def test_the_limits_of_the_job_hold() -> None:
    asked = alike(20, 6.0, slots=4)
    slow = estimate(asked, 1_000, 400, AskingSettings(requests_per_s=0.5))
    assert slow.hours.value == pytest.approx(1_000 / 0.5 / 3600)
    looked = [replace(each, requests=1 + place % 3) for place, each in enumerate(asked[:18])]
    twice = estimate(looked, 1_000, 400, AskingSettings(requests_per_s=0.5))
    assert twice.hours.value == pytest.approx(2 * slow.hours.value)
    read = estimate(asked, 1_000, 400, AskingSettings(tokens_per_s=11))
    assert read.hours.value == pytest.approx(1_000 * 110 / 11 / 3600)


def test_an_interval_is_as_wide_as_the_questions_differ() -> None:
    near = [Asked(0, 1 + n / 100, 100, 10) for n in range(20)]
    far = [Asked(0, 1 + n, 100, 10) for n in range(20)]
    narrow, wide = (estimate(asked, 1_000, 64, FREE).hours for asked in (near, far))
    assert (wide.high - wide.low) / wide.value > 5 * (narrow.high - narrow.low) / narrow.value > 0


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0.1, 20)), min_size=1, max_size=30), st.integers(1, 16))
def test_it_is_between_one_slot_and_no_waiting(spans: list[tuple[float, float]], slots: int) -> None:
    asked = [Asked(began, began + took, 10, 1) for began, took in spans]
    found = estimate(asked, len(asked), slots, FREE)
    assert 0 < found.hours.value * 3600 * slots <= sum(took for _, took in spans) * (1 + 1e-9)
    assert found.hours.low <= found.hours.value * (1 + 1e-9)
    assert 1 <= found.most_busy <= slots


@pytest.mark.parametrize(
    ("chosen", "gpus"),
    [
        ({"pool": "http://a,http://b"}, 2),
        ({"pool": "http://a,http://b", "cost.gpus": 8}, 8),
        ({"pool": "embedded"}, 0),
        ({"pool": "embedded", "cost.gpus": 1}, 1),
    ],
)
def test_a_server_has_a_gpu_unless_it_is_the_embedded_one(chosen: dict[str, object], gpus: int) -> None:
    settings = load_settings(None, {"input": ("a.json",), **chosen}, {})
    assert settings.gpus(len(str(chosen["pool"]).split(","))) == gpus


def test_one_question_tells_no_interval_and_few_tell_a_wide_one() -> None:
    one = estimate([Asked(0, 3, 100, 10)], 1_000, 4, FREE).prompt
    assert one.value == one.low == one.high == 100_000
    # Of three questions the largest and the smallest may be what all are like.
    three = estimate([Asked(0, 3, tokens, 10) for tokens in (50, 100, 150)], 1_000, 4, FREE).prompt
    assert (three.low, three.high) == (50_000, 150_000)
