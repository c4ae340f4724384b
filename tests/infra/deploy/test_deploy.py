"""The deployment without hosts: what is refused, what is written, when a server counts as drained."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[3] / "infra"))
sys.path.insert(0, str(Path(__file__).parents[3] / "infra" / "llama"))
sys.path.insert(0, str(Path(__file__).parent))

from fake.faults import rule
from fake.gguf_file import ATOM_7B, write_gguf, write_header, write_lora
from fake.pool import FakePool
from pyinfra.api.arguments import pop_global_arguments
from pyinfra.api.config import Config
from pyinfra.api.inventory import Inventory as PyinfraInventory
from pyinfra.api.state import State

from deploy import checks, cli, hosts, pool_file, servers, steps
from deploy.artifacts import Payload, read_payload
from deploy.errors import DeployError
from deploy.hosts import Probe
from deploy.inventory import Inventory, Server, load_inventory
from deploy.settings import UNITS, setting, settings_text, unit_text
from triplelake.pool import sampler
from triplelake.pool.client import LlamaServer
from triplelake.pool.endpoints import load_pool
from triplelake.pool.gguf import declared_alias

ROOT = Path(__file__).resolve().parents[3]

Write = Callable[..., Inventory]


@pytest.fixture
def content(tmp_path: Path) -> dict[str, Any]:
    """Of an inventory with three servers on two hosts."""
    binary = tmp_path / "llama" / "bin" / "llama-server"
    binary.parent.mkdir(parents=True)
    binary.write_text("#!/bin/sh\n")
    write_header(tmp_path / "model.gguf", ATOM_7B)
    keys = tmp_path / "llama.key"
    keys.write_text("secret-of-the-pool\n")
    keys.chmod(0o600)
    return {
        "build": "llama",
        "model": "model.gguf",
        "api_key_file": "llama.key",
        "pool_file": "conf/pool.yaml",
        "defaults": {"supervisor": "process", "settings": {"slots": 4}},
        "hosts": {
            "gpu-1": {"address": "10.0.0.11", "gpus": 2, "settings": {"kv_type": "f16"}},
            "cpu-1": {"address": "10.0.0.12", "gpus": 0},
        },
    }


@pytest.fixture
def write(tmp_path: Path, content: dict[str, Any]) -> Write:
    def write(**changes: Any) -> Inventory:
        file = tmp_path / "inventory.yaml"
        file.write_text(yaml.safe_dump({**content, **changes}, sort_keys=False))
        return load_inventory(file)

    return write


def probe(**changes: Any) -> Probe:
    """A host that can do everything."""
    good = Probe(
        python=(3, 11),
        init="systemd",
        gpus=("H100", "H100"),
        free_bytes=1 << 40,
        files=frozenset(),
        settings={},
        tuned="",
        running=frozenset(),
        ports={8080: "free", 8081: "free"},
    )
    return replace(good, **changes)


def told(error: pytest.ExceptionInfo[DeployError], code: int, *parts: str) -> None:
    """Checks an error's form and what it says."""
    text = str(error.value)
    assert error.value.exit_code == code
    assert re.fullmatch(r"error: \S.*: .*[^.\s](\n  \S.*)+", text), text
    for part in parts:
        assert part in text


@pytest.fixture
def lora(tmp_path: Path) -> Path:
    """An adapter, and in place of the inventory's model one that it belongs to."""
    write_gguf(tmp_path / "model.gguf", ATOM_7B, {"blk.0.attn_q.weight": (8, 6)})
    return write_lora(tmp_path / "own.gguf", {"blk.0.attn_q.weight": (8, 6)})


