"""The one place that knows which kind of server an endpoint is."""

from __future__ import annotations

from triplelake.pool.client import LlamaServer
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.protocol import ServerClient


def new_client(endpoint: Endpoint, timeout_s: float) -> ServerClient:
    """A client of a server.

    Args:
        timeout_s: seconds to wait for one answer.
    """
    return LlamaServer(endpoint, timeout_s)
