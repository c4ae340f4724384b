"""`up` and `upgrade`: bring the hosts into the state that the inventory describes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from deploy import steps
from deploy.artifacts import Payload, read_payload
from deploy.checks import MIB, bytes_to_copy, check_hosts, check_one_model
from deploy.errors import DeployError, raise_all
from deploy.hosts import Hosts, Probe, apply, connected
from deploy.inventory import Server
from deploy.operations import Context, host_names, put_back, start, take_out, wait_for
from deploy.pool_file import pooled
from deploy.servers import look_at_all
from deploy.settings import settings_text


def up(context: Context, targets: Sequence[str]) -> None:
    """Install what is missing, start what does not run, and write the pool file; a server that runs is left alone.

    Raises:
        DeployError: of several kinds; servers that came up are in the pool file all the same.
    """
    servers = context.inventory.select(targets)
    with _ready(context, servers) as (hosts, payload, probes):
        wanted = _wanted(context, payload, servers, probes)
        idle = [server for server in servers if server.port not in probes[server.host].running]
        if context.dry_run:
            for server in idle:
                context.say(f"would start {server.name} with {payload.alias}")
            context.say(f"would name {len(servers)} servers in {context.inventory.pool_file}")
        else:
            start(context, {server: wanted[server] for server in idle})
            _wait_and_pool(context, hosts, servers, payload.alias)
        for server in servers:
            if server not in idle and probes[server.host].settings.get(server.port) != wanted[server]:
                context.say(f"{server.name}: runs with other settings; infra/pool.py upgrade replaces it")


def upgrade(context: Context, targets: Sequence[str]) -> None:
    """Replace the servers that differ from the inventory, one at a time, while jobs go on.

    Raises:
        DeployError: a server cannot be taken away now, or its replacement does not come up: then the old one is back.
    """
    servers = context.inventory.select(targets)
    with _ready(context, servers) as (hosts, payload, probes):
        wanted = _wanted(context, payload, servers, probes)
        behind = [s for s in servers if not _as_wanted(probes[s.host], s, wanted[s])]
        for server in servers:
            if server not in behind:
                context.say(f"{server.name}: is as it should be")
        # Those that do not run are missed least.
        behind.sort(key=lambda server: server.port in probes[server.host].running)
        for server in behind:
            if context.dry_run:
                context.say(f"would drain {server.name}, start it with {payload.alias} and put it back")
                continue
            old = probes[server.host].settings.get(server.port)
            _replace(context, hosts, server, payload.alias, wanted[server], old)
    if not context.dry_run:
        clean = {name: partial(steps.forget_unused, context.inventory.hosts[name]) for name in host_names(servers)}
        apply(context.inventory, clean)


@contextmanager
def _ready(context: Context, servers: Sequence[Server]) -> Iterator[tuple[Hosts, Payload, Mapping[str, Probe]]]:
    """The hosts of these servers, checked and with everything installed that the servers need."""
    payload = read_payload(context.inventory)
    context.say(f"model {payload.alias}, build {payload.build.digest}, {len(servers)} servers")
    with connected(context.inventory, host_names(servers)) as hosts:
        probes = hosts.probe(payload, servers)
        check_hosts(context.inventory, payload, servers, probes)
        check_one_model(payload, probes)
        deploys = {name: partial(steps.install, context.inventory, payload, name) for name in hosts.names}
        for name, probe in probes.items():
            if lacking := bytes_to_copy(payload, probe):
                context.say(f"{name}: lacks {lacking / MIB:,.0f} MiB of build and model")
        for change in apply(context.inventory, deploys, dry_run=context.dry_run):
            context.say(f"would do on {change}" if context.dry_run else change)
        yield hosts, payload, probes


def _wanted(
    context: Context, payload: Payload, servers: Sequence[Server], probes: Mapping[str, Probe]
) -> dict[Server, str]:
    return {s: settings_text(context.inventory, payload, s, probes[s.host].tuned) for s in servers}


def _as_wanted(probe: Probe, server: Server, wanted: str) -> bool:
    return server.port in probe.running and probe.settings.get(server.port) == wanted


def _wait_and_pool(context: Context, hosts: Hosts, servers: Sequence[Server], alias: str) -> None:
    errors: list[DeployError] = []
    good: list[Server] = []
    for server in servers:
        try:
            wait_for(context, hosts, server, alias)
            good.append(server)
        except DeployError as error:
            errors.append(error)
    put_back(context, good)
    raise_all(errors)


def _replace(context: Context, hosts: Hosts, server: Server, alias: str, wanted: str, old: str | None) -> None:
    pool = pooled(context.inventory)
    if server in pool:
        _check_others(context, server, [other for other in pool if other != server])
        take_out(context, [server])
    try:
        start(context, {server: wanted})
        wait_for(context, hosts, server, alias)
    except DeployError as error:
        if old is None:
            raise
        context.say(f"{server.name}: the replacement does not come up; the old one is started again")
        start(context, {server: old})
        wait_for(context, hosts, server, alias)
        if server in pool:
            put_back(context, [server])
        raise DeployError(error.subject, f"{error.reason}; the old one is back", error.remedy) from None
    except KeyboardInterrupt:
        context.say(f"{server.name}: is not in the pool file; infra/pool.py up starts it and puts it back")
        raise
    if server in pool:
        put_back(context, [server])


def _check_others(context: Context, server: Server, others: Sequence[Server]) -> None:
    """Refuse to take a server away that a running job cannot spare."""
    if not others:
        remedy = "When no job runs: infra/pool.py stop …, then infra/pool.py up …"
        raise DeployError(server.name, "is the only server of the pool", remedy)
    for other, seen in look_at_all(others, context.key).items():
        if seen.state != "up":
            remedy = f"infra/pool.py up … {other.name} starts it; or infra/pool.py drain takes it out of the pool."
            raise DeployError(other.name, f"does not answer ({seen.state}), so that no other is taken away", remedy)
