"""When the first answers of a run look wrong."""

from __future__ import annotations

from typing import Any

import pytest

from triplelake.engine.asking import first_answers as module
from triplelake.engine.asking.first_answers import ENOUGH, suspicion
from triplelake.engine.asking.tally import Tally

NOWHERE: Any = None


@pytest.fixture(autouse=True)
def no_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_some", lambda *_: ())


@pytest.mark.parametrize(
    ("tally", "kind"),
    [
        (Tally(answered=100, empty=80, cut=20), None),
        (Tally(answered=100, empty=81), "empty"),
        (Tally(answered=100, cut=21), "cut"),
        # Of the good ones: what failed is judged by max_failure_rate.
        (Tally(answered=100, failed=50, empty=41), "empty"),
        (Tally(answered=ENOUGH - 1, empty=ENOUGH - 1), None),
        (Tally(), None),
    ],
)
def test_too_many_are_empty_or_cut(tally: Tally, kind: str | None) -> None:
    found = suspicion(tally, NOWHERE, "plan")
    assert (found.kind if found else None) == kind


def test_what_is_told() -> None:
    found = suspicion(Tally(answered=200, empty=190), NOWHERE, "plan")
    assert found
    assert found.summary == "95% of the first 200 answers are empty"
    assert (found.error.exit_code, found.error.subject) == (5, "answers")
    assert "--ontology none" in found.error.remedy and "run.on_suspicious=warn" in found.error.remedy
