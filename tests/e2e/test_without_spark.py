"""Who works on a plain room needs no Spark: its tests are read where there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[1] / "unit"
_WITH_SPARK = ("commands", "docs", "engine", "tables")
"""Folders of tests that may import Spark; the pictures of docs/ are made from the tables, too."""

_COLLECT = """
import sys
import pytest
sys.modules.update(dict.fromkeys(("pyspark", "delta")))  # to import one of them is an ImportError
sys.exit(pytest.main(["--collect-only", "-q", "-n0", *sys.argv[1:]]))
"""


def collected(*folders: Path) -> subprocess.CompletedProcess[str]:
    """What pytest finds in folders, in a process that cannot import Spark."""
    command = [sys.executable, "-c", _COLLECT, *map(str, folders)]
    return subprocess.run(command, capture_output=True, text=True, cwd=UNIT.parents[1])


def test_tests_of_plain_rooms_are_read_without_spark() -> None:
    rooms = [each for each in sorted(UNIT.iterdir()) if each.is_dir() and each.name not in _WITH_SPARK]
    found = collected(*(each for each in rooms if any(each.glob("test_*.py"))))
    assert found.returncode == pytest.ExitCode.OK, found.stdout
    for room in ("corpus", "prompt", "pool", "triples", "evaluate", "export", "training"):
        assert f"tests/unit/{room}/" in found.stdout


def test_without_spark_the_others_are_not() -> None:
    found = collected(UNIT / "engine" / "asking" / "test_task.py")
    assert found.returncode == pytest.ExitCode.INTERRUPTED and "pyspark" in found.stdout
