"""Connections and the port of one server."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Protocol

from aiohttp import web

from fake.counts import Counts
from fake.work import Job

MAX_REQUESTS = 100
IDLE_S = 5.0
"""After so many requests, or seconds without one, a connection is closed."""

_RESET = struct.pack("ii", 1, 0)


class Host(Protocol):
    """Who is told of connections."""

    def joined(self, line: Line) -> None: ...

    def left(self, line: Line) -> None: ...


class Line(web.RequestHandler):
    """A connection. It knows the question that its client waits for, and the work that is done for it."""

    def __init__(self, host: Host, http: web.Server) -> None:
        super().__init__(http, loop=asyncio.get_running_loop(), keepalive_timeout=IDLE_S)
        self._host = host
        self.requests = 0
        self.question: str | None = None
        self.jobs: list[Job] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._host.joined(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._host.left(self)

    @property
    def port(self) -> int:
        """The client's; 0 where it is gone already."""
        peer = self.transport.get_extra_info("peername") if self.transport else None
        return int(peer[1]) if peer else 0

    def hang_up(self) -> None:
        """End it after what is written."""
        if self.transport is not None:
            self.transport.close()

    def reset(self) -> None:
        """End it as the kernel does for a process that was killed."""
        transport = self.transport
        if transport is not None:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            transport.abort()

    def end(self, counts: Counts, outcome: str) -> None:
        """The client of its question waits no longer."""
        if self.question is not None:
            text, self.question = self.question, None
            counts.end(text, outcome)


def bound(port: int) -> socket.socket:
    """A socket on a port of 127.0.0.1 (0: any), which others like it may share as long as one listens at most."""
    place = socket.socket()
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.bind(("127.0.0.1", port))
    return place
