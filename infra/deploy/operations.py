"""What the commands share: where they work and how they speak, servers drained, started and waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from deploy import steps
from deploy.hosts import Hosts, apply
from deploy.inventory import Inventory, Server
from deploy.pool_file import pooled, write_pool
from deploy.servers import wait_until_drained, wait_until_up

_LOG_LINES = 12


@dataclass(frozen=True)
class Limits:
    """How long to wait, in seconds.

    Args:
        settle: for a job to see that the pool file has changed.
        drain: for the work that a server has in hand.
        start: for a server to load its model.
    """

    settle: float
    drain: float
    start: float


@dataclass(frozen=True)
class Context:
    """A command at work.

    Args:
        key: of the servers; never printed.
        say: told each step in a line.
        dry_run: say what would be done, and do nothing.
    """

    inventory: Inventory
    key: str | None
    say: Callable[[str], None]
    dry_run: bool
    limits: Limits


def host_names(servers: Sequence[Server]) -> list[str]:
    """The hosts of servers, each once, in their order."""
    return list(dict.fromkeys(server.host for server in servers))


def take_out(context: Context, servers: Sequence[Server]) -> None:
    """Take servers out of the pool file and wait until they have nothing in hand, or the limit."""
    remaining = [server for server in pooled(context.inventory) if server not in servers]
    write_pool(context.inventory, remaining)
    for server in servers:
        context.say(f"{server.name}: out of the pool file; waiting for the work that it has")
    for server in servers:
        began = time.monotonic()
        limits = context.limits
        if wait_until_drained(server, context.key, limits.settle, limits.drain):
            context.say(f"{server.name}: nothing in hand after {time.monotonic() - began:.0f} s")
        else:
            context.say(f"{server.name}: still at work after {limits.drain:g} s: what it has in hand is lost")


def put_back(context: Context, servers: Sequence[Server]) -> None:
    """Name servers in the pool file, beside those that stand there."""
    write_pool(context.inventory, [*pooled(context.inventory), *servers])
    for server in servers:
        context.say(f"{server.name}: in the pool file")


def start(context: Context, settings: dict[Server, str]) -> None:
    """Start servers with these settings; those that run are stopped first."""

    def on(name: str) -> None:
        for server, text in settings.items():
            if server.host == name:
                steps.replace(context.inventory, server, text)

    apply(context.inventory, {name: partial(on, name) for name in host_names(list(settings))})


def wait_for(context: Context, hosts: Hosts, server: Server, alias: str) -> None:
    """Wait until a server that was started is up.

    Raises:
        DeployError: it does not come up; with the end of its log.
    """
    began = time.monotonic()
    wait_until_up(server, context.key, alias, context.limits.start, partial(_end_of_log, context.inventory, hosts))
    context.say(f"{server.name}: up after {time.monotonic() - began:.0f} s with {alias}")


def _end_of_log(inventory: Inventory, hosts: Hosts, server: Server) -> str | None:
    """The last lines of a server that runs no more; None while it does."""
    entry = inventory.hosts[server.host]
    if entry.supervisor == "process":
        runs, _ = hosts.run(
            server.host, f"{entry.prefix}/libexec/process.sh", "status", str(server.port), "--prefix", entry.prefix
        )
        log = ["tail", "-n", str(_LOG_LINES), f"{entry.prefix}/log/llama-server@{server.port}.log"]
    else:
        unit = f"llama-server@{server.port}.service"
        _, told = hosts.run(server.host, "systemctl", "show", "--property=ActiveState,NRestarts", unit)
        # One that systemd has had to start again has died, whatever it is doing now.
        runs = "ActiveState=active" in told and "NRestarts=0" in told
        log = ["journalctl", "--unit", unit, "--lines", str(_LOG_LINES), "--output", "cat", "--no-pager"]
    if runs:
        return None
    _, lines = hosts.run(server.host, *log)
    return f"The end of its log on {server.host}:\n{lines.strip() or '(empty)'}"
