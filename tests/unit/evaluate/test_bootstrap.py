"""Bootstrap intervals: fixed by their seed, around the value, narrower with more documents."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triplelake.evaluate.bootstrap import Interval, differences, intervals
from triplelake.evaluate.metrics import Counts, total

DOCUMENTS = [Counts(rank % 3 > 0, 1, 1) for rank in range(90)]


def f1(counts: Counts) -> float:
    return counts.f1


def interval(documents: Sequence[Counts], statistic: Callable[[Counts], float] = f1, **more: Any) -> Interval:
    [found] = intervals(documents, {"": statistic}, **more).values()
    assert found is not None
    return found


def difference(documents: Sequence[Counts], others: Sequence[Counts]) -> Interval | None:
    return differences(documents, others, {"": f1})[""]


@given(st.lists(st.builds(lambda c, p, g: Counts(c, c + p, c + g), *[st.integers(0, 4)] * 3), min_size=2, max_size=12))
@settings(max_examples=25)  # its time is that of a machine that may be busy
def test_the_value_is_that_of_all_documents_and_the_bounds_are_in_order(documents: list[Counts]) -> None:
    found = interval(documents, resamples=60)
    assert found.value == total(documents).f1
    assert 0 <= found.low <= found.high <= 1
    assert interval(documents, resamples=60) == found


def test_the_seed_decides() -> None:
    assert interval(DOCUMENTS, seed=1) == interval(DOCUMENTS, seed=1)
    assert interval(DOCUMENTS, seed=1) != interval(DOCUMENTS, seed=2)


def test_the_interval_is_that_of_the_binomial() -> None:
    # With one prediction and one fact per document precision is a proportion: compare with its normal interval.
    found = interval(DOCUMENTS, lambda counts: counts.precision, resamples=2000)
    half = 1.96 * math.sqrt((2 / 3) * (1 / 3) / len(DOCUMENTS))
    assert found.value == pytest.approx(2 / 3)
    assert found.low == pytest.approx(2 / 3 - half, abs=0.02)
    assert found.high == pytest.approx(2 / 3 + half, abs=0.02)


def test_level_and_number_of_documents_set_the_width() -> None:
    def width(found: Interval) -> float:
        return found.high - found.low

    assert width(interval(DOCUMENTS, level=0.5)) < width(interval(DOCUMENTS)) < width(interval(DOCUMENTS[:15]))


def test_few_documents_tell_less_than_their_resampled_values_say() -> None:
    # Five of 1 to 5: t with 4 degrees of freedom is 2.776, so that 0.1 % of the means are left out on each side.
    found = interval([Counts(rank, 5, 5) for rank in range(1, 6)], lambda counts: counts.precision, resamples=4000)
    assert (found.low, found.high) == pytest.approx((0.6 - 2.776 * 0.1414, 0.6 + 2.776 * 0.1414), abs=0.05)
    assert intervals([Counts(1, 2, 2)], {"": f1}) == {"": None}
    assert differences([Counts(1, 2, 2)], [Counts()], {"": f1}) == {"": None}


def test_a_paired_difference_is_narrower_than_the_intervals_apart() -> None:
    drawn = random.Random(3)
    worse = [Counts(each.correct if drawn.random() < 0.85 else 0, 1, 1) for each in DOCUMENTS]
    found = difference(DOCUMENTS, worse)
    assert found is not None
    assert 0 < found.low < found.value < found.high
    assert found.value == pytest.approx(total(DOCUMENTS).f1 - total(worse).f1)
    assert interval(worse).high > interval(DOCUMENTS).low
    assert difference(DOCUMENTS, DOCUMENTS) == Interval(0.0, 0.0, 0.0)


def test_several_statistics_are_each_as_alone() -> None:
    def precision(counts: Counts) -> float:
        return counts.precision

    statistics = {"f1": f1, "precision": precision, "never": lambda _: None}
    found = intervals(DOCUMENTS, statistics)
    assert found == {"f1": interval(DOCUMENTS), "precision": interval(DOCUMENTS, precision), "never": None}
    worse = DOCUMENTS[45:] + DOCUMENTS[:45]
    assert differences(DOCUMENTS, worse, {"f1": f1}) == {"f1": difference(DOCUMENTS, worse)}
    assert differences(DOCUMENTS, worse, {"never": lambda _: None}) == {"never": None}


def test_a_resample_with_nothing_to_divide_by_is_left_out() -> None:
    def share(counts: Counts) -> float | None:
        return counts.correct / counts.predicted if counts.predicted else None

    # A resample of two documents misses the one that said something a quarter of the time.
    found = intervals([Counts(1, 2, 2), Counts(0, 0, 1)], {"share": share})
    assert found == {"share": Interval(0.5, 0.5, 0.5)}


def test_what_cannot_be_resampled_is_refused() -> None:
    with pytest.raises(ValueError, match="no documents"):
        intervals([], {})
    with pytest.raises(ValueError, match="2 and 1 documents"):
        difference([Counts()] * 2, [Counts()])
