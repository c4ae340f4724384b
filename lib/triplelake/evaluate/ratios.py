"""A figure as one sum of counts over another, with its interval by documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, Generic, TypeVar

from triplelake.evaluate.bootstrap import Interval, differences, intervals
from triplelake.evaluate.metrics import Counts
from triplelake.evaluate.shares import gain, share

T = TypeVar("T")
"""What a document adds: a dataclass of counts that can be added, such as `Counts`."""


@dataclass(frozen=True, slots=True)
class Ratio(Generic[T]):
    """Part of whole; both are linear in the counts, so that sums over documents give micro averages.

    Args:
        part, whole: of a document, or of the sum of several.
        of_nothing: what it is by custom where there is nothing to divide by; None: it is not known.
        per: of so many of the whole. A share is of 1, and its part is never more than its whole.
    """

    part: Callable[[T], float]
    whole: Callable[[T], float]
    of_nothing: Callable[[T], float | None] = lambda _: None
    per: float = 1

    def __call__(self, sums: T) -> float | None:
        whole = self.whole(sums)
        return self.per * self.part(sums) / whole if whole else self.of_nothing(sums)

    def interval(self, documents: Sequence[T]) -> Interval | None:
        """With its interval; None where the figure is, or where one document cannot tell it.

        Raises:
            ValueError: there are no documents.
        """
        if self.per != 1:
            return intervals(documents, {"": self})[""]
        return share(*self._columns(documents)) or self._of_nothing(documents)

    def gain(self, documents: Sequence[T], others: Sequence[T]) -> Interval | None:
        """What `documents` has over `others`, two runs over the same documents in the same order; None as above.

        The difference is real at 95 % where the interval does not hold 0.

        Raises:
            ValueError: there are no documents, or not as many of both.
        """
        if len(documents) != len(others):
            raise ValueError(f"{len(documents)} and {len(others)} documents cannot be paired")
        if self.per != 1:
            return differences(documents, others, {"": self})[""]
        return gain(self._columns(documents), self._columns(others))

    def _columns(self, documents: Sequence[T]) -> tuple[list[float], list[float]]:
        return [self.part(each) for each in documents], [self.whole(each) for each in documents]

    def _of_nothing(self, documents: Sequence[Any]) -> Interval | None:
        """Of nothing, nothing is known."""
        if not documents:
            raise ValueError("no documents to count")
        value = self.of_nothing(reduce(add, documents))
        return None if value is None else Interval(value, 0.0, 1.0)


F1: Ratio[Counts] = Ratio(
    part=lambda counts: 2 * counts.correct,
    whole=lambda counts: counts.predicted + counts.gold,
    of_nothing=lambda counts: counts.f1,
)


def f1(documents: Sequence[Counts]) -> Interval:
    """Micro-averaged F1 with its interval by documents.

    Raises:
        ValueError: there are no documents.
    """
    found = F1.interval(documents)
    assert found is not None  # by custom it is known of nothing, too
    return found


def f1_gain(documents: Sequence[Counts], others: Sequence[Counts]) -> Interval | None:
    """The F1 that `documents` has over `others`, as `Ratio.gain`."""
    return F1.gain(documents, others)
