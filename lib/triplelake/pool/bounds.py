"""Bounds of one answer: seconds and bytes from its first byte to its last.

The timeouts of `requests` are for each read of a socket, so a server that drips a byte now and then is never late, and
a body, a header or the length line of a chunk is read for as long as it comes. Here both bounds lie below HTTP, where
every byte passes: what is late raises TimeoutError, what is too long raises `TooLong`.
"""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable
from http.client import HTTPResponse
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

MOST_BYTES = 16 * 2**20
"""Of one answer, its headers included. The longest that a run asks for are some hundred kilobytes."""

Clock = Callable[[], float]


class TooLong(Exception):
    """An answer has more bytes than it may have."""


class BoundedReader(io.RawIOBase):
    """The bytes of one answer.

    Args:
        raw: what reads the socket.
        sock: the socket; its timeout is the budget of the whole answer, in seconds, None for no bound.
        most: bytes at most.
        clock: seconds that only grow.
    """

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, most: int, clock: Clock) -> None:
        self._raw = raw
        self._sock = sock
        self._left = most
        self._clock = clock
        self._budget_s = sock.gettimeout()
        self._deadline = None if self._budget_s is None else clock() + self._budget_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._deadline is not None:
            left_s = self._deadline - self._clock()
            if left_s <= 0:
                raise TimeoutError("the whole answer did not come in time")
            self._sock.settimeout(left_s)
        try:
            read = self._raw.readinto(buffer)
        finally:
            # The next request on this connection is sent before its own timeout is set.
            if self._deadline is not None:
                self._sock.settimeout(self._budget_s)
        self._left -= read or 0
        if self._left < 0:
            raise TooLong
        return read

    def close(self) -> None:
        self._raw.close()
        super().close()


def bounded_adapter(most: int = MOST_BYTES, clock: Clock = time.monotonic, **pool_options: Any) -> HTTPAdapter:
    """An adapter of one connection whose read timeout is that of the whole answer, and that never retries."""

    class Response(HTTPResponse):
        def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
            super().__init__(sock, *args, **kwargs)
            self.fp = io.BufferedReader(BoundedReader(self.fp.detach(), sock, most, clock))

    class Plain(HTTPConnection):
        response_class = Response

    class Encrypted(HTTPSConnection):
        response_class = Response

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(HTTPSConnectionPool):
        ConnectionCls = Encrypted

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
            self.poolmanager = PoolManager(num_pools=1, maxsize=1, block=block, **options, **pool_options)
            self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": EncryptedPool}

    return Adapter(pool_connections=1, pool_maxsize=1, max_retries=0)
