"""A task and its desk over real HTTP: what it is told is what it does, and a desk out of reach changes nothing."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import pytest
import requests

from triplelake.config import AskingSettings
from triplelake.pool import desk_http
from triplelake.pool.clerk import Clerk
from triplelake.pool.desk import Desk
from triplelake.pool.desk_http import DeskAddress, DeskServer
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.reports import LOST_S, Orders, TaskCounts, TaskId, TaskReport
from triplelake.pool.router import Answer, Router, Stopped
from triplelake.pool.shares import EndpointShare, Share
from triplelake.types import Completion

POOL = (Endpoint("http://a", slots=4), Endpoint("http://b", slots=2))
FIRST = Share((EndpointShare(POOL[0], 2),))
TASK = TaskId(0, 0, 0)


class Slow:
    """A client whose answers come when they are let through."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.url = endpoint.url
        self.arrived = threading.Semaphore(0)
        self.let = threading.Semaphore(0)

    def complete(self, *_: object, **__: object) -> Completion:
        self.arrived.release()
        assert self.let.acquire(timeout=20)
        return Completion("[]", False, 1, 0, 1, 1.0, "m", self.url)

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        return []

    def close(self) -> None: ...


class Task:
    """A router over slow clients; `ask` puts a question on a thread of its own."""

    def __init__(self, **asking: float) -> None:
        self.clients: dict[str, Slow] = {}
        self.router = Router(FIRST, AskingSettings(**asking), self._client, others=POOL, most=8)
        self._threads = ThreadPoolExecutor(20)

    def _client(self, endpoint: Endpoint, timeout_s: float) -> Slow:
        return self.clients.setdefault(endpoint.url, Slow(endpoint))

    def ask(self, times: int = 1) -> list[Future[Answer]]:
        return [self._threads.submit(self.router.ask, "p", grammar=None, max_tokens=1) for _ in range(times)]

    def let_all(self) -> None:
        for client in self.clients.values():
            client.let.release(100)


@pytest.fixture
def server() -> Iterator[DeskServer]:
    with DeskServer(Desk(POOL), "127.0.0.1") as running:
        yield running


def test_a_report_goes_over_the_wire_as_it_is(server: DeskServer) -> None:
    report = TaskReport(TASK, 64, {"http://a": 1}, TaskCounts(1, 2, 3, 4, 5))
    assert server.address.report(report) == Orders({"http://a": 5, "http://b": 3}, 1.0, False)
    assert server.desk.counts([0]) == TaskCounts(1, 2, 3, 4, 5)


def test_the_desk_opens_for_its_token_alone(server: DeskServer) -> None:
    address = server.address
    with pytest.raises(OSError, match="401"):
        DeskAddress(address.url, "wrong").report(TaskReport(TASK, 1, {}))
    assert requests.get(address.url, timeout=5).status_code == 401
    assert address.token not in repr(address)
    headers = {"Authorization": f"Bearer {address.token}"}
    for body in (b"", b"[]", b"{}", b'{"task": {"wave": 1}}', b"\xff"):
        assert requests.post(f"{address.url}/report", data=body, headers=headers, timeout=5).status_code == 400
    assert server.desk.holding() == {"http://a": 0, "http://b": 0}


def sent(server: DeskServer, start: bytes) -> socket.socket:
    """A connection to the desk that has sent the beginning of a request."""
    host, _, port = server.address.url.rpartition("/")[2].partition(":")
    connection = socket.create_connection((host, int(port)), timeout=20)
    connection.sendall(start)
    return connection


def test_256_tasks_that_report_at_once_are_all_heard(server: DeskServer) -> None:
    together = threading.Barrier(256)

    def report(number: int) -> Orders:
        together.wait(60)
        return server.address.report(TaskReport(TaskId(0, number, number), 1, {}, TaskCounts(answered=1)))

    with ThreadPoolExecutor(256) as threads:
        assert len(list(threads.map(report, range(256)))) == 256
    assert server.desk.counts([0]).answered == 256


def test_a_block_may_end_before_anybody_has_come() -> None:
    for _ in range(20):
        with DeskServer(Desk(POOL), "127.0.0.1"):
            pass


def test_whoever_opens_many_connections_keeps_no_task_out(server: DeskServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_http, "_MOST_OPEN", 8)
    idle = [sent(server, b"POST /report HT") for _ in range(40)]
    for number in range(8):
        server.address.report(TaskReport(TaskId(0, number, 0), 1, {}, TaskCounts(answered=1)))
    assert server.desk.counts([0]).answered == 8
    # The first ones were cut off.
    for each in idle[:32]:
        with suppress(ConnectionResetError):
            assert each.recv(100) == b""
    for each in idle:
        each.close()