def test_an_adapter_goes_to_the_hosts_and_into_the_alias(write: Write, lora: Path) -> None:
    plain, inventory = read_payload(write()), write(lora="own.gguf")
    payload = read_payload(inventory)
    assert payload.lora is not None
    assert payload.model == plain.model
    assert payload.alias == declared_alias(inventory.model, lora).replace("model+", "atom-7b-chat+")
    assert payload.places[payload.lora] == lora.stat().st_size
    text = settings_text(inventory, payload, inventory.servers[0], "")
    assert setting(text, "lora") == f"/opt/triplelake/{payload.lora}"
    assert setting(settings_text(inventory, plain, inventory.servers[0], ""), "lora") is None
    # What no settings file names is deleted on the hosts.
    assert f"/{payload.lora.rpartition('/')[0]}/" in text


@pytest.mark.parametrize(("named", "reason"), [("none.gguf", "No such file"), ("model.gguf", "is no adapter")])
def test_an_adapter_that_does_not_fit_is_not_copied(write: Write, lora: Path, named: str, reason: str) -> None:
    with pytest.raises(DeployError) as error:
        read_payload(write(lora=named))
    told(error, 3, named, reason, "adapter.sh")


@pytest.mark.parametrize(
    ("loras", "reason"), [((), "has loaded no adapter"), ((("/x/own.gguf", 0.0),), "adds 0 times its adapter")]
)
def test_a_server_without_its_adapter_is_not_up(loras: tuple[tuple[str, float], ...], reason: str) -> None:
    with FakePool(alias="atom+own@12", loras=loras) as pool:
        server = Server("h", 0, None, "127.0.0.1", 1, pool.endpoints[0].url)
        with pytest.raises(DeployError, match=reason):
            servers.wait_until_up(server, None, "atom+own@12", 5, lambda _: None)


def test_the_example_shows_every_key() -> None:
    example = ROOT / "infra" / "inventory.example.yaml"
    inventory = load_inventory(example)
    assert len(inventory.servers) == 6
    text = example.read_text(encoding="utf-8")
    keys = {
        *(name for model in (inventory.hosts["gpu-1"],) for name in type(model).model_fields),
        *("build", "model", "lora", "name", "chat_template", "api_key_file", "api_key_env", "tls", "pool_file"),
    }
    assert not {key for key in keys if f"{key}:" not in text}


def test_servers_have_cards_ports_and_urls(write: Write) -> None:
    found = [(s.name, s.gpu, s.index, s.url) for s in write().servers]
    assert found == [
        ("gpu-1:8080", 0, 0, "http://10.0.0.11:8080"),
        ("gpu-1:8081", 1, 1, "http://10.0.0.11:8081"),
        ("cpu-1:8080", None, 0, "http://10.0.0.12:8080"),
    ]


def test_servers_that_share_a_card(write: Write) -> None:
    hosts = {"g": {"address": "fd00::7", "gpus": 2, "servers_per_gpu": 2}}
    assert [(s.gpu, s.port) for s in write(hosts=hosts).servers] == [(0, 8080), (0, 8081), (1, 8082), (1, 8083)]
    assert write(hosts=hosts).servers[0].url == "http://[fd00::7]:8080"


