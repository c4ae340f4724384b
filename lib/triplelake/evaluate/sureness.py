"""How well confidence tells right triples from wrong ones, and how true its numbers are.

Every figure is one of all triples of which those that were judged were drawn: each counts by how many it stands for.

Nothing here needs scikit-learn, so that `triplelake evaluate` can say it of any output.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, groupby

from triplelake.evaluate.bootstrap import Interval
from triplelake.evaluate.shares import Case, weighted_share

_BINS = 10
_SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class Graded:
    """A triple of a document that is known to be right or wrong: people judged it, or gold has or lacks it.

    Args:
        fact: what it says; a document that says it twice has found it once.
        weight: how many triples it stands for.
    """

    document: str
    right: bool
    fact: str
    weight: float = field(default=1.0, kw_only=True)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is left where only triples from a confidence on are kept.

    Args:
        confidence: of the least sure triple that is kept.
        share: of the triples that are kept.
        precision: of these, with its interval by document.
        f1: None where it is not known what was to be found.
    """

    confidence: float
    share: float
    precision: Interval
    f1: float | None


@dataclass(frozen=True, slots=True)
class Bin:
    """Triples of about one confidence.

    Args:
        confidence: their mean of it.
        right: the share that is right, with its interval.
        triples: that were judged.
        weight: how many these stand for.
    """

    confidence: float
    right: Interval
    triples: int
    weight: float


@dataclass(frozen=True, slots=True)
class Quality:
    """How well confidence tells right from wrong and how true its numbers are, cross-validated by document.

    Args:
        auc: probability that a right triple has more confidence than a wrong one; None where all are of one kind.
        brier: mean squared error of the confidence.
        ece: expected calibration error: mean distance of confidence and share of right triples, in bins of equally
            many judged triples.
        kept: by the share that is kept, the surest first.
        bins: of the reliability plot, the least sure first.
        best: where F1 is largest; None where it is not known.
    """

    auc: float | None
    brier: float
    ece: float
    kept: tuple[Kept, ...]
    bins: tuple[Bin, ...]
    best: Kept | None


def quality(judged: Sequence[Graded], confidences: Sequence[float], *, gold: int | None = None) -> Quality:
    """How good confidences are.

    Args:
        confidences: of the triples, in their order.
        gold: facts that were to be found, where that is known: gold judges every triple, so that all weigh 1.
    """
    order = sorted(range(len(judged)), key=lambda place: -confidences[place])
    bins = tuple(_bins(judged, confidences, order[::-1]))
    whole = sum(each.weight for each in judged)
    ece = sum(abs(each.confidence - each.right.value) * each.weight for each in bins) / whole
    errors = [(value - each.right) ** 2 * each.weight for each, value in zip(judged, confidences, strict=True)]
    best = _kept(judged, confidences, order, _best_size(judged, order, gold), gold) if gold else None
    return Quality(
        auc=_auc(judged, confidences),
        brier=sum(errors) / whole,
        ece=ece,
        kept=tuple(_kept(judged, confidences, order, size, gold) for size in _sizes(judged, order)),
        bins=bins,
        best=best,
    )


def threshold(judged: Sequence[Graded], confidences: Sequence[float], precision: float) -> Kept | None:
    """The lowest confidence from which on the kept triples have a precision; None where no confidence gives it."""
    order = sorted(range(len(judged)), key=lambda place: -confidences[place])
    right = kept = 0.0
    found = None
    for size, place in enumerate(order, start=1):
        right += judged[place].right * judged[place].weight
        kept += judged[place].weight
        # Triples of one confidence are kept or left together.
        is_last = size == len(order) or confidences[order[size]] < confidences[place]
        if is_last and right / kept >= precision:
            found = size
    return None if found is None else _kept(judged, confidences, order, found, None)


def _auc(judged: Sequence[Graded], confidences: Sequence[float]) -> float | None:
    """By the pairs of a right and a wrong one (Mann and Whitney 1947), half of those with equal confidences."""
    below = right = surer = 0.0
    ordered = sorted(zip(confidences, judged, strict=True), key=lambda each: each[0])
    for _, same in groupby(ordered, key=lambda each: each[0]):
        equal = [each for _, each in same]
        rights = sum(each.weight for each in equal if each.right)
        wrongs = sum(each.weight for each in equal if not each.right)
        surer += rights * (below + wrongs / 2)
        right += rights
        below += wrongs
    return surer / (right * below) if right and below else None


def _sizes(judged: Sequence[Graded], order: Sequence[int]) -> Iterator[int]:
    """How many of the surest stand for each of the shares most nearly, one at least."""
    sums = [*accumulate(judged[place].weight for place in order)]
    for part in _SHARES:
        yield 1 + min(range(len(sums)), key=lambda rank: abs(sums[rank] - part * sums[-1]))


def _kept(
    judged: Sequence[Graded], confidences: Sequence[float], order: Sequence[int], size: int, gold: int | None
) -> Kept:
    chosen = order[:size]
    said = {(judged[place].document, judged[place].fact): judged[place].right for place in chosen}
    return Kept(
        confidence=confidences[chosen[-1]],
        share=sum(judged[place].weight for place in chosen) / sum(each.weight for each in judged),
        precision=_share(judged, chosen),
        f1=None if gold is None else 2 * sum(said.values()) / (len(said) + gold),
    )


def _best_size(judged: Sequence[Graded], order: Sequence[int], gold: int) -> int:
    """How many of the surest to keep so that F1 over facts is largest."""
    said: set[tuple[str, str]] = set()
    right = 0
    best = (0.0, 1)
    for size, place in enumerate(order, start=1):
        each = judged[place]
        if (each.document, each.fact) not in said:
            said.add((each.document, each.fact))
            right += each.right
            best = max(best, (2 * right / (len(said) + gold), size))
    return best[1]


def _bins(judged: Sequence[Graded], confidences: Sequence[float], order: Sequence[int]) -> Iterator[Bin]:
    many = min(_BINS, len(order))
    for number in range(many):
        chosen = order[number * len(order) // many : (number + 1) * len(order) // many]
        weight = sum(judged[place].weight for place in chosen)
        mean = sum(confidences[place] * judged[place].weight for place in chosen) / weight
        yield Bin(mean, _share(judged, chosen), len(chosen), weight)


def _share(judged: Sequence[Graded], chosen: Sequence[int]) -> Interval:
    drawn = Counter(each.weight for each in judged)
    cases = [Case(judged[place].document, judged[place].right, judged[place].weight) for place in chosen]
    found = weighted_share(cases, drawn=drawn)
    assert found is not None, "at least one triple was chosen"
    return found
