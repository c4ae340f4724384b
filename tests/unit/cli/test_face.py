"""What `import triplelake` shows: names, a version, and a text whose example is right."""

from __future__ import annotations

import inspect
import re
import textwrap

import pytest

import triplelake
from triplelake import errors


def test_every_error_is_there_under_its_name() -> None:
    classes = {name for name, each in vars(errors).items() if inspect.isclass(each) and issubclass(each, Exception)}
    assert set(triplelake.__all__) == classes | {"__version__"}
    assert triplelake.UsageError is errors.UsageError


def test_the_example_of_the_text_runs(capsys: pytest.CaptureFixture[str]) -> None:
    [code] = re.findall(
        r"\n\n((?: {8}.*\n|\n)*? {8}from triplelake import(?:.*\n)(?: {8}.*\n|\n)*)", triplelake.__doc__
    )
    exec(textwrap.dedent(code), {})
    assert capsys.readouterr().out.startswith("2; run.limitt; ")
