"""The hosts over SSH, by pyinfra: connect to them, look at them, bring them into a state."""

from __future__ import annotations

import json
import logging
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyinfra.api.command import StringCommand
from pyinfra.api.config import Config
from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.host import Host
from pyinfra.api.inventory import Inventory as PyinfraInventory
from pyinfra.api.operations import run_ops
from pyinfra.api.state import BaseStateCallback, State
from pyinfra.context import ctx_host, ctx_state

from deploy.artifacts import Payload
from deploy.errors import DeployError, Missing, raise_all
from deploy.inventory import HostEntry, Inventory, Server

INCOMING = ".incoming"
"""Below the prefix: where files arrive before they are checked and moved."""

_PARALLEL = 20
_CONNECT_S = 10
_PROBE = Path(__file__).with_name("probe.py").read_text(encoding="utf-8")
_LAST_LINES = 5
_BROKEN = "The connection broke, or the disk is full; the same command goes on."

Deploy = Callable[[], None]
"""Declares pyinfra's operations for the host that is the current one."""


@dataclass(frozen=True)
class Probe:
    """What a host told of itself; see `probe.py`.

    Args:
        files: those of the wanted artifacts that are there, below the prefix.
        settings: text of the settings file of each port that has one.
        tuned: text of the file that `tune` writes.
        running: ports whose server runs.
        ports: of each wanted port whether it is `free`, `taken`, or why it cannot be bound to.
    """

    python: tuple[int, int]
    init: str
    gpus: tuple[str, ...]
    free_bytes: int
    files: frozenset[str]
    settings: Mapping[int, str]
    tuned: str
    running: frozenset[int]
    ports: Mapping[int, str]


class Hosts:
    """Hosts that are connected to.

    Args:
        inventory: where they are described.
        state: pyinfra's, connected.
    """

    def __init__(self, inventory: Inventory, state: State) -> None:
        self._inventory = inventory
        self._state = state
        self._by_name: dict[str, Host] = {host.name: host for host in state.inventory}

    @property
    def names(self) -> list[str]:
        return list(self._by_name)

    def run(self, name: str, *command: str) -> tuple[bool, str]:
        """Run a command; whether it ended with 0, and what it said."""
        host = self._by_name[name]
        sudo = self._inventory.hosts[name].ssh_user != "root"
        with ctx_state.use(self._state), ctx_host.use(host):
            done, output = host.run_shell_command(StringCommand(shlex.join(command)), _sudo=sudo)
        return bool(done), str(output.output)

    def probe(self, payload: Payload, servers: Sequence[Server]) -> dict[str, Probe]:
        """Look at all hosts at once.

        Raises:
            Missing: a host has no Python.
        """

        def look(name: str) -> Probe | DeployError:
            entry = self._inventory.hosts[name]
            asked = {
                "prefix": entry.prefix,
                "address": entry.address,
                "supervisor": entry.supervisor,
                "ports": [server.port for server in servers if server.host == name],
                "files": payload.places,
            }
            done, text = self.run(name, "python3", "-c", _PROBE, json.dumps(asked))
            if not done:
                remedy = "apt-get install python3 there; sudo must ask no password of the SSH user."
                return Missing(name, f"cannot be looked at: {text.strip() or 'no answer'}", remedy)
            return _read_probe(json.loads(text))

        with ThreadPoolExecutor(_PARALLEL) as threads:
            found = dict(zip(self.names, threads.map(look, self.names), strict=True))
        raise_all([error for error in found.values() if isinstance(error, DeployError)])
        return {name: probe for name, probe in found.items() if isinstance(probe, Probe)}


def _read_probe(told: Mapping[str, Any]) -> Probe:
    return Probe(
        python=tuple(told["python"]),
        init=told["init"],
        gpus=tuple(told["gpus"]),
        free_bytes=told["free_bytes"],
        files=frozenset(told["files"]),
        settings={int(port): text for port, text in told["settings"].items()},
        tuned=told["tuned"],
        running=frozenset(told["running"]),
        ports={int(port): state for port, state in told["ports"].items()},
    )


@contextmanager
def connected(inventory: Inventory, names: Sequence[str]) -> Iterator[Hosts]:
    """Hosts, connected to as long as the block lasts.

    Raises:
        DeployError: some cannot be reached; nothing has been done on the others.
    """
    with _state(inventory, names) as state:
        yield Hosts(inventory, state)


