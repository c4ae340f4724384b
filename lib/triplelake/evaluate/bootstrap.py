"""Intervals by resampling documents (percentile bootstrap, Efron 1979)."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from triplelake.evaluate.metrics import Counts, total

F1: Callable[[Counts], float] = attrgetter("f1")


@dataclass(frozen=True, slots=True)
class Interval:
    """The value over all documents, and where `level` of the resampled values lie."""

    value: float
    low: float
    high: float


def interval(
    documents: Sequence[Counts],
    statistic: Callable[[Counts], float] = F1,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The interval of a micro-averaged statistic; equal for equal arguments.

    Raises:
        ValueError: there are no documents.
    """
    return _resampled(
        len(documents), lambda ranks: statistic(_pick(documents, ranks)), resamples=resamples, level=level, seed=seed
    )


def difference(
    documents: Sequence[Counts],
    others: Sequence[Counts],
    statistic: Callable[[Counts], float] = F1,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The interval of what `documents` has over `others`, two runs over the same documents in the same order.

    Both are resampled together, so that documents which are hard for both do not widen it; the
    difference is real at `level` where the interval does not hold 0.

    Raises:
        ValueError: there are no documents, or not as many of both.
    """
    if len(documents) != len(others):
        raise ValueError(f"{len(documents)} and {len(others)} documents cannot be paired")
    return _resampled(
        len(documents),
        lambda ranks: statistic(_pick(documents, ranks)) - statistic(_pick(others, ranks)),
        resamples=resamples,
        level=level,
        seed=seed,
    )


def _resampled(
    size: int, value_of: Callable[[Sequence[int]], float], *, resamples: int, level: float, seed: int
) -> Interval:
    if not size:
        raise ValueError("no documents to resample")
    drawn = random.Random(seed)
    values = sorted(value_of(drawn.choices(range(size), k=size)) for _ in range(resamples))
    tail = (1 - level) / 2
    last = resamples - 1
    return Interval(value_of(range(size)), values[round(tail * last)], values[round((1 - tail) * last)])


def _pick(documents: Sequence[Counts], ranks: Sequence[int]) -> Counts:
    return total(documents[rank] for rank in ranks)
