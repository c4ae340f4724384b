"""`status`: what every server of the inventory is doing now."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from rich.console import Console
from rich.table import Column, Table

from deploy.errors import DeployError
from deploy.hosts import connected
from deploy.inventory import Server
from deploy.operations import Context, host_names
from deploy.pool_file import pooled
from deploy.servers import Look, look_at_all
from triplelake.pool.sampler import EVERY_S

_COLUMNS = ("host", "server", "GPU", "state", "pool", "model", "slots", "busy", "deferred", "tokens/s", "version")
_PARALLEL = 20


def status(context: Context, targets: Sequence[str], console: Console) -> None:
    """Print the table. It takes five seconds: the rate is the difference of two looks, and more often would hurt.

    Raises:
        DeployError: a server that the pool file names does not answer.
    """
    servers = context.inventory.select(targets)
    if context.dry_run:
        context.say(
            f"would ask {len(host_names(servers))} hosts for their GPUs and {len(servers)} servers for counters"
        )
        return
    before = look_at_all(servers, context.key)
    began = time.monotonic()
    cards = _cards(context, host_names(servers))
    time.sleep(max(0.0, began + EVERY_S - time.monotonic()))
    now = look_at_all(servers, context.key)
    named = pooled(context.inventory)
    table = Table(*(Column(name, overflow="fold") for name in _COLUMNS), box=None, pad_edge=False)
    for server in servers:
        table.add_row(*_row(server, cards[server.host], before[server], now[server], server in named))
    console.print(table)
    silent = [server.name for server in named if server in now and now[server].state != "up"]
    if silent:
        remedy = "A job that runs leaves it alone and tries it again. infra/pool.py up starts what does not run."
        raise DeployError(", ".join(silent), "in the pool file, and not up", remedy)


def _row(server: Server, cards: Sequence[str] | None, before: Look, now: Look, named: bool) -> list[str]:
    place = [server.host, f"{server.address}:{server.port}", _card(server, cards), now.state, "yes" if named else "no"]
    if now.state != "up":
        return [*place, *[""] * (len(_COLUMNS) - len(place))]
    # A server that was started again between the looks has counted from zero.
    known = before.state == "up" and now.decoded >= before.decoded
    rate = f"{(now.decoded - before.decoded) / (now.at - before.at):.0f}" if known else ""
    return [*place, now.alias, str(now.slots), str(now.busy), str(now.deferred), rate, now.version]


def _card(server: Server, cards: Sequence[str] | None) -> str:
    if server.gpu is None:
        return "CPU"
    if cards is None:
        return f"{server.gpu}: unreachable"
    return f"{server.gpu}: {cards[server.gpu] if server.gpu < len(cards) else 'missing'}"


def _cards(context: Context, names: Sequence[str]) -> Mapping[str, Sequence[str] | None]:
    """The names of each host's GPUs; None for a host that cannot be reached."""

    def ask(name: str) -> Sequence[str] | None:
        if not context.inventory.hosts[name].gpus:
            return ()
        try:
            with connected(context.inventory, [name]) as hosts:
                _, told = hosts.run(name, "nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
        except DeployError:
            return None
        return told.splitlines()

    with ThreadPoolExecutor(_PARALLEL) as threads:
        return dict(zip(names, threads.map(ask, names), strict=True))
