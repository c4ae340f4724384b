"""The inventory: which hosts there are, and what is to run on them. `infra/inventory.example.yaml` shows every key."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from deploy.errors import BadUsage

EXAMPLE = "infra/inventory.example.yaml shows every key."

# Settings files are read by systemd and by a shell, and neither is to find anything to interpret.
_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")


def _plain(value: str) -> str:
    if not _PLAIN.fullmatch(value):
        raise ValueError("may hold letters, digits and _@%+=:,./- only")
    return value


def _absolute(value: str) -> str:
    if not value.startswith("/") or value.rstrip("/").count("/") < 2:
        raise ValueError("must be an absolute path of two folders at least, such as /opt/triplelake")
    return value.rstrip("/")


Plain = Annotated[str, AfterValidator(_plain)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ServeSettings(_Strict):
    """Options of serve.sh that an inventory may set; what is None, `tune` or serve.sh decides."""

    slots: int | None = None
    context_per_slot: int | None = None
    kv_type: Literal["f16", "q8_0"] | None = None
    kv_layout: Literal["split", "unified"] | None = None
    batch: int | None = None
    ubatch: int | None = None
    threads: int | None = None


class Tls(_Strict):
    """Files of this machine, in PEM."""

    certificate: Path
    key: Path


class HostEntry(_Strict):
    """A host.

    Args:
        address: where its servers listen, and where the job reaches them; a private address.
        ssh_hostname: where it is reached over SSH; the address if not set.
        gpus: how many of its GPUs serve; 0 for the CPU.
        port: of its first server; the others follow.
    """

    address: Plain
    ssh_hostname: str | None = None
    ssh_user: str = "root"
    ssh_port: int = 22
    ssh_key: Path | None = None
    ssh_known_hosts_file: Path | None = None
    gpus: int = Field(1, ge=0)
    servers_per_gpu: int = Field(1, ge=1)
    port: int = Field(8080, ge=1, le=65535)
    supervisor: Literal["systemd", "process"] = "systemd"
    prefix: Annotated[Plain, AfterValidator(_absolute)] = "/opt/triplelake"
    user: Plain = "triplelake"
    memory_max: Plain = "90%"
    settings: ServeSettings = ServeSettings()


class _File(_Strict):
    build: Path
    model: Path
    lora: Path | None = None
    name: Plain | None = None
    chat_template: Path | None = None
    api_key_file: Path | None = None
    api_key_env: str | None = None
    tls: Tls | None = None
    pool_file: Path
    defaults: dict[str, Any] = {}
    hosts: dict[Plain, dict[str, Any]] = Field(min_length=1)


@dataclass(frozen=True)
class Server:
    """A server of the pool.

    Args:
        host: its name in the inventory.
        index: which of the host's servers it is.
        gpu: None for the CPU.
    """

    host: str
    index: int
    gpu: int | None
    address: str
    port: int
    url: str

    @property
    def name(self) -> str:
        """As a person writes it on the command line."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Inventory:
    """All that an inventory file says, with its paths made whole.

    Args:
        file: the inventory itself.
        lora: the adapter that every server adds to the model.
        name: of the model in the alias; None takes the GGUF's own.
        api_key_env: variable that the job finds its key in; else the pool file names `api_key_file`.
    """

    file: Path
    build: Path
    model: Path
    lora: Path | None
    name: str | None
    chat_template: Path | None
    api_key_file: Path | None
    api_key_env: str | None
    tls: Tls | None
    pool_file: Path
    hosts: dict[str, HostEntry]

    @property
    def servers(self) -> tuple[Server, ...]:
        """Of all hosts."""
        scheme = "https" if self.tls else "http"
        found = []
        for name, host in self.hosts.items():
            for index in range(max(host.gpus, 1) * host.servers_per_gpu):
                gpu = index // host.servers_per_gpu if host.gpus else None
                port = host.port + index
                place = f"[{host.address}]" if ":" in host.address else host.address
                found.append(Server(name, index, gpu, host.address, port, f"{scheme}://{place}:{port}"))
        return tuple(found)

    def select(self, targets: Sequence[str]) -> tuple[Server, ...]:
        """The servers of hosts (`gpu-1`) and single ones (`gpu-1:8080`); without targets all.

        Raises:
            BadUsage: a target is in no inventory.
        """
        for target in targets:
            if not any(target in (server.host, server.name) for server in self.servers):
                known = ", ".join(self.hosts)
                raise BadUsage(target, f"is not in {self.file}", f"Hosts there: {known}; a server is HOST:PORT.")
        chosen = [s for s in self.servers if not targets or s.host in targets or s.name in targets]
        return tuple(chosen)


def load_inventory(file: Path) -> Inventory:
    """Read and check an inventory.

    Raises:
        BadUsage: it is not there, or a key or a value of it cannot be.
    """
    try:
        tree = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadUsage(str(file), error.strerror or "cannot be read", EXAMPLE) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadUsage(str(file), f"is not valid YAML: {' '.join(str(error).split())}", EXAMPLE) from None
    try:
        raw = _File.model_validate(tree)
        hosts = {}
        for name, entry in raw.hosts.items():
            merged = {**raw.defaults, **entry}
            merged["settings"] = {**raw.defaults.get("settings", {}), **entry.get("settings", {})}
            hosts[name] = HostEntry.model_validate(merged)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "inventory"
        reason = "unknown key" if first["type"] == "extra_forbidden" else first["msg"].lower()
        raise BadUsage(str(file), f"{key}: {reason}", EXAMPLE) from None
    folder = file.resolve().parent
    inventory = Inventory(
        file=file,
        build=folder / raw.build.expanduser(),
        model=folder / raw.model.expanduser(),
        lora=_below(folder, raw.lora),
        name=raw.name,
        chat_template=_below(folder, raw.chat_template),
        api_key_file=_below(folder, raw.api_key_file),
        api_key_env=raw.api_key_env,
        tls=Tls(certificate=folder / raw.tls.certificate, key=folder / raw.tls.key) if raw.tls else None,
        pool_file=folder / raw.pool_file.expanduser(),
        hosts=hosts,
    )
    _refuse_twice(inventory)
    return inventory


def _below(folder: Path, path: Path | None) -> Path | None:
    return folder / path.expanduser() if path else None


def _refuse_twice(inventory: Inventory) -> None:
    urls = [server.url for server in inventory.servers]
    for server in inventory.servers:
        if urls.count(server.url) > 1:
            remedy = "Give each host an address of its own, or ports that do not overlap."
            raise BadUsage(str(inventory.file), f"two servers would listen on {server.address}:{server.port}", remedy)