def apply(inventory: Inventory, deploys: Mapping[str, Deploy], *, dry_run: bool = False) -> list[str]:
    """Bring hosts into a state, all at once; each operation leaves alone what is already as it must be.

    Args:
        deploys: by name of host.

    Returns:
        What was changed, or with `dry_run` would be, in lines.

    Raises:
        DeployError: an operation failed on a host; the others have gone on.
    """
    if not deploys:
        return []
    with _state(inventory, list(deploys)) as state, ctx_state.use(state):

        def prepare(host: Host) -> None:
            with ctx_host.use(host):
                deploys[host.name]()

        # Each operation asks its host how things are, which takes a while; pyinfra itself would go host by host.
        for asking in [state.pool.spawn(prepare, host) for host in state.inventory]:
            asking.get()
        changes = [
            f"{host.name}: {_name_of(state, operation)}"
            for host in state.inventory
            for operation, data in state.ops[host].items()
            if data.operation_meta.will_change
        ]
        if not dry_run:
            # It raises only when no host is left; which failed and why is read from the operations.
            with suppress(PyinfraError):
                run_ops(state)
            raise_all([_failure_on(state, host) for host in state.failed_hosts])
        return changes


@contextmanager
def _state(inventory: Inventory, names: Sequence[str]) -> Iterator[State]:
    heard = _Heard()
    hosts = [(name, _connection(inventory.hosts[name])) for name in names]
    state = State(PyinfraInventory((hosts, {})), Config(CONNECT_TIMEOUT=_CONNECT_S, PARALLEL=_PARALLEL))
    state.add_callback_handler(heard)
    with _quiet():
        with suppress(PyinfraError):
            connect_all(state)
        try:
            raise_all([_unreachable(host, heard.errors.get(host.name, "")) for host in state.failed_hosts])
            yield state
        finally:
            disconnect_all(state)


class _Heard(BaseStateCallback):
    """Keeps why hosts could not be connected to."""

    def __init__(self) -> None:
        self.errors: dict[str, str] = {}

    # pyinfra declares its callbacks static, and calls them on an instance: this one remembers.
    def host_connect_error(self, state: State, host: Host, error: Exception) -> None:  # type: ignore[override]
        self.errors[host.name] = " ".join(str(error).split())


def _connection(entry: HostEntry) -> dict[str, Any]:
    """A host's data, by pyinfra's names."""
    data: dict[str, Any] = {
        "ssh_hostname": entry.ssh_hostname or entry.address,
        "ssh_user": entry.ssh_user,
        "ssh_port": entry.ssh_port,
        "_sudo": entry.ssh_user != "root",
        # What is written with sudo is copied here first: keys and scripts, which no other user may read or exchange.
        # pyinfra's own choice is a foreseeable name in /tmp, readable as the user's umask has it.
        "_temp_dir": f"{entry.prefix}/{INCOMING}",
    }
    if entry.ssh_key:
        data["ssh_key"] = str(entry.ssh_key.expanduser())
    if entry.ssh_known_hosts_file:
        data["ssh_known_hosts_file"] = str(entry.ssh_known_hosts_file.expanduser())
    return data


def _unreachable(host: Host, reason: str) -> DeployError:
    where = f"{host.data.ssh_user}@{host.data.ssh_hostname}"
    remedy = f"Try it: ssh -p {host.data.ssh_port} {where}\nA host that is gone for good is taken out of the inventory."
    return DeployError(host.name, f"cannot be reached over SSH: {reason or 'no answer'}", remedy)


def _failure_on(state: State, host: Host) -> DeployError:
    for operation, data in state.ops[host].items():
        meta = data.operation_meta
        if meta.is_complete() and meta.did_error():
            said = [line for line in (*meta.stdout_lines, *meta.stderr_lines) if line.strip()][-_LAST_LINES:]
            reason = f"could not {_name_of(state, operation)}"
            return DeployError(host.name, reason, "\n".join(said) or _BROKEN)
    return DeployError(host.name, "failed", _BROKEN)


def _name_of(state: State, operation: str) -> str:
    return ", ".join(state.op_meta[operation].names)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep pyinfra from telling itself what goes wrong: it is told once, in this project's way."""
    logger = logging.getLogger("pyinfra")
    before = logger.propagate, logger.disabled
    logger.propagate, logger.disabled = False, True
    try:
        yield
    finally:
        logger.propagate, logger.disabled = before
