"""A pool on a real host that systemd runs: the units as they are shipped. In this order, each test on what is there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pool_host import deploy
from systemd_host import MISSING, SystemdHost, bootable, systemd_host

from triplelake.pool.gguf import model_file

pytestmark = pytest.mark.infra

_WAIT_S = 90.0


class Deployment:
    """One host with two servers on it, and the command that looks after them."""

    def __init__(self, folder: Path, host: SystemdHost, build: Path) -> None:
        self.host = host
        self._folder = folder
        keys = folder / "llama.key"
        keys.write_text("a-key-of-the-tests\n")
        keys.chmod(0o600)
        self.content: dict[str, Any] = {
            "build": str(build),
            "model": str(model_file(None)),
            "api_key_file": "llama.key",
            "pool_file": "pool.yaml",
            "hosts": {
                "sys": {
                    "address": host.address,
                    "ssh_port": host.ssh_port,
                    "ssh_key": str(host.key),
                    "ssh_known_hosts_file": str(host.known_hosts),
                    "gpus": 0,
                    "servers_per_gpu": 2,
                    "port": 18090,
                    "memory_max": "2G",
                    "settings": {"slots": 2, "context_per_slot": 512, "threads": 1},
                }
            },
        }

    def must(self, *words: str) -> str:
        done = deploy(self._folder / "inventory.yaml", self.content, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def show(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.host.run(f"systemctl show --value --property={name} {unit}")

    def wait(self, what: str, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _WAIT_S
        while not holds():
            assert time.monotonic() < deadline, f"{what}: {self.host.run('journalctl --lines 30 --no-pager')}"
            time.sleep(0.5)


@pytest.fixture(scope="module")
def deployment(build: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    if not bootable():
        pytest.skip(MISSING)
    folder = tmp_path_factory.mktemp("systemd")
    with systemd_host(folder, "127.0.0.5", 2205) as host:
        yield Deployment(folder, host, build)


def test_up_starts_the_units(deployment: Deployment) -> None:
    deployment.must("up")
    for port in (18090, 18091):
        for kind in ("server", "watchdog"):
            unit = f"llama-{kind}@{port}"
            assert deployment.show(unit, "ActiveState") == "active"
            assert deployment.host.run(f"systemctl is-enabled {unit}") == "enabled"
    assert deployment.show("llama-server@18090", "MemoryMax") == str(2 << 30)
    pid = deployment.show("llama-server@18090", "MainPID")
    assert "llama-server" in deployment.host.run(f"tr '\\0' ' ' </proc/{pid}/cmdline")
    assert deployment.host.run(f"stat --format=%U /proc/{pid}") == "triplelake"
    assert deployment.host.run(f"grep CapEff /proc/{pid}/status").split() == ["CapEff:", "0" * 16]


def test_a_server_that_dies_is_started_again(deployment: Deployment) -> None:
    pid = deployment.show("llama-server@18090", "MainPID")
    deployment.host.run(f"kill -KILL {pid}")
    deployment.wait("started again", lambda: deployment.show("llama-server@18090", "NRestarts") == "1")
    deployment.wait("active", lambda: deployment.show("llama-server@18090", "ActiveState") == "active")
    assert deployment.show("llama-server@18090", "MainPID") != pid


def test_a_server_that_hangs_is_started_again_by_the_watchdog(deployment: Deployment) -> None:
    """The unit as it is, but for its patience: with that of the defaults this takes four minutes."""
    impatient = "--every 5 --timeout 2 --stall 5 --drain 5"
    deployment.host.run(
        f"sed -i 's|watchdog.py --|watchdog.py {impatient} --|' '/etc/systemd/system/llama-watchdog@.service'"
        " && systemctl daemon-reload && systemctl restart llama-watchdog@18091"
    )
    pid = deployment.show("llama-server@18091", "MainPID")
    deployment.host.run(f"kill -STOP {pid}")
    deployment.wait("another process", lambda: deployment.show("llama-server@18091", "MainPID") not in (pid, "0"))
    log = deployment.host.run("journalctl --unit llama-watchdog@18091 --output cat --no-pager")
    assert "wedged: /metrics has not answered" in log
    assert deployment.show("llama-server@18090", "NRestarts") == "1", "the other one is left alone"


def test_an_upgrade_replaces_one_after_the_other(deployment: Deployment) -> None:
    before = [deployment.show(f"llama-server@{port}", "MainPID") for port in (18090, 18091)]
    deployment.content["hosts"]["sys"]["settings"]["slots"] = 3
    said = deployment.must("upgrade")
    assert said.index("sys:18090: in the pool file") < said.index("sys:18091: out of the pool file")
    assert not {*before} & {deployment.show(f"llama-server@{port}", "MainPID") for port in (18090, 18091)}
    assert said.count("up after") == 2
    rows = [line.split() for line in deployment.must("status").splitlines()[1:]]
    assert [(row[3], row[6]) for row in rows] == [("up", "3"), ("up", "3")]


def test_bad_settings_are_told_and_not_tried_for_ever(deployment: Deployment) -> None:
    deployment.must("stop", "sys:18091")
    host = deployment.host
    host.run("sed -i s/SERVE_SLOTS=3/SERVE_SLOTS=none/ /opt/triplelake/etc/llama-server@18091.env")
    host.run("systemctl start llama-server@18091")
    deployment.wait("failed", lambda: deployment.show("llama-server@18091", "ActiveState") == "failed")
    assert deployment.show("llama-server@18091", "NRestarts") == "0"
    log = host.run("journalctl --unit llama-server@18091 --output cat --no-pager --lines 20")
    assert "error: --slots none: is no number" in log


def test_remove_leaves_nothing(deployment: Deployment) -> None:
    deployment.must("remove")
    host = deployment.host
    assert host.run("ls /opt /etc/systemd/system | grep -E 'triplelake|llama' || true") == ""
    assert host.run("getent passwd triplelake || true") == ""
    assert host.run("systemctl list-units --all --plain --no-legend 'llama*' || true") == ""
