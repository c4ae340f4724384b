"""Which form an export has, by the ending of its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from triplelake.export.choice import ENDINGS, chosen_form


@pytest.mark.parametrize(("form", "ending"), [each for each in ENDINGS.items() if each[1]])
def test_the_ending_tells_the_form(form: str, ending: str) -> None:
    assert chosen_form(None, f"a/kg{ending}") == form
    assert chosen_form(None, f"s3://a/kg{ending}.gz") == form
    assert chosen_form(form, str(Path("kg.txt"))) == form