@pytest.mark.parametrize(
    ("start", "answer"),
    [
        (b"POST /report HTTP/1.1\r\nAuthori", b""),
        (b"POST /report HTTP/1.1\r\nX: " + b"x" * 20_000, b""),
        (b"POST /report HTTP/1.1\r\nContent-Length: 9999999999\r\n\r\n", b"HTTP/1.1 401 Unauthorized"),
        (b"POST /report HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"HTTP/1.1 400 Bad Request"),
    ],
)
def test_what_is_no_report_is_cut_off_without_reading_more(start: bytes, answer: bytes) -> None:
    with DeskServer(Desk(POOL), "127.0.0.1", timeout_s=0.2) as short, sent(short, start) as connection:
        try:
            assert connection.recv(1000).partition(b"\r\n")[0] == answer
        except ConnectionResetError:
            assert not answer


@pytest.mark.parametrize("length", ["-1", "1048577"])
def test_a_body_has_a_bound(server: DeskServer, length: str) -> None:
    head = f"POST /report HTTP/1.1\r\nAuthorization: Bearer {server.address.token}\r\nContent-Length: {length}\r\n\r\n"
    with sent(server, head.encode()) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 404 ")


def test_a_task_takes_the_windows_that_the_desk_gives(server: DeskServer) -> None:
    with Clerk(TASK, (task := Task()).router, server.address.report) as clerk:
        task.ask(20)
        for _ in range(5):
            assert task.clients["http://a"].arrived.acquire(timeout=20)
        for _ in range(3):
            assert task.clients["http://b"].arrived.acquire(timeout=20)
        assert task.router.in_flight == {"http://a": 5, "http://b": 3}
        clerk.add(TaskCounts(answered=2))
        task.let_all()
    assert server.desk.counts([0]).answered == 2
    assert server.desk.holding() == {"http://a": 0, "http://b": 0}


def test_a_task_without_a_place_waits_beyond_its_deadline_and_then_asks(server: DeskServer) -> None:
    server.desk.report(TaskReport(TaskId(0, 0, 7), 64, {}))
    task = Task(deadline_s=0.05)
    with Clerk(TaskId(1, 0, 0), task.router, server.address.report):
        [asked] = task.ask()
        assert task.router.in_flight == {}
        task.let_all()
        server.desk.report(TaskReport(TaskId(0, 0, 7), 0, {}, over=True))
        assert not asked.result(20).failed_tries


def test_a_stop_lets_what_is_in_flight_end_and_asks_nothing_new(server: DeskServer) -> None:
    task = Task()
    with Clerk(TASK, task.router, server.address.report):
        asked = task.ask(12)
        for client, places in zip(task.clients.values(), (5, 3), strict=True):
            for _ in range(places):
                assert client.arrived.acquire(timeout=20)
        server.desk.stop()
        deadline = time.monotonic() + 20
        while not task.router.stopped:
            assert time.monotonic() < deadline, "the task was not told"
            time.sleep(0.01)
        task.let_all()
        outcomes = [each.exception(20) for each in asked]
    assert sum(outcome is None for outcome in outcomes) == 8
    assert sum(isinstance(outcome, Stopped) for outcome in outcomes) == 4
    assert task.router.stopped


def test_a_desk_out_of_reach_leaves_the_last_share_then_the_first() -> None:
    now = 0.0
    reached = True

    def put(report: TaskReport) -> Orders:
        if not reached:
            raise ConnectionError("no way")
        return Orders({"http://b": 1}, 0.5, False)

    task = Task()
    clerk = Clerk(TASK, task.router, put, clock=lambda: now)
    clerk._report()
    reached = False
    now = LOST_S
    clerk._report()
    task.ask(9)
    assert task.clients["http://b"].arrived.acquire(timeout=20)
    assert task.router.in_flight == {"http://b": 1}
    now = LOST_S + 1
    clerk._report()
    for _ in range(2):
        assert task.clients["http://a"].arrived.acquire(timeout=20)
    assert task.router.in_flight == {"http://a": 2, "http://b": 1}
    reached = True
    clerk._report()
    task.let_all()


def test_a_desk_that_was_never_there_leaves_the_first_share() -> None:
    def put(report: TaskReport) -> Orders:
        raise ConnectionError("no way")

    task = Task()
    with Clerk(TASK, task.router, put):
        task.ask(9)
        for _ in range(2):
            assert task.clients["http://a"].arrived.acquire(timeout=20)
        assert task.router.in_flight == {"http://a": 2}
        task.let_all()
