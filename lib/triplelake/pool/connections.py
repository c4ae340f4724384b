"""Kept-alive connections to one server, renewed before the server closes them.

llama-server closes a connection after 100 requests or 5 s without one (and behind a streamed
answer, whose reader closes it itself). A request sent into such a
connection is lost in a way that cannot be told from a request that was taken and then died, so a
blind resend could decode an answer twice. Each connection here is used by one thread at a time,
counted, and replaced before either limit.
"""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import requests
from requests.adapters import HTTPAdapter

from triplelake.pool.bounds import bounded_adapter

_MAX_REQUESTS = 99
_MAX_IDLE_S = 4.0

SessionFactory = Callable[[], requests.Session]


def plain_session(ca: str | None = None, adapter: Callable[..., HTTPAdapter] = bounded_adapter) -> requests.Session:
    """A session of one connection that never retries by itself; a read timeout is that of a whole answer.

    Args:
        ca: certificates in PEM of authorities to trust besides the public ones.
        adapter: makes what carries the requests.
    """
    session = requests.Session()
    # Neither a proxy nor a ~/.netrc of the machine may come between a task and its servers.
    session.trust_env = False
    session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
    # What comes compressed could be any number of bytes once it is unpacked.
    session.headers["Accept-Encoding"] = "identity"
    session.mount("http://", adapter())
    session.mount("https://", adapter(ssl_context=_context(ca)) if ca else adapter())
    return session


@lru_cache(maxsize=64)
def _context(ca: str) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=ca)


@dataclass(slots=True)
class _Line:
    session: requests.Session
    requests: int = 0
    idle_since: float = 0.0


class Connections:
    """A stack of connections: the one used last is used next, so that few stay open."""

    def __init__(
        self, new_session: SessionFactory = plain_session, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._new_session = new_session
        self._clock = clock
        self._idle: list[_Line] = []
        self._lock = threading.Lock()

    @contextmanager
    def borrow(self) -> Iterator[requests.Session]:
        """A connection for one request; closed, not kept, if the request raises."""
        line = self._take()
        try:
            yield line.session
        except BaseException:
            line.session.close()
            raise
        line.requests += 1
        line.idle_since = self._clock()
        with self._lock:
            self._idle.append(line)

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for line in idle:
            line.session.close()

    def _take(self) -> _Line:
        while True:
            with self._lock:
                line = self._idle.pop() if self._idle else None
            if line is None:
                return _Line(self._new_session())
            if line.requests < _MAX_REQUESTS and self._clock() - line.idle_since < _MAX_IDLE_S:
                return line
            line.session.close()
