"""`drain`, `stop` and `remove`: take servers away, in the order in which a job that runs feels it least."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from deploy import steps
from deploy.errors import BadUsage
from deploy.hosts import apply
from deploy.inventory import Server
from deploy.operations import Context, host_names, take_out
from deploy.pool_file import pooled, write_pool


def drain(context: Context, targets: Sequence[str]) -> None:
    """Give servers no new work and wait for what they have; they run on. `up` puts them back.

    Raises:
        BadUsage: no server is named, or none would be left.
    """
    if not targets:
        raise BadUsage("drain", "no host or server is named", "Name it as the inventory does: gpu-1, or gpu-1:8080.")
    servers = context.inventory.select(targets)
    if pooled(context.inventory) and not set(pooled(context.inventory)) - set(servers):
        # A job takes no empty pool for an answer: it would go on with the servers that it has.
        remedy = "End the jobs; then infra/pool.py stop … takes all servers away."
        raise BadUsage(" ".join(targets), "no other server would be left in the pool", remedy)
    if context.dry_run:
        _tell(context, "drain", servers)
        return
    take_out(context, servers)


def stop(context: Context, targets: Sequence[str]) -> None:
    """Drain servers, then stop them."""
    servers = context.inventory.select(targets)
    if context.dry_run:
        _tell(context, "drain and stop", servers)
        return
    _drain_what_is_left(context, servers)
    by_host = _by_host(servers)
    apply(
        context.inventory,
        {name: partial(steps.stop, context.inventory.hosts[name], each) for name, each in by_host.items()},
    )
    for server in servers:
        context.say(f"{server.name}: stopped")


def remove(context: Context, targets: Sequence[str]) -> None:
    """Drain and stop the servers of hosts, then delete all that was installed there.

    Raises:
        BadUsage: a single server of a host is named.
    """
    for target in targets:
        if target not in context.inventory.hosts:
            context.inventory.select([target])
            raise BadUsage(target, "is a server, and only a whole host can be removed", "Name the host, or use stop.")
    servers = context.inventory.select(targets)
    by_host = _by_host(servers)
    deploys = {name: partial(steps.remove, context.inventory, name, each) for name, each in by_host.items()}
    if context.dry_run:
        _tell(context, "drain, stop and remove", servers)
        for change in apply(context.inventory, deploys, dry_run=True):
            context.say(f"would do on {change}")
        return
    _drain_what_is_left(context, servers)
    apply(context.inventory, deploys)
    for name in by_host:
        context.say(f"{name}: nothing of this pool is left")


def _drain_what_is_left(context: Context, servers: Sequence[Server]) -> None:
    """Drain those that the pool file names; the others get no work."""
    named = [server for server in pooled(context.inventory) if server in servers]
    if named:
        take_out(context, named)
    if not pooled(context.inventory):
        write_pool(context.inventory, ())


def _by_host(servers: Sequence[Server]) -> dict[str, list[Server]]:
    return {name: [server for server in servers if server.host == name] for name in host_names(servers)}


def _tell(context: Context, verb: str, servers: Sequence[Server]) -> None:
    for server in servers:
        context.say(f"would {verb} {server.name}")
