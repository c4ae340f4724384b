"""The file that `triplelake calibrate` writes and a run makes its `confidence` with.

The files of `conf/calibrations/` came with the project, each for one model: `run.calibration: auto` takes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from triplelake.config import Settings, conf_dir, find_conf
from triplelake.errors import InputError, UsageError
from triplelake.evaluate.sureness import Kept, Quality
from triplelake.prompt.answer_form import FormName
from triplelake.prompt.files import Section, read_yaml_as, write_new
from triplelake.triples.confidence import NAMES, Calibration

AUTO, NONE = "auto", "none"
_HEAD = """\
# Confidence of triples, fitted by `triplelake calibrate`. To use it: run.calibration, then --republish for what is
# there. Every figure is cross-validated by document. `bias`, `weights` and `relations` are those of a logistic
# regression.
"""


class Threshold(Section):
    """What is kept from a confidence on: its share, its precision with the interval of 95 %, F1 where it is known."""

    confidence: float
    kept: float
    precision: float
    low: float
    high: float
    f1: float | None = None


class CalibrationFile(Section):
    """A calibration, what it was fitted on, and how good it is.

    Args:
        model: the fingerprint of the model whose answers were judged.
        form: how they were written.
        extraction_key: they were asked under; None where they were asked in several ways.
        judged_by: the file that judged them.
        documents, triples, right: how many were judged, and how many triples are right.
        thresholds: what is kept from each confidence on, the surest first.
        auc, brier, ece: see `triplelake.evaluate.sureness.Quality`.
    """

    model: str
    form: FormName
    extraction_key: str | None = None
    judged_by: str
    documents: int
    triples: int
    right: int
    auc: float
    brier: float
    ece: float
    thresholds: tuple[Threshold, ...]
    bias: float
    weights: Mapping[str, float]
    relations: Mapping[str, float] = {}

    @property
    def calibration(self) -> Calibration:
        return Calibration(self.bias, self.weights, self.relations)


def read_calibration(file: Path) -> CalibrationFile:
    """Read a file.

    Raises:
        InputError: it is no calibration, or weighs a feature that is not known.
    """
    found = read_yaml_as(file, CalibrationFile, "calibration")
    if unknown := set(found.weights) - set(NAMES):
        reason = f"weighs `{min(unknown)}`, which no triple has"
        raise InputError(str(file), reason, "Make it anew: `triplelake calibrate`.")
    return found


def choose(setting: str, *, model: str, form: FormName) -> CalibrationFile | None:
    """The calibration that `run.calibration` names; of `auto` the shipped one for this model and form, if there is one.

    Raises:
        UsageError: there is no such file.
        InputError: it cannot be used, or was fitted on another model or another form of answers.
    """
    if setting == NONE:
        return None
    if setting == AUTO:
        shipped = map(read_calibration, sorted((conf_dir() / "calibrations").glob("*.yaml")))
        return next((each for each in shipped if (each.model, each.form) == (model, form)), None)
    file = find_conf(setting, kind="calibration")
    found = read_calibration(file)
    if (found.model, found.form) != (model, form):
        raise InputError(
            str(file),
            f"was fitted on answers of {found.model} as {found.form}; these are of {model} as {form}",
            "Make one for this model: `triplelake calibrate`; or set run.calibration to auto or none.",
        )
    return found


def check_confidence(settings: Settings, found: CalibrationFile | None) -> None:
    """Refuse a bound on confidence that nothing can meet.

    Raises:
        UsageError: `run.min_confidence` and `run.precision` are both set; or one is, and there is no calibration.
    """
    least, precision = settings.run.min_confidence, settings.run.precision
    if least is not None and precision is not None:
        raise UsageError("run.precision", "goes without run.min_confidence", "Set one of them.")
    if found is None and (least or precision is not None):
        name = "run.precision" if least is None else "run.min_confidence"
        remedy = "Make one with `triplelake calibrate`, and set run.calibration to its file."
        raise UsageError(name, "needs a calibration, and there is none for this model and form of answers", remedy)


def write_calibration(file: Path, found: CalibrationFile, *, overwrite: bool) -> None:
    """Write a file.

    Raises:
        OutputError: it is there already, or cannot be written.
    """
    text = _HEAD + yaml.safe_dump(found.model_dump(mode="json"), allow_unicode=True, sort_keys=False)
    write_new(file, text, overwrite=overwrite)


def thresholds(found: Quality, kept: Sequence[Kept]) -> tuple[Threshold, ...]:
    """A table of what is kept, by confidence."""
    rows = sorted({each.confidence: each for each in (*found.kept, *kept)}.items(), reverse=True)
    return tuple(
        Threshold(
            confidence=round(confidence, 4),
            kept=round(each.share, 4),
            precision=round(each.precision.value, 4),
            low=round(each.precision.low, 4),
            high=round(each.precision.high, 4),
            f1=None if each.f1 is None else round(each.f1, 4),
        )
        for confidence, each in rows
    )
