"""Orders to the servers of a process, over HTTP on a port of its own: one route, a JSON object per order."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from fake.counts import Watch
from fake.faults import Rule
from fake.server import FakeServer


class Control:
    """Obeys orders; each names a server by its number, or all by null."""

    def __init__(self, servers: Sequence[FakeServer], watch: Watch) -> None:
        self._servers = servers
        self._watch = watch

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Do what `do` says."""
        order = json.loads(await request.content.read())
        number = order.get("server")
        servers = self._servers if number is None else [self._servers[number]]
        return web.Response(text=json.dumps(await self._obey(order, servers)))

    async def _obey(self, order: Mapping[str, Any], servers: Sequence[FakeServer]) -> Any:
        match order["do"]:
            case "script":
                rules = [Rule.from_json(each) for each in order["rules"]]
                for server in servers:
                    server.obey(rules)
            case "release":
                for server in servers:
                    server.release(order["name"])
            case "zombies":
                for server in servers:
                    server.zombies = bool(order["value"])
            case "forget":
                for server in servers:
                    server.counts.forget()
            case "counts":
                return [server.to_json(order["texts"]) for server in servers]
            case "ports":
                return [server.counts.ports for server in servers]
            case "arrivals":
                return [[*zip(server.counts.arrivals, server.counts.sizes, strict=True)] for server in servers]
            case "wait":
                return await self._watch.until(_condition(order, servers), order["timeout_s"])
            case unknown:
                raise ValueError(unknown)
        return None


def _condition(order: Mapping[str, Any], servers: Sequence[FakeServer]) -> Callable[[], bool]:
    path: list[str] = order["counter"]
    least, most = order["at_least"], order["at_most"]
    equals = order["equals"]

    def holds() -> bool:
        values = [_value(server, path) for server in servers]
        if equals is not None:
            return all(value == equals for value in values)
        total = sum(values)
        return (least is None or total >= least) and (most is None or total <= most)

    return holds


def _value(server: FakeServer, path: Sequence[str]) -> Any:
    first, *rest = path
    if first == "state":
        return server.state
    if first in ("processing", "deferred"):
        return getattr(server.engine, first)
    value = getattr(server.counts, first)
    return value[server.counts.key(rest[0]) if first in ("asked", "answered") else rest[0]] if rest else value
