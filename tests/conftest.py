"""Fixtures that several rooms share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import hypothesis
import pytest

from triplelake.config import EmbeddedSettings
from triplelake.pool.embedded import EmbeddedServer
from triplelake.pool.endpoints import Endpoint

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# A machine that does other work takes longer for an example, and is no fault of what it tries.
hypothesis.settings.register_profile("triplelake", deadline=None)
# Of `make test-quick`, where a property has a quarter of the examples that it has in `make test`.
hypothesis.settings.register_profile("quick", deadline=None, max_examples=25)
hypothesis.settings.load_profile("triplelake")

# Tests count what a server is asked. That of the preflight switches it on.
os.environ["TRIPLELAKE__RUN__PREFLIGHT"] = "false"


@pytest.fixture(scope="session")
def llama_server() -> Iterator[Endpoint]:
    """The real embedded server with the real small model: `.url`, `.api_key`, two slots, one thread."""
    with EmbeddedServer(EmbeddedSettings(slots=2, threads=1)) as server:
        yield server.endpoint


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """A session as `conf/spark-defaults.conf` makes it, with Delta; its tables are small, so two tasks shuffle them."""
    # Here, because the tests of the plain rooms run where there is no Spark.
    from triplelake.spark import open_session

    session = open_session("triplelake tests")
    session.conf.set("spark.sql.shuffle.partitions", 2)
    yield session
    session.stop()


def pytest_configure(config: pytest.Config) -> None:
    """Leave out the tests that take minutes, unless `-m` speaks of them."""
    expression = config.option.markexpr
    if "infra" not in expression:
        config.option.markexpr = f"({expression}) and not infra" if expression else "not infra"


# First: pytest-xdist reads the groups in the same hook.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say what two workers must not do at the same time.

    The tests of a module share what it has set up, and of real servers there is one at a time: each would slow the
    others down many times, since their threads wait for one another by spinning.
    """
    for item in items:
        assert isinstance(item, pytest.Function)
        asks_model = "llama_server" in item.fixturenames or item.get_closest_marker("model")
        item.add_marker(pytest.mark.xdist_group("model" if asks_model else item.path.name))
