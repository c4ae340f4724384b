"""What `import triplelake` has, and what it loads."""

from __future__ import annotations

import subprocess
import sys

import pytest

import triplelake


def test_all_names_are_there_and_none_but_errors_load_spark() -> None:
    code = (
        "import sys, triplelake; from triplelake import UsageError; assert 'pyspark' not in sys.modules; "
        "assert set(triplelake.__all__) <= set(dir(triplelake))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_not_there_is_told_as_python_does() -> None:
    with pytest.raises(AttributeError, match="module 'triplelake' has no attribute 'extrakt'"):
        triplelake.extrakt  # noqa: B018
