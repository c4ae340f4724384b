"""Fixtures that several rooms share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from triplelake.config import EmbeddedSettings
from triplelake.pool.embedded import EmbeddedServer
from triplelake.pool.endpoints import Endpoint


@pytest.fixture(scope="session")
def llama_server() -> Iterator[Endpoint]:
    """The real embedded server with the real small model: `.url`, `.api_key`, two slots."""
    with EmbeddedServer(EmbeddedSettings(slots=2)) as server:
        yield server.endpoint
