"""Tables for the tests that need Spark."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from triplelake.tables.store import Store

# Test modules have unique names instead of packages, so what they share is found by its folder.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def empty_tables(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All tables, empty, to be copied: that takes a moment, and making them two seconds."""
    folder = tmp_path_factory.mktemp("empty") / "kg"
    Store(spark, str(folder)).create()
    return folder


@pytest.fixture
def store(spark: SparkSession, empty_tables: Path, tmp_path: Path) -> Store:
    """An output at a path, with all its tables, empty; its name holds what some reader takes for more than a name."""
    folder = tmp_path / "知识 图`谱'[x]"
    shutil.copytree(empty_tables, folder)
    return Store(spark, str(folder))
