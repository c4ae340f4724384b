"""What the end-to-end tests run in: servers, an output."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

# Test modules have unique names instead of packages, so what they share is found by its folder.
sys.path.insert(0, str(Path(__file__).parent))

from harness.bench import Bench
from harness.servers import Counted, Scripted


@pytest.fixture
def bench(spark: SparkSession, tmp_path: Path) -> Bench:
    return Bench.make(tmp_path)


@pytest.fixture
def scripted() -> Counted:
    """A scripted server alone, for jobs that are processes."""
    return Counted(Scripted())
