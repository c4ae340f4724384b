"""Intervals of shares: Wilson's where each document has one case, wider where cases of a document are alike."""

from __future__ import annotations

import random
from bisect import bisect
from collections import Counter
from dataclasses import dataclass
from itertools import accumulate
from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triplelake.evaluate.bootstrap import Interval
from triplelake.evaluate.metrics import Counts
from triplelake.evaluate.ratios import Ratio, f1
from triplelake.evaluate.sampling import drawn as drawn_by_confidence
from triplelake.evaluate.shares import Case, gain, newcombe, share, weighted_share, wilson
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


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1))
def test_cases_that_all_weigh_one_have_the_share_of_their_counts(counted: list[tuple[int, bool]]) -> None:
    documents = dict.fromkeys(document for document, _ in counted)
    parts = [sum(counts for document, counts in counted if document == each) for each in documents]
    wholes = [sum(document == each for document, _ in counted) for each in documents]
    assert weighted_share([Case(*each) for each in counted]) == share(parts, wholes)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.sampled_from([1.0, 2.5, 3.157894737, 40.0])), min_size=1)
)
def test_laws_of_a_weighted_share(counted: list[tuple[int, bool, float]]) -> None:
    cases = [Case(*each) for each in counted]
    found = weighted_share(cases)
    mirrored = weighted_share([Case(case.document, not case.counts, case.weight) for case in cases])
    assert found and mirrored
    right, of = sum(case.weight for case in cases if case.counts), sum(case.weight for case in cases)
    assert found.value == pytest.approx(right / of)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high
    assert (1 - found.high, 1 - found.low) == pytest.approx((mirrored.low, mirrored.high))
    assert weighted_share([]) is None


@pytest.mark.slow
@pytest.mark.parametrize(("off", "alike"), [(0.0, 0.0), (0.0, 0.8), (2.0, 0.8)])
def test_95_percent_means_95_percent_of_what_was_drawn_by_confidence(off: float, alike: float) -> None:
    """Of all triples, and of one relation that is right less often; `off`: how wrong the confidence is, in logits."""
    rng = random.Random(6)
    held = narrower = held_by_relation = 0
    samples = 200
    worlds = [world(rng, off, alike) for _ in range(samples)]
    triples = [triple for each in worlds for triple in each.values()]
    truth = sum(triple.is_right for triple in triples) / len(triples)
    hard = [triple.is_right for triple in triples if triple.is_hard]
    relation_truth = sum(hard) / len(hard)
    for seed, known in enumerate(worlds):
        weights = drawn_by_confidence({name: each.confidence for name, each in known.items()}, 150, seed)
        cases = {name: Case(known[name].document, known[name].is_right, weight) for name, weight in weights.items()}
        plain_names = drawn_by_confidence(dict.fromkeys(known), 150, seed)
        plain = weighted_share([Case(known[name].document, known[name].is_right) for name in plain_names])
        found = weighted_share([*cases.values()])
        of_relation = weighted_share(
            [case for name, case in cases.items() if known[name].is_hard], drawn=Counter(weights.values())
        )
        assert found and plain and of_relation
        held += found.low <= truth <= found.high
        held_by_relation += of_relation.low <= relation_truth <= of_relation.high
        narrower += found.high - found.low < plain.high - plain.low
    assert held / samples >= 0.92
    assert held_by_relation / samples >= 0.92
    if not off:
        assert narrower / samples > 0.9


@dataclass(frozen=True, slots=True)
class Drawn:
    document: int
    confidence: float
    is_hard: bool
    is_right: bool


def world(rng: random.Random, off: float, alike: float) -> dict[str, Drawn]:
    """Documents that were drawn; the triples of each are right more often, or less, than their confidence says."""
    found = {}
    for document in range(120):
        own = rng.gauss(0, alike)
        for rank in range(rng.randint(1, 9)):
            hard = rng.random() < 0.25
            logit = rng.gauss(0.5, 2.0) - hard
            right = rng.random() < 1 / (1 + exp(-logit - own))
            found[f"{document}/{rank}"] = Drawn(document, 1 / (1 + exp(-logit - off)), hard, right)
    return found


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
