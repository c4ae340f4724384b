"""What a person is told about second looks."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from triplelake.commands import confidence_messages
from triplelake.config import LookKind
from triplelake.evaluate.calibration_file import CalibrationFile

FIGURES = {"documents": 9, "triples": 90, "right": 40, "auc": 0.8, "brier": 0.1, "ece": 0.04, "thresholds": []}


def told(needs: LookKind, setting: LookKind) -> str:
    weights = {"object": 0.25} if needs == "none" else {"look": 0.5}
    known = {"model": "m", "form": "arrays", "judged_by": "gold.jsonl", "bias": 0.5, "weights": weights}
    found = CalibrationFile.model_validate({**FIGURES, **known})
    console = Console(file=io.StringIO(), width=200)
    confidence_messages.calibration(console, found, setting)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("needs", "setting", "expected"),
    [
        ("yes_no", "none", "It weighs second looks: set asking.second_look=yes_no"),
        ("none", "yes_no", "It weighs no second looks; those of this run are kept"),
    ],
)
def test_a_calibration_and_a_run_that_do_not_agree_are_told(needs: LookKind, setting: LookKind, expected: str) -> None:
    assert expected in told(needs, setting)


@pytest.mark.parametrize("both", ["none", "yes_no"])
def test_where_they_agree_nothing_is_said(both: LookKind) -> None:
    assert told(both, both) == ""


def test_what_lacks_a_look_and_what_was_not_estimated_is_told() -> None:
    console = Console(file=io.StringIO(), width=200)
    confidence_messages.unlooked(console, 1234)
    confidence_messages.without_looks(console)
    assert isinstance(console.file, io.StringIO)
    first, second = console.file.getvalue().splitlines()
    assert "1,234 triples have no confidence: their answers were asked without a second look" in first
    assert "Without the second look at each triple" in second and "--probe" in second