def test_targets_are_hosts_and_servers(write: Write) -> None:
    inventory = write()
    assert [s.name for s in inventory.select(["gpu-1:8081", "cpu-1"])] == ["gpu-1:8081", "cpu-1:8080"]
    assert inventory.select([]) == inventory.servers
    with pytest.raises(DeployError) as error:
        inventory.select(["gpu-9"])
    told(error, 2, "gpu-9", "gpu-1, cpu-1")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"modle": "x"}, "modle: unknown key"),
        ({"hosts": {}}, "hosts: "),
        ({"hosts": {"g": {}}}, "address: field required"),
        ({"hosts": {"g": {"address": "10.0.0.1; reboot"}}}, "may hold letters"),
        ({"hosts": {"g": {"address": "10.0.0.1", "prefix": "/"}}}, "two folders at least"),
        ({"hosts": {"g": {"address": "10.0.0.1", "settings": {"kv_typ": "f16"}}}}, "settings.kv_typ: unknown key"),
        ({"hosts": {"g": {"address": "10.0.0.1"}, "h": {"address": "10.0.0.1"}}}, "two servers would listen on"),
    ],
)
def test_inventories_that_cannot_be(write: Write, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(DeployError) as error:
        write(**changes)
    told(error, 2, "inventory.yaml", reason, "inventory.example.yaml" if "two servers" not in reason else "address")


@pytest.mark.parametrize(
    ("raw", "mode", "reason", "remedy"),
    [
        (b"k\n", 0o644, "every user of this machine", "chmod o="),
        (b"k\r\n", 0o600, "carriage return", r"sed -i 's/\r$//'"),
        (b"\n", 0o600, "holds no key", "openssl rand"),
        (b"# mine\nk\n", 0o600, "first line is no key", "openssl rand"),
        (b"caf\xc3\xa9\n", 0o600, "first line is no key", "openssl rand"),
    ],
)
def test_key_files_that_cannot_be_used(
    write: Write, tmp_path: Path, raw: bytes, mode: int, reason: str, remedy: str
) -> None:
    keys = tmp_path / "llama.key"
    keys.write_bytes(raw)
    keys.chmod(mode)
    with pytest.raises(DeployError) as error:
        checks.read_key(write())
    told(error, 2, "llama.key", reason, remedy)


def test_the_first_line_is_the_key(write: Write, tmp_path: Path) -> None:
    (tmp_path / "llama.key").write_text("new\nold\n")
    assert checks.read_key(write()) == "new"
    assert checks.read_key(write(api_key_file=None)) is None


def test_settings_that_serve_sh_takes(write: Write, tmp_path: Path) -> None:
    inventory = write()
    payload = read_payload(inventory)
    server = inventory.servers[1]
    text = settings_text(inventory, payload, server, "")
    assert setting(text, "alias") == payload.alias
    assert payload.alias.startswith("atom-7b-chat@")
    assert (setting(text, "slots"), setting(text, "kv_type"), setting(text, "index")) == ("4", "f16", "1")
    assert "secret-of-the-pool" not in text
    known = subprocess.run([ROOT / "infra/llama/serve.sh", "--help"], capture_output=True, text=True, check=True).stdout
    for line in text.splitlines():
        if not line.startswith("#"):
            name = line.partition("=")[0].removeprefix("SERVE_").lower().replace("_", "-")
            assert name == "user" or f"--{name} " in known, line


def test_what_makes_a_server_start_anew(write: Write, tmp_path: Path) -> None:
    def text() -> str:
        inventory = write()
        return settings_text(inventory, read_payload(inventory), inventory.servers[0], "")

    before = text()
    assert text() == before
    (tmp_path / "llama.key").write_text("another\n")
    changed_key = text()
    assert changed_key != before
    (tmp_path / "llama" / "lib").mkdir()
    (tmp_path / "llama" / "lib" / "libcublas.so").write_text("new")
    assert setting(text(), "binary") != setting(changed_key, "binary")


def test_a_manifest_saves_the_hashing_of_what_has_not_changed(write: Write, tmp_path: Path) -> None:
    model = tmp_path / "model.gguf"
    state = model.stat()
    entry = f'{{"bytes": {state.st_size}, "mtime_ns": {state.st_mtime_ns}, "sha256": "{"ab" * 32}"}}'
    (tmp_path / "manifest.json").write_text(f'{{"name": "Atom-7B-Chat", "files": {{"model.gguf": {entry}}}}}')
    assert read_payload(write()).alias == f"atom-7b-chat@{'ab' * 6}"
    os.utime(model, ns=(0, 0))
    assert not read_payload(write()).alias.endswith("ab" * 6)


@pytest.mark.parametrize(("missing", "remedy"), [("llama/bin/llama-server", "build.sh"), ("model.gguf", "model.sh")])
def test_what_is_copied_must_be_there(write: Write, tmp_path: Path, missing: str, remedy: str) -> None:
    (tmp_path / missing).unlink()
    with pytest.raises(DeployError) as error:
        read_payload(write())
    told(error, 3, remedy)


@pytest.mark.parametrize(
    ("name", "changes", "code", "reason"),
    [
        ("gpu-1", {"gpus": ("H100",)}, 3, "finds 1 GPUs, and the inventory asks for 2"),
        ("gpu-1", {"python": (3, 8)}, 3, "has Python 3.8"),
        ("gpu-1", {"free_bytes": 1 << 20}, 5, "has 1 MiB free, and needs"),
        ("gpu-1", {"ports": {8080: "free", 8081: "taken"}}, 3, "the port of 10.0.0.11 is taken"),
        ("gpu-1", {"ports": {8080: "free", 8081: "No such address"}}, 2, "cannot be bound to 10.0.0.11"),
    ],
)
def test_hosts_that_cannot_serve(write: Write, name: str, changes: dict[str, Any], code: int, reason: str) -> None:
    inventory = write()
    payload = read_payload(inventory)
    checks.check_hosts(inventory, payload, inventory.servers, {name: probe()})
    with pytest.raises(DeployError) as error:
        checks.check_hosts(inventory, payload, inventory.servers, {name: probe(**changes)})
    told(error, code, name, reason)


def test_a_host_without_systemd(write: Write) -> None:
    inventory = write(defaults={})
    with pytest.raises(DeployError) as error:
        checks.check_hosts(inventory, read_payload(inventory), inventory.servers, {"cpu-1": probe(init="bash")})
    told(error, 3, "its first process is bash, not systemd", "supervisor: process")


def test_a_port_of_a_server_of_ours_is_not_taken(write: Write) -> None:
    inventory = write()
    ours = probe(ports={8080: "taken", 8081: "free"}, running=frozenset({8080}))
    checks.check_hosts(inventory, read_payload(inventory), inventory.servers, {"gpu-1": ours})


def test_what_is_there_needs_no_room(write: Write) -> None:
    payload: Payload = read_payload(write())
    model = payload.places[payload.gguf]
    assert checks.bytes_to_copy(payload, probe()) == model + payload.places[payload.binary]
    assert checks.bytes_to_copy(payload, probe(files=frozenset([payload.binary]))) == model
    assert checks.bytes_to_copy(payload, probe(files=frozenset(payload.places))) == 0


def test_two_models_are_never_mixed(write: Write) -> None:
    payload = read_payload(write())
    running = frozenset({8080})
    checks.check_one_model(payload, {"gpu-1": probe(settings={8080: f"SERVE_ALIAS={payload.alias}"}, running=running)})
    checks.check_one_model(payload, {"gpu-1": probe(settings={8080: "SERVE_ALIAS=old@1"})})
    with pytest.raises(DeployError) as error:
        checks.check_one_model(payload, {"gpu-1": probe(settings={8080: "SERVE_ALIAS=old@1"}, running=running)})
    told(error, 4, "gpu-1:8080", "serves old@1", "infra/pool.py stop")


def test_the_pool_file_is_one_that_jobs_read(write: Write) -> None:
    inventory = write()
    assert pool_file.pooled(inventory) == ()
    pool_file.write_pool(inventory, [inventory.servers[2], inventory.servers[0]])
    found = load_pool(str(inventory.pool_file), None)
    assert [endpoint.url for endpoint in found] == ["http://10.0.0.11:8080", "http://10.0.0.12:8080"]
    assert {endpoint.api_key for endpoint in found} == {"secret-of-the-pool"}
    assert "secret-of-the-pool" not in inventory.pool_file.read_text()
    assert pool_file.pooled(inventory) == (inventory.servers[0], inventory.servers[2])
    pool_file.write_pool(inventory, ())
    assert not inventory.pool_file.exists()


def test_the_pool_file_may_name_a_variable(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    inventory = write(api_key_env="POOL_KEY")
    pool_file.write_pool(inventory, inventory.servers[:1])
    monkeypatch.setenv("POOL_KEY", "from-the-environment")
    assert load_pool(str(inventory.pool_file), None)[0].api_key == "from-the-environment"


def test_a_pool_file_of_somebody_else_is_not_overwritten(write: Write) -> None:
    inventory = write()
    inventory.pool_file.parent.mkdir()
    inventory.pool_file.write_text("[1, 2]")
    with pytest.raises(DeployError) as error:
        pool_file.pooled(inventory)
    told(error, 2, "is not a pool file")


def test_a_server_is_drained_when_it_has_nothing_in_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "EVERY_S", 0.05)
    with FakePool(slots=1, latency_s=3600.0) as pool:
        server = Server("h", 0, None, "127.0.0.1", 1, pool.urls[0])
        assert servers.wait_until_drained(server, None, settle_s=0, limit_s=10)
        client = LlamaServer(pool.endpoints[0], 3600)
        threading.Thread(target=_ask_in_vain, args=(client,), daemon=True).start()
        pool.wait("processing", at_least=1)
        assert not servers.wait_until_drained(server, None, settle_s=0, limit_s=0.3)
        pool.script(rule("die", "gone"))
        pool.wait("state", equals="die")
        assert servers.wait_until_drained(server, None, settle_s=10, limit_s=10), "one that is gone has no work"


def test_a_server_that_hangs_is_not_drained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "EVERY_S", 0.05)
    monkeypatch.setattr(servers, "_TIMEOUT_S", 0.2)
    monkeypatch.setattr(sampler, "_TIMEOUT_S", 0.2)
    with FakePool() as pool:
        pool.script(rule("hang", "wedged"))
        pool.wait("state", equals="hang")
        server = Server("h", 0, None, "127.0.0.1", 1, pool.urls[0])
        assert not servers.wait_until_drained(server, None, settle_s=0, limit_s=0.5)


