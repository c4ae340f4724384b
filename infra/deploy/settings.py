"""The files of a host that are written from the inventory: a server's settings, systemd's units."""

from __future__ import annotations

from pathlib import Path

from deploy.artifacts import Payload, digest_of
from deploy.inventory import HostEntry, Inventory, Server

LLAMA = Path(__file__).resolve().parents[1] / "llama"
_NAMES = (
    *("common.sh", "serve.sh", "serve_checks.sh", "serve_device.sh"),
    *("sizing.py", "gguf_header.py", "process.sh", "watchdog.py"),
)
SCRIPTS = tuple(LLAMA / name for name in _NAMES)
TOOLS = tuple(LLAMA / name for name in ("tune.py", "tune_search.py", "tune_trial.py"))
"""What else a host gets; no server is started anew for a change in them."""

UNITS = (LLAMA / "systemd" / "llama-server@.service", LLAMA / "systemd" / "llama-watchdog@.service")

_HEAD = "# Written by infra/pool.py, and written anew by it: what shall stay belongs into the inventory.\n"


def settings_text(inventory: Inventory, payload: Payload, server: Server, tuned: str) -> str:
    """What serve.sh reads for a server. Two servers with the same text are alike, so that none of them is replaced."""
    host = inventory.hosts[server.host]
    prefix = host.prefix
    values: dict[str, object] = {
        "USER": host.user,
        "BINARY": f"{prefix}/{payload.binary}",
        "MODEL": f"{prefix}/{payload.gguf}",
        **({"LORA": f"{prefix}/{payload.lora}"} if payload.lora else {}),
        "ALIAS": payload.alias,
        "HOST": server.address,
        "PORT": server.port,
        "INDEX": server.index,
        "DEVICE": "cpu" if server.gpu is None else "gpu",
        "SERVERS_PER_GPU": host.servers_per_gpu,
    }
    if payload.chat_template:
        values["CHAT_TEMPLATE"] = f"{prefix}/{payload.model.folder}/{payload.chat_template}"
    if inventory.api_key_file:
        values["API_KEY_FILE"] = f"{prefix}/etc/llama.key"
    if inventory.tls:
        values["TLS_CERT"], values["TLS_KEY"] = f"{prefix}/etc/tls.pem", f"{prefix}/etc/tls.key"
    values.update(host.settings.model_dump(exclude_none=True))
    lines = "".join(f"SERVE_{name.upper()}={value}\n" for name, value in values.items())
    return f"{_HEAD}{lines}# Started with scripts, keys and tuned settings {_digest(inventory, tuned)}.\n"


def unit_text(unit: Path, host: HostEntry) -> str:
    """A unit for a host."""
    text = unit.read_text(encoding="utf-8")
    for mark, value in (("@PREFIX@", host.prefix), ("@USER@", host.user), ("@MEMORY_MAX@", host.memory_max)):
        text = text.replace(mark, value)
    return text


def setting(text: str, name: str) -> str | None:
    """The value of a setting in a settings file."""
    start = f"SERVE_{name.upper()}="
    return next((line[len(start) :] for line in text.splitlines() if line.startswith(start)), None)


def _digest(inventory: Inventory, tuned: str) -> str:
    files = [*SCRIPTS, *UNITS, *filter(None, [inventory.api_key_file])]
    if inventory.tls:
        files += [inventory.tls.certificate, inventory.tls.key]
    return digest_of(files, tuned)
