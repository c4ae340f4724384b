"""Fitting confidence on judged triples, and how good it is.

The fit is a logistic regression with a ridge penalty (scikit-learn): it is smooth and monotone in each feature, says
something sensible from a hundred triples on, and takes a sum to apply. Isotonic regression and Venn-Abers predictors
need more triples than people judge in an afternoon: with few scores they say exactly 0 or 1, or very wide intervals.

Triples of one document are alike, so every figure is cross-validated by document: a triple's score comes from a fit
that has seen nothing of its document.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from importlib.util import find_spec
from itertools import groupby
from typing import TYPE_CHECKING, Any

from triplelake.errors import InputError, SetupError
from triplelake.evaluate.bootstrap import Interval
from triplelake.evaluate.shares import share
from triplelake.triples.confidence import NAMES, Calibration, Features

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FEWEST_TRIPLES = 50
"""Judged triples that a fit needs."""

FEWEST_OF_A_KIND = 10
"""Right ones among them, and wrong ones."""

FEWEST_DOCUMENTS = 10
"""Documents that hold them, since a fit is tried on documents that it has not seen."""

_PENALTY = 1.0
_RELATION_SCALE = 0.5
"""A relation's own part is held closer to nothing than the features that all triples share."""
_FOLDS = 10
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
class JudgedTriple(Graded):
    """The same with what is known of it before anybody judges."""

    predicate: str
    features: Features


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


def fit(judged: Sequence[JudgedTriple], *, source: str) -> Calibration:
    """The calibration of these triples.

    Args:
        source: what they were read from, for errors.

    Raises:
        InputError: too few of them, or hardly any right or wrong one.
    """
    _check(judged, source)
    relations = sorted({each.predicate for each in judged})
    x, y = _matrix(judged, relations), _right(judged)
    model = _model().fit(x, y)
    scaler = model[0].named_transformers_["shared"]
    weights, own = model[1].coef_[0][: len(NAMES)] / scaler.scale_, model[1].coef_[0][len(NAMES) :] * _RELATION_SCALE
    bias = float(model[1].intercept_[0] - (weights * scaler.mean_).sum())
    shared = {name: float(weight) for name, weight in zip(NAMES, weights, strict=True) if weight}
    return Calibration(bias, shared, dict(zip(relations, map(float, own), strict=True)))


def cross_validated(judged: Sequence[JudgedTriple]) -> list[float]:
    """The confidence of each triple by a fit without its document."""
    import numpy as np
    from sklearn.model_selection import GroupKFold

    relations = sorted({each.predicate for each in judged})
    x, y = _matrix(judged, relations), _right(judged)
    groups = [each.document for each in judged]
    found = [0.0] * len(judged)
    for train, test in GroupKFold(min(_FOLDS, len(set(groups)))).split(x, y, groups):
        # Where all right ones, or all wrong ones, are of the documents left out, the rest is of one kind.
        known = y[train]
        sure = (
            known.mean()
            if known.all() or not known.any()
            else _model().fit(x[train], known).predict_proba(x[test])[:, 1]
        )
        for place, value in zip(test, np.broadcast_to(sure, len(test)), strict=True):
            found[place] = float(value)
    return found


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


def _check(judged: Sequence[JudgedTriple], source: str) -> None:
    right = sum(each.right for each in judged)
    documents = len({each.document for each in judged})
    if (
        len(judged) < FEWEST_TRIPLES
        or min(right, len(judged) - right) < FEWEST_OF_A_KIND
        or documents < FEWEST_DOCUMENTS
    ):
        raise InputError(
            source,
            f"judges {len(judged)} triples of this output whose probabilities are known, {right} of them right, in "
            f"{documents} documents; confidence needs {FEWEST_TRIPLES}, {FEWEST_OF_A_KIND} right and wrong ones among "
            f"them, in {FEWEST_DOCUMENTS} documents",
            "Judge more: --sample N of jobs/extract.py draws documents and leaves a sheet for them.",
        )


def need_libraries() -> None:
    """Refuse to begin what could not be ended.

    Raises:
        SetupError: scikit-learn or matplotlib is not installed.
    """
    for module, name in (("sklearn", "scikit-learn"), ("matplotlib", "matplotlib")):
        if find_spec(module) is None:
            raise SetupError(name, "is not installed", "pip install 'triplelake[calibrate]'")


def _model() -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    shared = ("shared", StandardScaler(), slice(0, len(NAMES)))
    scaled = ColumnTransformer([shared], remainder="passthrough")
    return make_pipeline(scaled, LogisticRegression(C=_PENALTY, max_iter=1000))


def _matrix(judged: Sequence[JudgedTriple], relations: Sequence[str]) -> Floats:
    import numpy as np

    own = {relation: place for place, relation in enumerate(relations)}
    rows = np.zeros((len(judged), len(NAMES) + len(relations)))
    for row, each in zip(rows, judged, strict=True):
        row[: len(NAMES)] = astuple(each.features)
        row[len(NAMES) + own[each.predicate]] = _RELATION_SCALE
    return rows


def _right(judged: Sequence[JudgedTriple]) -> NDArray[np.bool_]:
    import numpy as np

    return np.array([each.right for each in judged])


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
