"""One trial of tune.py: start servers with some settings, keep them full for a while, and count what they answer.

Runs on the hosts, so it needs Python 3.10 and its standard library only.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

Question = Mapping[str, Any]
"""A line of the file that questions.py writes: `body`, as `/completion` takes it, and `grammars` by engine."""

NONE = "none"
"""The engine that takes no grammar: what a grammar costs is measured against it, and nothing asks so in earnest."""

_START_S = 900.0
_STOP_S = 15.0
_ANSWER_S = 600.0
_MOST_REFUSED = 0.2
_POLL_S = 0.1
_DOES_NOT_FIT = 3


@dataclass(frozen=True)
class Setup:
    """What a trial tries.

    Args:
        slots: of each server.
        kv_layout, kv_type, batch, ubatch: as serve.sh takes them.
        servers: that share the card.
        engine: of the grammars that are sent: `llguidance`, `gbnf` or `none`.
    """

    slots: int
    kv_layout: str
    kv_type: str
    batch: int
    ubatch: int
    servers: int
    engine: str

    def environment(self) -> dict[str, str]:
        """The settings of serve.sh."""
        return {
            "SERVE_SLOTS": str(self.slots),
            "SERVE_KV_LAYOUT": self.kv_layout,
            "SERVE_KV_TYPE": self.kv_type,
            "SERVE_BATCH": str(self.batch),
            "SERVE_UBATCH": str(self.ubatch),
            "SERVE_SERVERS_PER_GPU": str(self.servers),
        }


@dataclass(frozen=True)
class Result:
    """What a trial gave.

    Args:
        per_s: answers per second, all servers of the card together.
        tokens_per_s: decoded tokens per second.
        answers: that were counted; `cut` of them at the limit of their length.
        prompted: tokens of their prompts; `read` of them were computed, since no slot still had them.
        problem: why there are none; empty if there are.
    """

    setup: Setup
    per_s: float = 0.0
    tokens_per_s: float = 0.0
    answers: int = 0
    cut: int = 0
    prompted: int = 0
    read: int = 0
    problem: str = ""


class Failed(Exception):
    """Why a trial has no result: its servers do not start, or do not answer."""


@dataclass(frozen=True)
class Bench:
    """What all trials of a host have in common.

    Args:
        serve: serve.sh.
        base: its environment, without what a trial sets.
        questions: of the job.
        seconds: that answers are counted for.
        gpu: the card.
    """

    serve: Path
    base: Mapping[str, str]
    questions: Sequence[Question]
    seconds: float
    gpu: int

    def measure(self, setup: Setup) -> Result:
        """Try a setup; one that cannot work is a result, too."""
        bodies = [_body(question, setup.engine) for question in self.questions]
        try:
            with self.serving(setup) as ports:
                return _Loop(ports, setup.slots, bodies).run(setup, self.seconds)
        except Failed as why:
            return Result(setup, problem=str(why))

    @contextlib.contextmanager
    def serving(self, setup: Setup) -> Iterator[list[int]]:
        """The ports of the card's servers, once all are ready."""
        with contextlib.ExitStack() as stack:
            started = []
            for number in range(setup.servers):
                port = _free_port()
                log = stack.enter_context(tempfile.TemporaryFile())
                settings = {
                    **setup.environment(),
                    "SERVE_HOST": "127.0.0.1",
                    "SERVE_PORT": str(port),
                    "SERVE_INDEX": str(self.gpu * setup.servers + number),
                }
                process = subprocess.Popen(
                    [str(self.serve)],
                    env={**self.base, **settings},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
                stack.callback(_stop, process)
                started.append((process, log.fileno(), port))
            for process, log_number, port in started:
                _wait_until_ready(process, log_number, port)
            yield [port for _, _, port in started]


class _Loop:
    """As many questions in flight as a run of the job has, at every server, and nothing else."""

    def __init__(self, ports: Sequence[int], slots: int, bodies: Sequence[bytes]) -> None:
        in_flight = slots + max(1, slots // 10)
        self._places = [port for _ in range(in_flight) for port in ports]
        self._bodies = bodies
        self._next = count()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._warm = threading.Semaphore(0)
        self._counts: tuple[int, ...] = (0, 0, 0, 0, 0)
        self._refused: list[str] = []

    def run(self, setup: Setup, seconds: float) -> Result:
        """Count for so many seconds, and until there are as many answers as questions in flight.

        It begins when every place has had an answer: no slot is then empty or without the prefix.
        """
        threads = [threading.Thread(target=self._work, args=(port,), daemon=True) for port in self._places]
        for thread in threads:
            thread.start()
        try:
            for _ in threads:
                self._warm.acquire()
            began, before = time.monotonic(), self._counted()
            self._stop.wait(seconds)
            while self._counted()[0] - before[0] < len(self._places) and time.monotonic() - began < _ANSWER_S:
                self._stop.wait(_POLL_S)
            took, after = time.monotonic() - began, self._counted()
        finally:
            self._stop.set()
        answers, tokens, cut, prompted, read = (later - earlier for later, earlier in zip(after, before, strict=True))
        if len(self._refused) > _MOST_REFUSED * (answers + len(self._refused)):
            raise Failed(f"does not answer: {self._refused[-1]}")
        return Result(setup, answers / took, tokens / took, answers, cut, prompted, read)

    def _counted(self) -> tuple[int, ...]:
        with self._lock:
            return self._counts

    def _work(self, port: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_S)
        waited_for = True
        try:
            while not self._stop.is_set():
                self._ask(connection, self._bodies[next(self._next) % len(self._bodies)])
                if waited_for:
                    self._warm.release()
                    waited_for = False
        finally:
            connection.close()

    def _ask(self, connection: http.client.HTTPConnection, body: bytes) -> None:
        try:
            connection.request("POST", "/completion", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            raw = response.read()
            if response.status != 200:
                raise Failed(f"HTTP {response.status} {raw[:200].decode(errors='replace')}")
            answer = json.loads(raw)
            is_cut, prompted = answer["stop_type"] == "limit", answer["tokens_evaluated"]
            one = (1, answer["tokens_predicted"], int(is_cut), prompted, prompted - answer["timings/cache_n"])
        except (Failed, OSError, ValueError, KeyError, TypeError, http.client.HTTPException) as error:
            # The server closes a connection after a hundred requests; the next one opens another.
            connection.close()
            if not isinstance(error, (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)):
                with self._lock:
                    self._refused.append(str(error) or type(error).__name__)
            return
        with self._lock:
            self._counts = tuple(map(sum, zip(self._counts, one, strict=True)))


def _body(question: Question, engine: str) -> bytes:
    body = dict(question["body"])
    if engine != NONE:
        body["grammar"] = question["grammars"][engine]
    return json.dumps(body).encode()


def _wait_until_ready(process: subprocess.Popen[bytes], log: int, port: int) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if (code := process.poll()) is not None:
            kind = "does not fit" if code == _DOES_NOT_FIT else f"does not start (exit code {code})"
            raise Failed(f"{kind}: {_last_words(log)}")
        if _is_healthy(port):
            return
        time.sleep(_POLL_S)
    raise Failed(f"was not ready after {_START_S:.0f} s: {_last_words(log)}")


def _last_words(log: int) -> str:
    """Of serve.sh the error, which its remedy follows; of llama-server its last line."""
    said = [line for line in os.pread(log, 1 << 20, 0).decode(errors="replace").splitlines() if line.strip()]
    errors = [line.removeprefix("error: ") for line in said if line.startswith("error: ")]
    return (errors or said or ["it said nothing"])[-1].strip()


def _is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
