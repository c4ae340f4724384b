"""The desk over HTTP: a small server in the driver, and what a task of any executor calls."""

from __future__ import annotations

import json
import secrets
import threading
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from triplelake.pool.connections import plain_session
from triplelake.pool.desk import Desk
from triplelake.pool.reports import Counts, Orders, Report, TaskId

_PATH = "/report"
_MAX_BODY = 1 << 20
_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class DeskAddress:
    """Where the desk is and the token that opens it; the token is never printed."""

    url: str
    token: str = field(repr=False)

    def report(self, report: Report) -> Orders:
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
    """

    def __init__(self, desk: Desk, host: str) -> None:
        self.desk = desk
        self._token = secrets.token_urlsafe(32)
        self._server = _Server((host, 0), desk, self._token)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="desk", daemon=True)

    @property
    def address(self) -> DeskAddress:
        host, port = self._server.server_address[:2]
        return DeskAddress(f"http://{host!s}:{port}", self._token)

    def __enter__(self) -> DeskServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], desk: Desk, token: str) -> None:
        super().__init__(address, _Handler)
        self.desk = desk
        self.token = token

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A task that goes away in the middle of a report is no news, and the terminal belongs to the run.
        pass


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = _TIMEOUT_S

    def do_POST(self) -> None:
        sent = self.headers.get("Authorization", "")
        length = int(self.headers.get("Content-Length") or 0)
        if not secrets.compare_digest(sent.encode(), f"Bearer {self.server.token}".encode()):
            self._answer(401, {})
        elif self.path != _PATH or length > _MAX_BODY:
            self._answer(404, {})
        else:
            try:
                report = read_report(json.loads(self.rfile.read(length)))
            except (ValueError, KeyError, TypeError):
                self._answer(400, {})
                return
            self._answer(200, asdict(self.server.desk.report(report)))

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def read_report(body: dict[str, Any]) -> Report:
    """A report from its JSON; raises KeyError, TypeError or ValueError if it is none."""
    return Report(
        task=TaskId(**body["task"]),
        wants=int(body["wants"]),
        in_flight={str(url): int(count) for url, count in body["in_flight"].items()},
        counts=Counts(**body["counts"]),
        failing=tuple(map(str, body["failing"])),
        over=bool(body["over"]),
        whole=bool(body["whole"]),
        stage=int(body["stage"]),
    )
