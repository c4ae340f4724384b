"""Intervals of shares: Wilson's where each document has one case, wider where cases of a document are alike."""

from __future__ import annotations

import random
from bisect import bisect
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triplelake.evaluate.bootstrap import Interval
from triplelake.evaluate.metrics import Counts
from triplelake.evaluate.ratios import Ratio, f1
from triplelake.evaluate.shares import gain, newcombe, share, wilson
from triplelake.evaluate.student import two_sided

COUNTED = st.lists(st.integers(0, 6).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))), min_size=1)


def drawn(rng: random.Random, documents: int, triples: int, precision: float, alike: float) -> tuple[list[int], ...]:
    """Right triples and all of each document: its own precision is drawn, so that they are alike to that degree."""
    ends = list(accumulate(rng.expovariate(1) for _ in range(documents)))
    sizes = [1] * documents
    for _ in range(triples - documents):
        sizes[min(bisect(ends, rng.random() * ends[-1]), documents - 1)] += 1
    of = 1 / alike - 1 if alike else 0.0
    owns = [rng.betavariate(precision * of, (1 - precision) * of) if of else precision for _ in sizes]
    return [sum(rng.random() < own for _ in range(size)) for own, size in zip(owns, sizes, strict=True)], sizes


@pytest.mark.parametrize(
    ("documents", "triples", "precision", "alike"),
    [(20, 100, 0.8, 0.5), (40, 200, 0.95, 0.3), (10, 40, 0.5, 0.3), (80, 200, 0.2, 0.5), (40, 60, 0.8, 0.0)],
)
def test_95_percent_means_95_percent(documents: int, triples: int, precision: float, alike: float) -> None:
    rng = random.Random(20)
    held = held_by_triples = 0
    samples = 400
    for _ in range(samples):
        right, of = drawn(rng, documents, triples, precision, alike)
        found, by_triples = share(right, of), wilson(sum(right) / triples, triples)
        assert found is not None
        held += found.low <= precision <= found.high
        held_by_triples += by_triples.low <= precision <= by_triples.high
    assert held / samples >= 0.92
    if alike:
        assert held_by_triples / samples < 0.9, "the test would not see what it is for"


def test_a_case_of_each_document_gives_the_interval_of_wilson() -> None:
    # 7 of 10 with z = 1.96: middle (0.7 + 0.192073) / 1.384146, half of the width 0.247765.
    found = share([1] * 7 + [0] * 3, [1] * 10)
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((0.7, 0.396774, 0.892208), abs=1e-4)


def test_one_document_tells_no_more_than_one_case() -> None:
    assert share([9], [9]) == wilson(1.0, 1)
    assert share([3], [9]) == wilson(1 / 3, 1)


@given(COUNTED)
def test_laws_of_a_share(counted: list[tuple[int, int]]) -> None:
    right, of = ([float(each[rank]) for each in counted] for rank in (0, 1))
    found, mirrored = share(right, of), share([b - a for a, b in counted], of)
    if not sum(of):
        assert found is None
        return
    assert found and mirrored
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high
    assert (1 - found.high, 1 - found.low) == pytest.approx((mirrored.low, mirrored.high))
    # Never narrower than if every case were drawn by itself, nor wider than if each document were one case.
    alone, alike = wilson(found.value, sum(of)), wilson(found.value, sum(of) ** 2 / sum(each**2 for each in of))
    width = found.high - found.low
    assert alone.high - alone.low - 1e-9 <= width <= alike.high - alike.low + 1e-9
    # A document with nothing to count changes nothing.
    assert share([*right, 0], [*of, 0]) == found


def test_all_right_in_a_few_documents_is_no_certainty() -> None:
    found = share([2] * 6, [2] * 6)
    assert found is not None
    assert found.high == 1.0 and 0.5 < found.low < 0.8
    assert share([], []) is None
    with pytest.raises(ValueError, match="1 parts of 2 wholes"):
        share([1], [1, 1])


def test_a_difference_as_newcombe_published_it() -> None:
    # Newcombe 1998, case (a), method 10: 56/70 against 48/80 gives 0.2000, 0.0524 to 0.3339.
    one, other = wilson(56 / 70, 70), wilson(48 / 80, 80)
    found = newcombe(one, other)
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)
    assert newcombe(one, one).low < 0 < newcombe(one, one).high


def test_a_paired_difference_is_narrower_than_that_of_two_samples() -> None:
    rng = random.Random(3)
    right, of = drawn(rng, 60, 180, 0.6, 0.3)
    worse = [sum(rng.random() < 0.8 for _ in range(each)) for each in right]
    found = gain((right, of), (worse, of))
    one, other = share(right, of), share(worse, of)
    assert found and one and other
    apart = newcombe(one, other)
    assert found.value == pytest.approx((sum(right) - sum(worse)) / sum(of))
    assert 0 < found.low < found.value < found.high
    assert found.high - found.low < 0.8 * (apart.high - apart.low)
    assert gain((right, of), (right, of)) == Interval(0.0, 0.0, 0.0)
    assert gain((right, of), ([], [])) is None


def test_three_documents_that_gained_are_no_proof() -> None:
    found = gain(([1, 1, 1], [1, 1, 1]), ([0, 0, 0], [1, 1, 1]))
    assert found and found.value == found.high == 1.0 and found.low < 0.5


def test_f1_of_nothing() -> None:
    assert f1([Counts(), Counts()]) == Interval(1.0, 0.0, 1.0)
    assert f1([Counts(0, 0, 3)] * 4).value == 0.0 < f1([Counts(0, 0, 3)] * 4).high
    with pytest.raises(ValueError, match="no documents"):
        f1([])


def test_a_rate_is_resampled() -> None:
    rate: Ratio[Counts] = Ratio(lambda counts: counts.correct, lambda counts: counts.gold, per=1000)
    documents = [Counts(rank % 3, 3, 40 + rank) for rank in range(30)]
    found = rate.interval(documents)
    assert found is not None
    assert found.value == rate(Counts(30, 90, sum(range(40, 70)))) and found.low < found.value < found.high
    assert rate.gain(documents, documents) == Interval(0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="30 and 1 documents"):
        rate.gain(documents, documents[:1])


@pytest.mark.parametrize(
    ("degrees", "quantile"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (9, 2.2622), (30, 2.0423), (99, 1.9842), (100, 1.98397)],
)
def test_quantiles_as_in_the_tables(degrees: int, quantile: float) -> None:
    assert two_sided(0.95, degrees) == pytest.approx(quantile, abs=1e-4)


def test_no_degrees_of_freedom() -> None:
    with pytest.raises(ValueError, match="0 degrees"):
        two_sided(0.95, 0)
