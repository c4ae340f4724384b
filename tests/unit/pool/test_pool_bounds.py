"""Bounds of an answer and of a rest, on clocks that the tests move."""

from __future__ import annotations

import gzip
import io
import json
import math
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count

import pytest
import requests

from triplelake.codes import Code
from triplelake.pool.backend import Backend
from triplelake.pool.bounds import BoundedReader, TooLong, bounded_adapter
from triplelake.pool.client import LlamaServer
from triplelake.pool.connections import plain_session
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.failures import ServerFailure

COMPLETION = json.dumps({"content": "[]", "model": "m", "tokens_evaluated": 1, "tokens_predicted": 1}).encode()
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(COMPLETION) + COMPLETION


@contextmanager
def saying(say: Callable[[socket.socket], None]) -> Iterator[str]:
    """URL of a server that takes each request and answers by a script."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, suppress(OSError):
                    connection.recv(2**16)
                    say(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def failure_of(url: str, new_session: Callable[[], requests.Session], timeout_s: float = 60.0) -> ServerFailure:
    with pytest.raises(ServerFailure) as caught:
        LlamaServer(Endpoint(url), timeout_s, new_session).complete("x", grammar=None, max_tokens=1)
    return caught.value


def session(most: int = 2**20, step_s: float = 0.0) -> Callable[[], requests.Session]:
    """Sessions whose clock goes on by `step_s` with each look at it."""
    ticks = count()
    adapter = partial(bounded_adapter, most, lambda: next(ticks) * step_s)
    return lambda: plain_session(None, adapter)


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Slow: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 500 No\r\nContent-Length: 100000000\r\n\r\n",
    ],
    ids=["nothing", "header", "body", "chunk", "error"],
)
def test_an_answer_that_drips_ends_with_its_time(begin: bytes) -> None:
    """Each byte comes at once; the clock says that ten seconds have gone by, and the whole answer has sixty."""

    def drip(connection: socket.socket) -> None:
        connection.sendall(begin or b"HTTP/1.1 20")
        while True:
            connection.sendall(b"0")

    with saying(drip) as url:
        assert failure_of(url, session(step_s=10.0)).code is Code.TIMEOUT


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 400000000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1" * 1000),
        (b"HTTP/1.1 503 No\r\n\r\n", b"x"),
    ],
    ids=["no-length", "length", "chunk-line", "error"],
)
def test_a_body_without_end_is_no_answer(begin: bytes, end: bytes) -> None:
    sent = 0

    def pour(connection: socket.socket) -> None:
        nonlocal sent
        connection.sendall(begin)
        while True:
            sent += connection.send(end * 1000)

    with saying(pour) as url:
        failure = failure_of(url, session(most=100_000))
    # A chunk without a length is no HTTP, which is seen before the bound.
    assert failure.code in (Code.BAD_ANSWER, Code.CONNECTION)
    assert sent < 50_000_000


def test_what_comes_compressed_is_never_unpacked() -> None:
    bomb = gzip.compress(b"0" * 50_000_000)

    def send(connection: socket.socket) -> None:
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb
        )

    with saying(send) as url:
        assert failure_of(url, session()).code is Code.BAD_ANSWER


def test_an_answer_in_time_is_read_and_so_is_the_next() -> None:
    def twice(connection: socket.socket) -> None:
        connection.sendall(WHOLE)
        connection.recv(2**16)
        connection.sendall(WHOLE)

    with saying(twice) as url:
        client = LlamaServer(Endpoint(url), 60.0, session(step_s=1.0))
        for _ in range(2):
            assert client.complete("x", grammar=None, max_tokens=1).text == "[]"


def test_a_reader_gives_each_read_what_is_left() -> None:
    now = 0.0
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(5.0)
        reader = BoundedReader(io.BytesIO(b"abcdef"), ours, 5, lambda: now)  # type: ignore[arg-type]
        assert reader.read(2) == b"ab"
        now = 4.9
        assert reader.read(2) == b"cd"
        assert ours.gettimeout() == 5.0
        with pytest.raises(TooLong):
            reader.read(2)
        now = 5.0
        with pytest.raises(TimeoutError):
            reader.read(1)


@pytest.mark.parametrize("asked", ["3600", "inf", "1e400", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_rest_has_a_bound_whatever_a_server_asks_for(asked: str) -> None:
    def busy(connection: socket.socket) -> None:
        connection.sendall(f"HTTP/1.1 429 Busy\r\nRetry-After: {asked}\r\nContent-Length: 0\r\n\r\n".encode())

    with saying(busy) as url:
        failure = failure_of(url, session())
    assert failure.retry_after_s is not None
    backend = Backend("http://a", LlamaServer(Endpoint("http://a"), 1), 4, longest_rest_s=20.0)
    backend.failed(failure, 100.0)
    assert backend.rests_until == 120.0
    assert not backend.admits(119.9)
    assert backend.admits(120.0)


@pytest.mark.parametrize("asked", ["nan", "soon", "-5", "Fri, 31 Dec 9999 23:59:59 -2300", "Mon, 99 Foo 2026"])
def test_a_rest_that_says_nothing_is_none(asked: str) -> None:
    def busy(connection: socket.socket) -> None:
        connection.sendall(f"HTTP/1.1 429 Busy\r\nRetry-After: {asked}\r\nContent-Length: 0\r\n\r\n".encode())

    with saying(busy) as url:
        rest_s = failure_of(url, session()).retry_after_s
    assert not rest_s or math.isfinite(rest_s)


def test_certificates_that_are_not_there_are_a_failure_of_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    assert failure_of("https://127.0.0.1:9", plain_session).code is Code.CONNECTION