def test_waiting_for_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "_DEATH_EVERY_S", 0.0)
    monkeypatch.setattr(servers, "_PAUSE_S", 0.05)
    with FakePool(api_key="k") as pool:
        server = Server("h", 0, None, "127.0.0.1", 8080, pool.urls[0])
        alias = "fake-7b.Q8_0@0123456789ab"
        servers.wait_until_up(server, "k", alias, 5, died=lambda _: None)
        for key, wanted, reason in (
            ("k", "other@1", f"serves {alias}, not other@1"),
            ("x", alias, "refuses the first"),
        ):
            with pytest.raises(DeployError, match=reason):
                servers.wait_until_up(server, key, wanted, 5, died=lambda _: None)
        pool.script(rule("loading", "slow"))
        pool.wait("state", equals="loading")
        with pytest.raises(DeployError, match=r"not up after 0.2 s \(loading\)"):
            servers.wait_until_up(server, "k", alias, 0.2, died=lambda _: None)
        pool.script(rule("die", "gone"))
        pool.wait("state", equals="die")
        with pytest.raises(DeployError, match="ended while it started"):
            servers.wait_until_up(server, "k", alias, 5, died=lambda _: "its last words")


def _ask_in_vain(client: LlamaServer) -> None:
    try:
        client.complete("x", grammar=None, max_tokens=1)
    except Exception:  # the server dies with the question in its hands
        client.close()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze: apt-get install systemd")
