"""The servers over HTTP: wait until one answers, wait until one has nothing in hand, look at what it does."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from deploy.errors import DeployError
from deploy.inventory import Server
from triplelake.pool.adapters import loaded_adapters, wrong_adapters
from triplelake.pool.answers import LoraAdapter
from triplelake.pool.client import LlamaServer
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.failures import ServerFailure
from triplelake.pool.sampler import EVERY_S, look_at

_PARALLEL = 32
_TIMEOUT_S = 10.0
_PAUSE_S = 0.5
_DEATH_EVERY_S = 3.0
_IDLE_LOOKS = 2


@dataclass(frozen=True)
class Look:
    """What a server told of itself.

    Args:
        state: `up`, or in a word why not: `connection`, `timeout`, `loading`, `unauthorized` …
        decoded: tokens since its start.
    """

    state: str
    alias: str = ""
    version: str = ""
    adapters: tuple[LoraAdapter, ...] = ()
    slots: int = 0
    busy: int = 0
    deferred: int = 0
    decoded: float = 0.0
    at: float = 0.0


def look(server: Server, key: str | None) -> Look:
    """One look; never raises for the server."""
    client = LlamaServer(Endpoint(server.url, key), _TIMEOUT_S)
    try:
        props, metrics, adapters = client.props(), client.metrics(), loaded_adapters(client)
    except ServerFailure as failure:
        return Look(failure.code)
    finally:
        client.close()
    return Look(
        state="up",
        alias=props.alias,
        version=props.build,
        adapters=adapters,
        slots=props.total_slots,
        busy=int(metrics.get("requests_processing", 0)),
        deferred=int(metrics.get("requests_deferred", 0)),
        decoded=metrics.get("tokens_predicted_total", 0.0),
        at=time.monotonic(),
    )


def look_at_all(servers: Sequence[Server], key: str | None) -> dict[Server, Look]:
    """One look at each, all at once."""
    with ThreadPoolExecutor(_PARALLEL) as threads:
        return dict(zip(servers, threads.map(lambda server: look(server, key), servers), strict=True))


def _lacks_adapter(alias: str, seen: Look) -> str | None:
    return f"has loaded no adapter, and is called {alias}" if "+" in alias and not seen.adapters else None


def wait_until_up(
    server: Server, key: str | None, alias: str, limit_s: float, died: Callable[[Server], str | None]
) -> None:
    """Wait until a server has loaded its model, with its adapter, and calls it by the right name.

    Args:
        died: why the server runs no more; None while it does.

    Raises:
        DeployError: it has died, is another, or takes longer than `limit_s`.
    """
    deadline = time.monotonic() + limit_s
    ask_death_at = time.monotonic() + _DEATH_EVERY_S
    while True:
        seen = look(server, key)
        if seen.state == "up" and seen.alias == alias:
            if wrong := wrong_adapters(alias, seen.adapters) or _lacks_adapter(alias, seen):
                raise DeployError(server.name, wrong, f"Look at {server.url}/lora-adapters and start it anew.")
            return
        if seen.state == "up":
            remedy = f"Does another server listen there? On {server.host}: ss -ltnp 'sport = :{server.port}'"
            raise DeployError(server.name, f"serves {seen.alias or 'no model'}, not {alias}", remedy)
        if seen.state == "unauthorized":
            remedy = f"The server was started with other keys: infra/pool.py upgrade … {server.name}"
            raise DeployError(server.name, "refuses the first key of the key file", remedy)
        if time.monotonic() >= ask_death_at:
            if log := died(server):
                raise DeployError(server.name, "ended while it started", log)
            ask_death_at = time.monotonic() + _DEATH_EVERY_S
        if time.monotonic() >= deadline:
            remedy = f"It runs, and {server.url} does not answer from here: is the port open to this machine?"
            raise DeployError(server.name, f"is not up after {limit_s:g} s ({seen.state})", remedy)
        time.sleep(_PAUSE_S)


def wait_until_drained(server: Server, key: str | None, settle_s: float, limit_s: float) -> bool:
    """Wait until a server that was taken out of the pool file has nothing in hand.

    Args:
        settle_s: how long a job may take to see the file; a server that is idle before may get work still.

    Returns:
        Whether it is idle; False if it has work still after `limit_s`. One that is gone is idle.
    """
    began = time.monotonic()
    idle = 0
    while True:
        sample = look_at(Endpoint(server.url, key))
        gone = sample.state != "up" and look(server, key).state == "connection"
        idle = idle + 1 if gone or (sample.state == "up" and not sample.busy and not sample.deferred) else 0
        waited = time.monotonic() - began
        if gone or (idle >= _IDLE_LOOKS and waited >= settle_s):
            return True
        if waited >= max(limit_s, settle_s):
            return False
        time.sleep(EVERY_S)
