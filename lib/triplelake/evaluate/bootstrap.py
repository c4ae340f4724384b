"""Intervals by resampling documents: of means and rates; shares have better ones (`triplelake.evaluate.shares`).

The percentile bootstrap (Efron 1979) is too narrow where documents are few, as if their spread were known: its tails
are taken from Student's t (the expanded percentile interval, Hesterberg 2015).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from math import sqrt
from statistics import NormalDist
from typing import Any, TypeVar

from triplelake.evaluate.student import two_sided

T = TypeVar("T")
"""What a document adds: a dataclass of numbers, such as `DocumentTally`, whose sums over documents are meant."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value over all documents, and what it may be in the long run: so at `level` of 95 % unless another is named."""

    value: float
    low: float
    high: float


def intervals(
    documents: Sequence[T],
    statistics: Mapping[str, Callable[[T], float | None]],
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Interval | None]:
    """Statistics by name, over the same resampled documents; equal for equal arguments.

    A statistic that is None, since there is nothing to divide by, has no interval; a resampled one is left out.
    One document tells nothing of where a value lies in the long run: then none has an interval.

    Raises:
        ValueError: there are no documents.
    """
    sums = _Sums(documents)
    drawn = [sums(ranks) for ranks in _draws(len(documents), resamples, seed)]
    whole = sums(range(len(documents)))
    return {
        name: _between(statistic(whole), (statistic(each) for each in drawn), _tail(level, len(documents)))
        for name, statistic in statistics.items()
    }


def differences(
    documents: Sequence[T],
    others: Sequence[T],
    statistics: Mapping[str, Callable[[T], float | None]],
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Interval | None]:
    """What `documents` has over `others`, two runs over the same documents in the same order; None where one is.

    Both are resampled together, so that documents which are hard for both do not widen it; the
    difference is real at `level` where the interval does not hold 0.

    Raises:
        ValueError: there are no documents, or not as many of both.
    """
    if len(documents) != len(others):
        raise ValueError(f"{len(documents)} and {len(others)} documents cannot be paired")
    sums, other_sums = _Sums(documents), _Sums(others)
    drawn = [(sums(ranks), other_sums(ranks)) for ranks in _draws(len(documents), resamples, seed)]
    ranks = range(len(documents))
    whole, other_whole = sums(ranks), other_sums(ranks)
    return {
        name: _between(
            _minus(statistic(whole), statistic(other_whole)),
            (_minus(statistic(one), statistic(other)) for one, other in drawn),
            _tail(level, len(documents)),
        )
        for name, statistic in statistics.items()
    }


class _Sums:
    """Sums over chosen documents, column by column: a resample of thousands of objects would take seconds."""

    def __init__(self, documents: Sequence[Any]) -> None:
        if not documents:
            raise ValueError("no documents to resample")
        self._kind = type(documents[0])
        names = [field.name for field in fields(self._kind)]
        self._columns = [[getattr(document, name) for document in documents] for name in names]

    def __call__(self, ranks: Sequence[int]) -> Any:
        return self._kind(*(sum(map(column.__getitem__, ranks)) for column in self._columns))


def _draws(size: int, resamples: int, seed: int) -> Iterator[Sequence[int]]:
    drawn = random.Random(seed)
    return (drawn.choices(range(size), k=size) for _ in range(resamples))


def _minus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _tail(level: float, documents: int) -> float | None:
    """The share of resampled values on each side of an interval; None where nothing can be told."""
    if documents < 2:
        return None
    return NormalDist().cdf(-two_sided(level, documents - 1) * sqrt(documents / (documents - 1)))


def _between(value: float | None, resampled: Iterator[float | None], tail: float | None) -> Interval | None:
    values = sorted(each for each in resampled if each is not None)
    if value is None or tail is None or not values:
        return None
    last = len(values) - 1
    return Interval(value, values[round(tail * last)], values[round((1 - tail) * last)])
