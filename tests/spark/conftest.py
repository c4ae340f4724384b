"""Tables for the tests that need Spark."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from triplelake.tables.store import Store

# Test modules have unique names instead of packages, so what they share is found by its folder.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def store(spark: SparkSession, tmp_path: Path) -> Store:
    """An output at a path, with all its tables, empty; its name holds what some reader takes for more than a name."""
    made = Store(spark, str(tmp_path / "知识 图`谱'[x]"))
    made.create()
    return made
