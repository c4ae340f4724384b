"""The draw of a sheet: a function of the triples and the seed, and weights that make what is judged unbiased."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise
from math import sqrt
from statistics import mean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triplelake.evaluate.sampling import drawn

CONFIDENCES = st.lists(st.none() | st.floats(0, 1) | st.sampled_from([0.0, 0.5, 1.0]), max_size=400).map(
    lambda values: {f"t{rank}": value for rank, value in enumerate(values)}
)


def population(triples: int, seed: int, off: float = 0.0) -> tuple[dict[str, float | None], dict[str, bool]]:
    """Confidences and the truth: triples are right with the probability that is their confidence less `off`."""
    rng = random.Random(seed)
    sure = {f"t{rank}": rng.betavariate(0.8, 0.4) for rank in range(triples)}
    return dict(sure), {each: rng.random() < value - off for each, value in sure.items()}


@given(CONFIDENCES, st.integers(1, 300), st.integers(0, 3), st.randoms(use_true_random=False))
def test_a_draw_is_of_the_set_and_the_seed(
    confidences: dict[str, float | None], rows: int, seed: int, order: random.Random
) -> None:
    found = drawn(confidences, rows, seed)
    assert len(found) == min(rows, len(confidences))
    assert sum(found.values()) == pytest.approx(len(confidences))
    assert found.keys() <= confidences.keys()
    # No row stands for less than itself, nor for more than twice what it does in a plain draw.
    assert all(1 <= weight <= max(1.0, 2.000001 * len(confidences) / rows) for weight in found.values())
    items = list(confidences.items())
    order.shuffle(items)
    assert drawn(dict(items), rows, seed) == found
    if rows >= len(confidences):
        assert set(found.values()) <= {1.0}


@given(st.integers(2, 30), st.integers(0, 200), st.integers(0, 2))
def test_the_weights_of_a_stratum_sum_to_its_triples(tens: int, unknown: int, seed: int) -> None:
    rows = 10 * tens
    confidences, _ = population(3 * rows, seed)
    ordered = sorted(confidences, key=lambda each: confidences[each] or 0.0)
    found = drawn(confidences | {f"u{rank}": None for rank in range(unknown)}, rows, seed)
    strata = min(10, tens)
    ends = [rank * len(ordered) // strata for rank in range(strata + 1)]
    for low, high in pairwise(ends):
        weights = [found[each] for each in ordered[low:high] if each in found]
        assert weights, "no stratum is left out"
        assert sum(weights) == pytest.approx(high - low)
    assert sum(found.get(f"u{rank}", 0.0) for rank in range(unknown)) == pytest.approx(unknown)


def test_rows_go_where_right_and_wrong_are_mixed() -> None:
    sure = {f"s{rank}": 0.99 for rank in range(500)}
    mixed = {f"m{rank}": 0.5 for rank in range(500)}
    found = Counter(each[0] for each in drawn(sure | mixed, 100, 0))
    # By Neyman 0.5 of 0.5 + √(0.99 · 0.01) = 83 of 100, were it not for the least of each stratum: 5 of 100 in ten.
    assert (found["m"], found["s"]) == (75, 25)


def test_without_any_confidence_it_is_a_plain_draw() -> None:
    confidences = dict.fromkeys((f"t{rank}" for rank in range(500)), None)
    assert set(drawn(confidences, 100, 0).values()) == {5.0}
    times: Counter[str] = Counter(each for seed in range(200) for each in drawn(confidences, 100, seed))
    assert (len(times), mean(times.values())) == (500, 40)
    assert stdev(times.values()) == pytest.approx(sqrt(200 * 0.2 * 0.8), rel=0.15)
    assert drawn({}, 100, 0) == {}


@pytest.mark.slow
@pytest.mark.parametrize("off", [0.0, 0.4], ids=["a confidence that is true", "one that is far off"])
def test_what_is_weighed_is_unbiased_and_what_is_not_is_biased(off: float) -> None:
    confidences, right = population(1000, 7, off)
    truth = mean(right.values())
    weighed, plain, unweighed = [], [], []
    for seed in range(300):
        found = drawn(confidences, 100, seed)
        weighed.append(sum(right[each] * weight for each, weight in found.items()) / sum(found.values()))
        unweighed.append(mean(right[each] for each in found))
        plain.append(mean(right[each] for each in drawn(dict.fromkeys(confidences), 100, seed)))
    error = stdev(weighed) / sqrt(len(weighed))
    assert abs(mean(weighed) - truth) < 3 * error
    assert abs(mean(unweighed) - truth) > 10 * error, "the test would not see what it is for"
    # Where the confidence is true, fewer verdicts tell as much as those of a plain draw; where it is off, no more.
    assert stdev(weighed) < (1.05 if off else 0.9) * stdev(plain)
