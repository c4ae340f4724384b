"""Fitting confidence on judged triples.

The fit is a logistic regression with a ridge penalty (scikit-learn): it is smooth and monotone in each feature, says
something sensible from a hundred triples on, and takes a sum to apply. Isotonic regression and Venn-Abers predictors
need more triples than people judge in an afternoon: with few scores they say exactly 0 or 1, or very wide intervals.

A triple counts in the fit by how many it stands for. In simulated sheets of 100 to 400 triples drawn by an earlier
confidence this cost no accuracy, and the mean confidence of all triples, by which `run.precision` goes, was nearer to
their precision, also where no logistic regression is true.

Triples of one document are alike, so every figure is cross-validated by document: a triple's score comes from a fit
that has seen nothing of its document.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from triplelake.errors import InputError, SetupError
from triplelake.evaluate.sureness import Graded
from triplelake.triples.confidence import LOOK, NAMES, Calibration, Features

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


@dataclass(frozen=True, slots=True)
class JudgedTriple(Graded):
    """A judged triple with what is known of it before anybody judges."""

    predicate: str
    features: Features


def fit(judged: Sequence[JudgedTriple], *, source: str) -> Calibration:
    """The calibration of these triples; it weighs second looks where every triple has one.

    Args:
        source: what they were read from, for errors.

    Raises:
        InputError: too few of them, or hardly any right or wrong one.
    """
    _check(judged, source)
    relations, names = sorted({each.predicate for each in judged}), _names(judged)
    x, y = _matrix(judged, relations, names), _right(judged)
    model = _fitted(x, y, _weights(judged), len(names))
    scaler = model[0].named_transformers_["shared"]
    weights, own = model[1].coef_[0][: len(names)] / scaler.scale_, model[1].coef_[0][len(names) :] * _RELATION_SCALE
    bias = float(model[1].intercept_[0] - (weights * scaler.mean_).sum())
    shared = {name: float(weight) for name, weight in zip(names, weights, strict=True) if weight}
    return Calibration(bias, shared, dict(zip(relations, map(float, own), strict=True)))


def cross_validated(judged: Sequence[JudgedTriple]) -> list[float]:
    """The confidence of each triple by a fit without its document."""
    import numpy as np
    from sklearn.model_selection import GroupKFold

    relations, names = sorted({each.predicate for each in judged}), _names(judged)
    x, y, weights = _matrix(judged, relations, names), _right(judged), _weights(judged)
    groups = [each.document for each in judged]
    found = [0.0] * len(judged)
    for train, test in GroupKFold(min(_FOLDS, len(set(groups)))).split(x, y, groups):
        # Where all right ones, or all wrong ones, are of the documents left out, the rest is of one kind.
        known = y[train]
        sure = (
            known.mean()
            if known.all() or not known.any()
            else _fitted(x[train], known, weights[train], len(names)).predict_proba(x[test])[:, 1]
        )
        for place, value in zip(test, np.broadcast_to(sure, len(test)), strict=True):
            found[place] = float(value)
    return found


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
            "Judge more: `triplelake extract --sample N` draws documents and leaves a sheet for them.",
        )


def need_libraries() -> None:
    """Refuse to begin what could not be ended.

    Raises:
        SetupError: scikit-learn or matplotlib is not installed.
    """
    for module, name in (("sklearn", "scikit-learn"), ("matplotlib", "matplotlib")):
        if find_spec(module) is None:
            raise SetupError(name, "is not installed", "pip install 'triplelake[calibrate]'")


def _names(judged: Sequence[JudgedTriple]) -> tuple[str, ...]:
    """The features that every triple has."""
    looked = all(each.features.look is not None for each in judged)
    return tuple(name for name in NAMES if looked or name != LOOK)


def _fitted(x: Floats, right: NDArray[np.bool_], weights: Floats, shared_columns: int) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    shared = ("shared", StandardScaler(), slice(0, shared_columns))
    scaled = ColumnTransformer([shared], remainder="passthrough")
    model = make_pipeline(scaled, LogisticRegression(C=_PENALTY, max_iter=1000))
    # Of a mean of 1, so that the penalty weighs as much as it does where all count alike.
    return model.fit(x, right, logisticregression__sample_weight=weights / weights.mean())


def _matrix(judged: Sequence[JudgedTriple], relations: Sequence[str], names: Sequence[str]) -> Floats:
    import numpy as np

    own = {relation: place for place, relation in enumerate(relations)}
    rows = np.zeros((len(judged), len(names) + len(relations)))
    for row, each in zip(rows, judged, strict=True):
        row[: len(names)] = [getattr(each.features, name) for name in names]
        row[len(names) + own[each.predicate]] = _RELATION_SCALE
    return rows


def _right(judged: Sequence[JudgedTriple]) -> NDArray[np.bool_]:
    import numpy as np

    return np.array([each.right for each in judged])


def _weights(judged: Sequence[JudgedTriple]) -> Floats:
    import numpy as np

    return np.array([each.weight for each in judged])
