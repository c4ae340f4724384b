"""Intervals of shares that were counted on documents: precision, F1, what failed, and what of them changed.

The cases of one document are alike: where one triple is wrong, the next of that document more often is, too. So n cases
tell less than n cases drawn one by one would, n / deff of them; deff is Kish's design effect, measured by leaving out
one document at a time. The score interval (Wilson 1927) is then that of n / deff cases, as Korn and Graubard (1998)
do with the exact one: honest for few documents and near 0 and 1, where resampling says [1, 1].

Cases that were drawn for judging with probabilities of their own weigh 1 / that probability (Hájek 1971), and the
design effect has what weights and strata do to the variance (Särndal, Swensson and Wretman 1992, two-phase sampling).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from operator import mul
from statistics import NormalDist

from triplelake.evaluate.bootstrap import Interval
from triplelake.evaluate.student import two_sided

LEVEL = 0.95

_ALIKE = 0.2
"""How alike (intraclass correlation) the cases of a document are taken to be while too few tell."""
_TOLD_BY = 5
"""Of the rarer kind, right or wrong, so many cases weigh as much as that."""


def share(parts: Sequence[float], wholes: Sequence[float], *, level: float = LEVEL) -> Interval | None:
    """A share with its interval, by the documents on which it was counted; None of none.

    Where each document has one case this is Wilson's interval, and of one document that of a single case.

    Args:
        parts: of each document: its cases that count.
        wholes: of each document: its cases.

    Raises:
        ValueError: not as many of both.
    """
    found = _Counted.of(parts, wholes)
    return None if found is None else found.interval(level)


@dataclass(frozen=True, slots=True)
class Case:
    """A case of a document: whether it counts, and how many cases it stands for."""

    document: Hashable
    counts: bool
    weight: float = 1.0


def weighted_share(
    cases: Sequence[Case], *, drawn: Mapping[float, int] | None = None, level: float = LEVEL
) -> Interval | None:
    """A share with its interval, of cases that were drawn in strata; None of none. `share` where all weigh 1.

    Cases of one weight are taken for a stratum. Where strata of equal weights are in truth several, the interval is
    wider than it need be.

    Args:
        drawn: how many were drawn with each weight, where these cases are only some of them, such as those of one
            relation. How many these would be was then left to chance, so that the strata narrow the interval less.
    """
    parts: dict[Hashable, float] = defaultdict(float)
    wholes: dict[Hashable, float] = defaultdict(float)
    mean = sum(case.weight for case in cases) / len(cases) if cases else 1.0
    for case in cases:
        wholes[case.document] += case.weight / mean
        parts[case.document] += case.counts * case.weight / mean
    found = _Counted.of([parts[document] for document in wholes], [*wholes.values()], _Drawing.of(cases, drawn))
    return None if found is None else found.interval(level)


def wilson(share: float, of: float, *, level: float = LEVEL) -> Interval:
    """A share with its score interval, of cases that were drawn one by one; `of` need not be whole."""
    z = _normal(level)
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z * sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    # At 0 and 1 a bound is the share itself, but for the last bit.
    return Interval(share, max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half)))


def gain(
    one: tuple[Sequence[float], Sequence[float]],
    other: tuple[Sequence[float], Sequence[float]],
    *,
    level: float = LEVEL,
) -> Interval | None:
    """What one share has over another of the same documents, each as parts and wholes in one order; None of none.

    Documents that are hard for both do not widen it. It holds 0 alone where every document has equal counts in both.
    """
    here, there = _Counted.of(*one), _Counted.of(*other)
    if here is None or there is None:
        return None
    if (here.parts, here.wholes) == (there.parts, there.wholes):
        return Interval(0.0, 0.0, 0.0)
    return newcombe(here.interval(level), there.interval(level), here.correlation(there))


def newcombe(one: Interval, other: Interval, correlation: float = 0.0) -> Interval:
    """What one share has over another, from their intervals (Newcombe 1998, methods 10 and of pairs).

    Args:
        correlation: of the two shares; 0 where each was counted on cases of its own.
    """
    difference = one.value - other.value

    def reach(below: float, above: float) -> float:
        return sqrt(max(0.0, below * below - 2 * correlation * below * above + above * above))

    low = difference - reach(one.value - one.low, other.high - other.value)
    high = difference + reach(one.high - one.value, other.value - other.low)
    return Interval(difference, max(-1.0, low), min(1.0, high))


@dataclass(frozen=True, slots=True)
class _Drawing:
    """What drawing cases in strata does to the variance of a share, in variances of as many that were drawn plainly.

    Args:
        alone: the design effect if no two cases of a document were alike; 1 of a plain draw.
        weights: it, had the strata nothing to do with the share (Kish): what uneven weights cost.
        gained: what measuring by documents counts too much, since it does not know of the strata.
    """

    alone: float = 1.0
    weights: float = 1.0
    gained: float = 0.0

    @classmethod
    def of(cls, cases: Sequence[Case], drawn: Mapping[float, int] | None) -> _Drawing:
        strata = Counter(case.weight for case in cases)
        if all(weight == 1 for weight in strata):
            return cls()
        right = Counter(case.weight for case in cases if case.counts)
        n, stand_for = len(cases), sum(case.weight for case in cases)
        value = sum(weight * of for weight, of in right.items()) / stand_for
        variance = value * (1 - value)
        stratified = unstratified = 0.0
        for weight, of in strata.items():
            own = right[weight] / of
            squares = of * (own * (1 - own) + (own - value) ** 2)
            # The strata take the distance of a stratum from the share out of the variance, where these are all cases
            # that were drawn. The last summand is a case of which nothing is known: of a stratum whose few cases are
            # all right nobody knows that it holds no wrong one.
            part = of / max(of, (drawn or strata).get(weight, of))
            within = squares - part * of * (own - value) ** 2 + variance
            # A case stands for itself, and for weight − 1 others that were not looked at.
            stratified += weight * (weight - 1) * within
            unstratified += weight * (weight - 1) * squares
        uneven = n * sum(weight * weight * of for weight, of in strata.items()) / stand_for**2
        if not variance:
            return cls(uneven, uneven)
        scale = n / (stand_for**2 * variance)
        return cls(n / stand_for + scale * stratified, uneven, scale * (unstratified - stratified))


@dataclass(frozen=True, slots=True)
class _Counted:
    """The cases of documents, and what a share is made of.

    Args:
        n: cases of all.
        value: the share.
        drawing: how they were drawn.
    """

    parts: tuple[float, ...]
    wholes: tuple[float, ...]
    n: float
    value: float
    drawing: _Drawing = _Drawing()

    @classmethod
    def of(cls, parts: Sequence[float], wholes: Sequence[float], drawing: _Drawing = _Drawing()) -> _Counted | None:
        if len(parts) != len(wholes):
            raise ValueError(f"{len(parts)} parts of {len(wholes)} wholes")
        n = sum(wholes)
        # A sum of rounded weights may be more than the whole by its last bit.
        return cls(tuple(parts), tuple(wholes), n, min(1.0, sum(parts) / n), drawing) if n else None

    def interval(self, level: float) -> Interval:
        return wilson(self.value, self.n / self._design_effect(level), level=level)

    def correlation(self, other: _Counted) -> float:
        """Of this share and another, over the same documents; the less of it, the fewer cases tell it."""
        here, there = self._influences(), other._influences()
        spread = sqrt(sum(map(mul, here, here)) * sum(map(mul, there, there)))
        if not spread:
            return 0.0
        rarer = min(self._rarer, other._rarer)
        measured: float = max(-1.0, min(1.0, sum(map(mul, here, there)) / spread))
        return measured * rarer / (rarer + _TOLD_BY)

    @property
    def _rarer(self) -> float:
        """Cases of the rarer kind."""
        return min(self.value, 1 - self.value) * self.n

    def _design_effect(self, level: float) -> float:
        """What one case drawn by itself is worth in cases of these documents, with what is not known of it."""
        # That of documents whose cases are all alike, so that each document is one case: it can be no more.
        most: float = sum(map(mul, self.wholes, self.wholes)) / self.n
        documents = self.n / most  # as many as they would be if each had as much weight
        alone = self.drawing.alone
        guess = alone * (1 + max(0.0, most / self.drawing.weights - 1) * _ALIKE)
        known = (self._rarer * self._measured() + _TOLD_BY * guess) / (self._rarer + _TOLD_BY)
        # A variance that few documents tell is itself not known.
        unknown = (two_sided(level, max(1, int(documents) - 1)) / _normal(level)) ** 2
        return min(max(most, alone), max(alone, known) * unknown)

    def _measured(self) -> float:
        one_by_one = self.value * (1 - self.value) / self.n
        if not one_by_one:
            return self.drawing.alone
        documents = sum(whole > 0 for whole in self.wholes)
        by_documents = (documents - 1) / documents * sum(each * each for each in self._influences()) / one_by_one
        return by_documents - self.drawing.gained

    def _influences(self) -> list[float]:
        """By how much the share is less without a document; 0 where nothing is left without it."""
        return [
            (part - self.value * whole) / (self.n - whole) if whole < self.n else 0.0
            for part, whole in zip(self.parts, self.wholes, strict=True)
        ]


def _normal(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)
