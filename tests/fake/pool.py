"""A pool of fake servers for a test: starts their process, scripts their faults, reads their counts, waits."""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import requests

from fake.faults import Rule
from fake.settings import ServerSettings
from fake.work import Speed
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.server_process import ServerProcess

DEADLINE_S = 60.0
"""Seconds that a test waits for anything before it fails."""

_STOP_S = 10.0
_SPEED = frozenset(field.name for field in fields(Speed))


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted of one server, or of all; see `fake.counts.Counts`.

    `processing` and `deferred` are the requests with and without a slot, left ones included; `state` is `up`, a fault
    of the whole server, or `mixed` where servers differ. Of all servers, `peak` is the sum of the peaks of each.
    """

    received: int
    probes: int
    in_flight: int
    peak: int
    connections: int
    open_connections: int
    zombies: int
    processing: int
    deferred: int
    state: str
    outcomes: Counter[str]
    faults: Counter[str]
    asked: Counter[str]
    answered: Counter[str]


class FakePool:
    """Fake servers in one process, there between `__enter__` and `__exit__`.

    Args:
        servers: how many.
        each: settings of single servers by number, which go before the common ones.
        options: common settings: members of `ServerSettings` and of `Speed` (`slots=16`, `latency_s=6.0`).
    """

    def __init__(
        self, servers: int = 1, *, each: Mapping[int, Mapping[str, Any]] | None = None, **options: Any
    ) -> None:
        own = each or {}
        self._settings = [_settings({**options, **own.get(number, {})}) for number in range(servers)]
        self._process: ServerProcess | None = None
        self._control = ""
        self._session = requests.Session()
        self._session.trust_env = False
        self.urls: tuple[str, ...] = ()

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where they listen, with keys and slots."""
        return tuple(
            Endpoint(url, each.api_key, each.slots) for url, each in zip(self.urls, self._settings, strict=True)
        )

    @property
    def setting(self) -> str:
        """The value of the setting `pool` that names them all."""
        return ",".join(self.urls)

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process
        return self._process.pid

    def __enter__(self) -> FakePool:
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as config:
            json.dump([each.to_json() for each in self._settings], config)
            config.flush()
            self._process = ServerProcess("fake.main", config.name, environment=_environment(), stop_s=_STOP_S)
            try:
                self._read_addresses(self._process)
            except BaseException:
                self._stop()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def script(self, *rules: Rule, server: int | None = None) -> None:
        """Give a server, or all, a script; the one before and what it brought about end."""
        self._order("script", server, rules=[each.to_json() for each in rules])

    def release(self, name: str | None = None, server: int | None = None) -> None:
        """End the rules of a name, or all."""
        self._order("release", server, name=name)

    def set_zombies(self, value: bool, server: int | None = None) -> None:
        """Whether servers work on after a client left."""
        self._order("zombies", server, value=value)

    def forget(self, server: int | None = None) -> None:
        """Count from zero."""
        self._order("forget", server)

    def counts(self, server: int | None = None, *, texts: bool = True) -> Counts:
        """What was counted; without `texts` not how often each was asked, which may be long."""
        return _merged(self._order("counts", server, texts=texts))

    def arrivals(self, server: int | None = None) -> list[tuple[float, int]]:
        """When each question came, in seconds of one clock, in order, and the tokens of its prompt."""
        return sorted((when, size) for each in self._order("arrivals", server) for when, size in each)

    def lines(self) -> dict[str, set[tuple[int, int]]]:
        """The connections that asked each text last, one of each server that was asked: its port and the client's.

        A client may have the same port towards two servers.
        """
        found: defaultdict[str, set[tuple[int, int]]] = defaultdict(set)
        for url, ports in zip(self.urls, self._order("ports", None), strict=True):
            for text, port in ports.items():
                found[text].add((int(url.rpartition(":")[2]), port))
        return found

    def wait(
        self,
        *counter: str,
        at_least: int | None = None,
        at_most: int | None = None,
        equals: str | None = None,
        server: int | None = None,
        timeout_s: float = DEADLINE_S,
    ) -> None:
        """Wait until a counter, summed over the servers, is within bounds, or a state is what it should be.

        Args:
            counter: a member of `Counts`, and for those of several counters which one: `"outcomes", "503"`.
            equals: for `"state"`, in every server.

        Raises:
            AssertionError: it did not come in time; with what was counted.
        """
        bounds = {"at_least": at_least, "at_most": at_most, "equals": equals}
        if not self._order("wait", server, counter=counter, **bounds, timeout_s=timeout_s):
            raise AssertionError(f"waited {timeout_s:g} s for {counter} {bounds}: {self.counts(server, texts=False)}")

    def _order(self, do: str, server: int | None, **more: Any) -> Any:
        longest_s = more.get("timeout_s", 0.0) + DEADLINE_S
        answer = self._session.post(self._control, json={"do": do, "server": server, **more}, timeout=longest_s)
        answer.raise_for_status()
        return answer.json()

    def _read_addresses(self, process: ServerProcess) -> None:
        line = process.read_line(DEADLINE_S)
        assert line, "the fake servers did not start"
        addresses = json.loads(line)
        self.urls, self._control = tuple(addresses["urls"]), addresses["control"]

    def _stop(self) -> None:
        process, self._process = self._process, None
        self._session.close()
        if process:
            process.stop()


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}


def _settings(options: Mapping[str, Any]) -> ServerSettings:
    speed = Speed(**{name: value for name, value in options.items() if name in _SPEED})
    return replace(
        ServerSettings(speed=speed), **{name: value for name, value in options.items() if name not in _SPEED}
    )


def _merged(bodies: Sequence[Mapping[str, Any]]) -> Counts:
    merged: dict[str, Any] = {}
    for each in fields(Counts):
        values = [body.get(each.name, {}) for body in bodies]
        if each.name == "state":
            merged[each.name] = values[0] if len({*values}) == 1 else "mixed"
        elif isinstance(values[0], Mapping):
            merged[each.name] = sum((Counter(value) for value in values), Counter())
        else:
            merged[each.name] = sum(values)
    return Counts(**merged)