def test_systemd_finds_nothing_wrong_with_the_units(write: Write, tmp_path: Path) -> None:
    prefix = tmp_path / "opt"
    (prefix / "libexec").mkdir(parents=True)
    (prefix / "libexec" / "serve.sh").write_text("#!/bin/sh\n")
    (prefix / "libexec" / "serve.sh").chmod(0o755)
    host = write().hosts["cpu-1"].model_copy(update={"prefix": str(prefix), "user": "daemon"})
    folder = tmp_path / "units"
    folder.mkdir()
    for unit in UNITS:
        text = unit_text(unit, host)
        assert "@" not in re.sub(r"@%i|@PORT", "", text.partition("[Unit]")[2])
        (folder / unit.name.replace("@", "@8080")).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *folder.iterdir()], capture_output=True, text=True, check=False
    )
    complaints = [line for line in done.stderr.splitlines() if str(folder) in line]
    # Newer than some systemd that hosts have; there the back-off is a constant.
    assert not [line for line in complaints if "RestartSteps" not in line and "RestartMaxDelaySec" not in line]
    assert done.returncode == 0, done.stderr


def test_the_command_itself(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "infra" / "pool.py", "up", "--inventory", tmp_path / "none.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path / 'none.yaml'}: No such file or directory\n  infra/inventory")


