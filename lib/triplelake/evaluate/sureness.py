"""How well confidence tells right triples from wrong ones, and how true its numbers are.

Nothing here needs scikit-learn, so that `jobs/evaluate.py` can say it of any output.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from triplelake.evaluate.bootstrap import Interval
from triplelake.evaluate.shares import share

_BINS = 10
_SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class Graded:
    """A triple of a document that is known to be right or wrong: people judged it, or gold has or lacks it.

    Args:
        fact: what it says; a document that says it twice has found it once.
    """

    document: str
    right: bool
    fact: str


@dataclass(frozen=True, slots=True)
class Kept:
    """What is left where only triples from a confidence on are kept.

    Args:
        confidence: of the least sure triple that is kept.
        share: of the judged triples that are kept.
        precision: of these, with its interval by document.
        f1: None where it is not known what was to be found.
    """

    confidence: float
    share: float
    precision: Interval
    f1: float | None


@dataclass(frozen=True, slots=True)
class Bin:
    """Triples of about one confidence: their mean of it, the share that is right with its interval, and how many."""

    confidence: float
    right: Interval
    triples: int


@dataclass(frozen=True, slots=True)
class Quality:
    """How well confidence tells right from wrong and how true its numbers are, cross-validated by document.

    Args:
        auc: probability that a right triple has more confidence than a wrong one; None where all are of one kind.
        brier: mean squared error of the confidence.
        ece: expected calibration error: mean distance of confidence and share of right triples, in bins of equally
            many triples.
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
        gold: facts that were to be found, where that is known.
    """
    order = sorted(range(len(judged)), key=lambda place: -confidences[place])
    bins = tuple(_bins(judged, confidences, order[::-1]))
    ece = sum(abs(each.confidence - each.right.value) * each.triples for each in bins) / len(judged)
    best = _kept(judged, confidences, order, _best_size(judged, order, gold), gold) if gold else None
    return Quality(
        auc=_auc(judged, confidences),
        brier=sum((value - each.right) ** 2 for each, value in zip(judged, confidences, strict=True)) / len(judged),
        ece=ece,
        kept=tuple(_kept(judged, confidences, order, max(1, round(part * len(order))), gold) for part in _SHARES),
        bins=bins,
        best=best,
    )


def threshold(judged: Sequence[Graded], confidences: Sequence[float], precision: float) -> Kept | None:
    """The lowest confidence from which on the kept triples have a precision; None where no confidence gives it."""
    order = sorted(range(len(judged)), key=lambda place: -confidences[place])
    right = 0
    found = None
    for size, place in enumerate(order, start=1):
        right += judged[place].right
        # Triples of one confidence are kept or left together.
        is_last = size == len(order) or confidences[order[size]] < confidences[place]
        if is_last and right / size >= precision:
            found = size
    return None if found is None else _kept(judged, confidences, order, found, None)


def _auc(judged: Sequence[Graded], confidences: Sequence[float]) -> float | None:
    """By the ranks of the right ones (Mann and Whitney 1947), equal confidences sharing theirs."""
    right = sum(each.right for each in judged)
    if right in (0, len(judged)):
        return None
    ranks = 0.0
    before = 0
    ordered = sorted(zip(confidences, judged, strict=True), key=lambda each: each[0])
    for _, same in groupby(ordered, key=lambda each: each[0]):
        equal = [each.right for _, each in same]
        ranks += sum(equal) * (before + (len(equal) + 1) / 2)
        before += len(equal)
    return (ranks - right * (right + 1) / 2) / (right * (len(judged) - right))


def _kept(
    judged: Sequence[Graded], confidences: Sequence[float], order: Sequence[int], size: int, gold: int | None
) -> Kept:
    chosen = order[:size]
    said = {(judged[place].document, judged[place].fact): judged[place].right for place in chosen}
    return Kept(
        confidence=confidences[chosen[-1]],
        share=size / len(order),
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
        mean = sum(confidences[place] for place in chosen) / len(chosen)
        yield Bin(mean, _share(judged, chosen), len(chosen))


def _share(judged: Sequence[Graded], chosen: Sequence[int]) -> Interval:
    parts: dict[str, int] = {}
    wholes: dict[str, int] = {}
    for place in chosen:
        each = judged[place]
        parts[each.document] = parts.get(each.document, 0) + each.right
        wholes[each.document] = wholes.get(each.document, 0) + 1
    found = share([parts[name] for name in wholes], [*wholes.values()])
    assert found is not None, "at least one triple was chosen"
    return found
