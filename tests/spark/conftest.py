"""One Spark session for all tests that need one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from triplelake.engine.session import open_session
from triplelake.tables.store import Store


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A session as `conf/spark-defaults.conf` makes it, with Delta."""
    session = open_session("triplelake tests")
    yield session
    session.stop()


@pytest.fixture
def store(spark: SparkSession, tmp_path: Path) -> Store:
    """An output at a path, with all its tables, empty."""
    made = Store(spark, str(tmp_path / "kg"))
    made.create()
    return made
