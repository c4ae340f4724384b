"""What `import triplelake` shows: names, a version, a text whose example is right, and what it loads."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import textwrap

import pytest

import triplelake
from triplelake import errors


def test_every_error_is_there_under_its_name() -> None:
    classes = {name for name, each in vars(errors).items() if inspect.isclass(each) and issubclass(each, Exception)}
    assert set(triplelake.__all__) == classes | {"KnowledgeGraph", "Run", "RunCounts", "__version__", "extract", "open"}
    assert triplelake.UsageError is errors.UsageError


def test_the_example_of_an_error_runs(capsys: pytest.CaptureFixture[str]) -> None:
    [code] = re.findall(r"\n\n( {8}try:\n(?: {8}.*\n)+)", triplelake.__doc__)
    exec(textwrap.dedent(code), {"triplelake": triplelake})
    assert capsys.readouterr().out.startswith("run.limitt; unknown setting")


def test_all_names_are_there_and_none_but_errors_load_spark() -> None:
    code = (
        "import sys, triplelake; from triplelake import UsageError; assert 'pyspark' not in sys.modules; "
        "assert set(triplelake.__all__) <= set(dir(triplelake))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_not_there_is_told_as_python_does() -> None:
    with pytest.raises(AttributeError, match="module 'triplelake' has no attribute 'extrakt'"):
        triplelake.extrakt  # noqa: B018
