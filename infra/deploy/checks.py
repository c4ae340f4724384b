"""What is refused before anything is done: on this machine, then on the hosts."""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.artifacts import Payload
from deploy.errors import BadUsage, DeployError, Missing, NoRoom, raise_all
from deploy.hosts import Probe
from deploy.inventory import Inventory, Server
from deploy.settings import setting

MIB = 1 << 20
# Scripts, settings and logs beside the artifacts.
_ROOM_BESIDE = 64 * MIB
_PYTHON = (3, 10)


def read_key(inventory: Inventory) -> str | None:
    """The key that this machine uses; None if the servers have none.

    Raises:
        BadUsage: a file with keys or a certificate that must not be used, or cannot.
    """
    if inventory.tls:
        _check_private(inventory.tls.key, "tls.key")
        if not inventory.tls.certificate.is_file():
            raise BadUsage(str(inventory.tls.certificate), "no such file", "Check `tls.certificate` in the inventory.")
    path = inventory.api_key_file
    if path is None:
        return None
    _check_private(path, "api_key_file")
    content = path.read_bytes()
    if b"\r" in content:
        # llama-server takes it for a part of the key.
        raise BadUsage(str(path), "its lines end in a carriage return", f"sed -i 's/\\r$//' {path}")
    lines = content.decode("ascii", "replace").splitlines()
    key = next((line for line in lines if line), "")
    if not key.isprintable() or not key.isascii() or key.startswith("#") or key != key.strip():
        raise BadUsage(str(path), "its first line is no key", f"openssl rand -hex 32 > {path}")
    if not key:
        raise BadUsage(str(path), "holds no key", f"openssl rand -hex 32 > {path}")
    return key


def _check_private(path: Path, key: str) -> None:
    if not path.is_file():
        remedy = f"Make it (openssl rand -hex 32 > {path}; chmod 600 {path}), or check `{key}` in the inventory."
        raise BadUsage(str(path), "no such file", remedy)
    if stat.S_IMODE(path.stat().st_mode) & 0o007:
        raise BadUsage(str(path), "may be used by every user of this machine", f"chmod o= {path}")


def check_hosts(inventory: Inventory, payload: Payload, servers: Sequence[Server], probes: Mapping[str, Probe]) -> None:
    """Whether the hosts can serve.

    Raises:
        DeployError: all that is wrong with any of them.
    """
    errors: list[DeployError] = []
    for name, probe in probes.items():
        errors += _wrong_with(inventory, payload, name, probe)
        for server in servers:
            if server.host == name and server.port not in probe.running:
                errors += _wrong_with_port(server, probe.ports[server.port])
    raise_all(errors)


def check_one_model(payload: Payload, probes: Mapping[str, Probe]) -> None:
    """Refuse to mix two models in one pool.

    Raises:
        DeployError: a server that runs has another.
    """
    for name, probe in probes.items():
        for port in sorted(probe.running):
            alias = setting(probe.settings.get(port, ""), "alias")
            if alias and alias != payload.alias:
                remedy = (
                    "A job uses one model from its start to its end, so a pool cannot change it server by server.\n"
                    "When no job runs: infra/pool.py stop …, then infra/pool.py up …"
                )
                raise DeployError(f"{name}:{port}", f"serves {alias}, and the inventory names {payload.alias}", remedy)


def bytes_to_copy(payload: Payload, probe: Probe) -> int:
    """What a host lacks of the artifacts."""
    return sum(size for place, size in payload.places.items() if place not in probe.files)


def _wrong_with(inventory: Inventory, payload: Payload, name: str, probe: Probe) -> list[DeployError]:
    entry = inventory.hosts[name]
    errors: list[DeployError] = []
    if probe.python < _PYTHON:
        have = ".".join(map(str, probe.python))
        errors.append(Missing(name, f"has Python {have}, and serve.sh needs 3.10", "Put a newer python3 on its PATH."))
    if entry.gpus > len(probe.gpus):
        reason = f"nvidia-smi finds {len(probe.gpus)} GPUs, and the inventory asks for {entry.gpus}"
        errors.append(Missing(name, reason, "Mend the driver until nvidia-smi lists them, or set `gpus` (0: the CPU)."))
    if entry.supervisor == "systemd" and probe.init != "systemd":
        remedy = "Set `supervisor: process` for this host; nothing starts a dead server again there."
        errors.append(Missing(name, f"its first process is {probe.init or 'unknown'}, not systemd", remedy))
    needed = bytes_to_copy(payload, probe) + _ROOM_BESIDE
    if probe.free_bytes < needed:
        reason = f"{entry.prefix} has {probe.free_bytes / MIB:,.0f} MiB free, and needs {needed / MIB:,.0f} MiB"
        errors.append(NoRoom(name, reason, "Make room there, or set `prefix` to a folder on a larger disk."))
    return errors


def _wrong_with_port(server: Server, state: str) -> list[DeployError]:
    if state == "free":
        return []
    if state == "taken":
        remedy = f"Who has it: ss -ltnp 'sport = :{server.port}' on {server.host}; or set another `port`."
        return [Missing(server.name, f"the port of {server.address} is taken", remedy)]
    remedy = "`address` is one of the host's own: ip -brief address shows them."
    return [BadUsage(server.name, f"cannot be bound to {server.address} ({state})", remedy)]