def test_commands_refuse_before_they_connect(tmp_path: Path, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--inventory", str(write().file)]
    assert cli.main(["drain", *where]) == 2
    assert capsys.readouterr().err.startswith("error: drain: no host or server is named\n  ")
    (tmp_path / "llama.key").chmod(0o644)
    for command in ("up", "upgrade", "status", "drain", "stop", "remove"):
        assert cli.main([command, *where]) == 2
        said = capsys.readouterr()
        assert "chmod o=" in said.err and not said.out


def test_two_commands_never_change_one_pool(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    file = write().file
    with file.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert cli.main(["stop", "--inventory", str(file)]) == 4
    assert "another command works with it" in capsys.readouterr().err


def test_draining_the_last_server_is_refused(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    inventory = write()
    pool_file.write_pool(inventory, inventory.servers[:2])
    assert cli.main(["drain", "gpu-1", "--inventory", str(inventory.file)]) == 2
    assert "no other server would be left" in capsys.readouterr().err
    assert len(pool_file.pooled(inventory)) == 2


class Declared:
    """Stands for pyinfra's operations: writes down what is declared, in order."""

    def __init__(self) -> None:
        self.done: list[dict[str, Any]] = []

    def __getattr__(self, operation: str) -> Callable[..., None]:
        return lambda **what: self.done.append({"operation": operation, **what})


@pytest.mark.parametrize("user", ["deploy", "root"])
def test_what_is_copied_to_a_host_never_lies_where_others_read(
    write: Write, content: dict[str, Any], monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    host = {**content["hosts"]["cpu-1"], "ssh_user": user, "prefix": "/srv/tl"}
    inventory = write(hosts={"cpu-1": host}, defaults={"supervisor": "systemd", "settings": {"slots": 4}})
    entry = inventory.hosts["cpu-1"]
    inventory_of_pyinfra = PyinfraInventory(([("cpu-1", hosts._connection(entry))], {}))
    state = State(inventory_of_pyinfra, Config())
    # With sudo a file is first copied to this folder, as the SSH user; pyinfra's own choice is /tmp.
    chosen, _ = pop_global_arguments(state, inventory_of_pyinfra.get_host("cpu-1"), {})
    assert chosen["_temp_dir"] == "/srv/tl/.incoming"
    assert chosen["_sudo"] is (user != "root")

    declared = Declared()
    for name in ("files", "server"):
        monkeypatch.setattr(steps, name, declared)
    monkeypatch.setattr(steps, "copy_once", declared.copy_once)
    steps.install(inventory, read_payload(inventory), "cpu-1")
    folders = {each["path"]: each for each in declared.done if each["operation"] == "directory"}
    assert folders["/srv/tl/.incoming"]["mode"] == "700" and folders["/srv/tl/.incoming"]["user"] == user
    first = next(n for n, each in enumerate(declared.done) if each["operation"] in ("put", "copy_once"))
    assert all(each["operation"] != "directory" for each in declared.done[first:])
    puts = {each["dest"]: each for each in declared.done if each["operation"] == "put"}
    assert puts["/srv/tl/etc/llama.key"]["mode"] == "640"
    # Who copies as root needs no such folder: the one that the key goes to is closed to others before.
    assert folders["/srv/tl/etc"]["mode"] == "750"
    for each in declared.done[first:]:
        if each["operation"] == "copy_once":
            assert each["incoming"].startswith("/srv/tl/.incoming/")
