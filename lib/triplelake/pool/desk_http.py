"""The desk over HTTP: a small server in the driver, and what a task of any executor calls.

Every task of a cluster may report in the same instant, and anybody who reaches the port may open connections. So many
of them wait in the system's queue, one thread serves them all, and each has a few seconds in all for its headers, its
token and its report, however slowly it sends them. Where too many are open, those that are open longest are cut.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import threading
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from http.client import HTTPException, parse_headers
from io import BytesIO
from types import TracebackType
from typing import Any

from triplelake.pool.connections import plain_session
from triplelake.pool.desk import Desk
from triplelake.pool.reports import Orders, TaskCounts, TaskId, TaskReport

_PATH = "/report"
_MAX_BODY = 1 << 20
_MAX_HEAD = 1 << 14
_TIMEOUT_S = 5.0
_QUEUE = 2048
"""Connections that wait to be accepted; the system may allow fewer (`net.core.somaxconn`)."""
_MOST_OPEN = 512
"""Connections that are open at the same time; each is a file of the driver's process."""


@dataclass(frozen=True, slots=True)
class DeskAddress:
    """Where the desk is and the token that opens it; the token is never printed."""

    url: str
    token: str = field(repr=False)

    def report(self, report: TaskReport) -> Orders:
        """Put a report and take the orders.

        Raises:
            OSError: the desk cannot be reached, or refuses.
        """
        with plain_session() as session:
            response = session.post(
                self.url + _PATH,
                json=asdict(report),
                headers={"Authorization": f"Bearer {self.token}"},
                timeout=_TIMEOUT_S,
                allow_redirects=False,
            )
            response.raise_for_status()
            return Orders(**response.json())


class DeskServer:
    """Serves a desk for as long as the block lasts.

    Args:
        desk: what is served.
        host: address of this machine that executors reach; nothing else is listened at.
        timeout_s: how long one connection may take in all.
    """

    def __init__(self, desk: Desk, host: str, timeout_s: float = _TIMEOUT_S) -> None:
        self.desk = desk
        self._token = secrets.token_urlsafe(32)
        self._timeout_s = timeout_s
        self._socket = socket.create_server((host, 0), backlog=_QUEUE)
        self._open: dict[asyncio.StreamWriter, None] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="desk", daemon=True)
        self._begun = threading.Event()

    @property
    def address(self) -> DeskAddress:
        host, port = self._socket.getsockname()[:2]
        return DeskAddress(f"http://{host!s}:{port}", self._token)

    def __enter__(self) -> DeskServer:
        self._thread.start()
        # A block that ends at once would stop the loop before it serves, which is an error of the thread.
        self._begun.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        serving = asyncio.start_server(self._serve, sock=self._socket, backlog=_QUEUE, limit=_MAX_HEAD)
        try:
            server = self._loop.run_until_complete(serving)
        finally:
            self._begun.set()
        self._loop.run_forever()
        server.close()
        for writer in self._open:
            writer.transport.abort()
        # Each of them sees that its connection is gone, and ends by itself.
        self._loop.run_until_complete(asyncio.gather(*asyncio.all_tasks(self._loop), return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= _MOST_OPEN:
            # A report takes milliseconds: whoever is there longest is not one, and must not keep the others out.
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.transport.abort()
        self._open[writer] = None
        try:
            async with asyncio.timeout(self._timeout_s):
                status, body = await self._answer(reader)
                raw = json.dumps(body).encode()
                head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
                writer.write(f"{head}Content-Length: {len(raw)}\r\nConnection: close\r\n\r\n".encode() + raw)
                await writer.drain()
        except (OSError, TimeoutError, EOFError, asyncio.LimitOverrunError):
            # A task that goes away in the middle of a report is no news, and the terminal belongs to the run.
            pass
        finally:
            self._open.pop(writer, None)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[HTTPStatus, dict[str, Any]]:
        first, _, rest = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")
        method, _, target = first.decode("latin-1").partition(" ")
        try:
            headers = parse_headers(BytesIO(rest))
            length = int(headers.get("Content-Length") or 0)
        except (HTTPException, ValueError):
            return HTTPStatus.BAD_REQUEST, {}
        # Nothing more is read or told before the token is there.
        if not secrets.compare_digest(headers.get("Authorization", "").encode(), f"Bearer {self._token}".encode()):
            return HTTPStatus.UNAUTHORIZED, {}
        if method != "POST" or target.split(" ")[0] != _PATH or not 0 <= length <= _MAX_BODY:
            return HTTPStatus.NOT_FOUND, {}
        try:
            report = read_report(json.loads(await reader.readexactly(length)))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return HTTPStatus.BAD_REQUEST, {}
        return HTTPStatus.OK, asdict(self.desk.report(report))


def read_report(body: dict[str, Any]) -> TaskReport:
    """A report from its JSON; raises KeyError, TypeError or ValueError if it is none."""
    return TaskReport(
        task=TaskId(**body["task"]),
        wants=int(body["wants"]),
        in_flight={str(url): int(count) for url, count in body["in_flight"].items()},
        counts=TaskCounts(**body["counts"]),
        failing=tuple(map(str, body["failing"])),
        over=bool(body["over"]),
        whole=bool(body["whole"]),
        stage=int(body["stage"]),
    )
