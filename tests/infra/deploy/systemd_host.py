"""A host that systemd runs: booted in namespaces of its own on this machine's files; what it writes stays in memory."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from ssh_hosts import usable

_BOOT_S = 90.0
_TARGET = "[Unit]\nRequires=basic.target test-sshd.service\nAfter=basic.target test-sshd.service\nAllowIsolate=yes\n"
_SSHD = "[Service]\nExecStartPre=/bin/mkdir -p /run/sshd\nExecStart=/usr/sbin/sshd -D -e -f /srv/sshd_config\n"
# What the machine itself would start, and a test does not need.
_MASKED = ("ssh.service", "ssh.socket", "systemd-udevd.service", "systemd-logind.service", "systemd-networkd.service")

MISSING = "needs root, sshd and systemd-nspawn: apt-get install openssh-server systemd-container"


def bootable() -> bool:
    """Whether this machine can play such a host."""
    return usable() and shutil.which("systemd-nspawn") is not None and Path("/lib/systemd/systemd").exists()


@dataclass(frozen=True)
class SystemdHost:
    """A booted host.

    Args:
        key: the private key that opens it.
    """

    address: str
    ssh_port: int
    key: Path
    known_hosts: Path

    def run(self, command: str) -> str:
        """What a command prints there."""
        done = self._ssh(command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def is_up(self) -> bool:
        return self._ssh("systemctl is-active test.target").returncode == 0

    def _ssh(self, command: str) -> subprocess.CompletedProcess[str]:
        options: list[str | Path] = ["-q", "-p", str(self.ssh_port), "-i", self.key]
        options += ["-o", f"UserKnownHostsFile={self.known_hosts}"]
        words = ["ssh", *options, "-o", "StrictHostKeyChecking=accept-new", f"root@{self.address}", command]
        return subprocess.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


@contextmanager
def systemd_host(folder: Path, address: str, ssh_port: int) -> Iterator[SystemdHost]:
    """A host on an address of this machine, there as long as the block lasts."""
    key = folder / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    memory, root = folder / "memory", folder / "root"
    with ExitStack() as stack:
        _mount(stack, memory, "-t", "tmpfs", "tmpfs")
        for part in ("upper", "work"):
            (memory / part).mkdir()
        layers = f"lowerdir=/,upperdir={memory / 'upper'},workdir={memory / 'work'}"
        _mount(stack, root, "-t", "overlay", "-o", layers, "overlay")
        _furnish(root, key, address, ssh_port)
        with (folder / "boot.log").open("wb") as log:
            command: list[str | Path] = ["systemd-nspawn", "--directory", root, "--boot", "--register=no"]
            booted = subprocess.Popen(
                [*command, "--keep-unit", "--link-journal=no", "--console=pipe", "systemd.unit=test.target"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        stack.callback(_power_off, booted)
        host = SystemdHost(address, ssh_port, key, folder / "known_hosts")
        deadline = time.monotonic() + _BOOT_S
        while not host.is_up():
            assert booted.poll() is None and time.monotonic() < deadline, (folder / "boot.log").read_text()
            time.sleep(0.5)
        yield host


def _furnish(root: Path, key: Path, address: str, ssh_port: int) -> None:
    units = root / "etc/systemd/system"
    for wants in units.glob("*.wants"):
        shutil.rmtree(wants)
    for unit in _MASKED:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    (units / "test.target").write_text(_TARGET)
    (units / "test-sshd.service").write_text(_SSHD)
    place = root / "srv"
    place.mkdir(exist_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place / "test_host_key"], check=True)
    shutil.copy(key.with_suffix(".pub"), place / "test_keys")
    (place / "sshd_config").write_text(
        f"ListenAddress {address}:{ssh_port}\nHostKey /srv/test_host_key\nAuthorizedKeysFile /srv/test_keys\n"
        "PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\nPermitRootLogin yes\n"
        "Subsystem sftp internal-sftp\nSetEnv HOME=/srv\n"
    )


def _mount(stack: ExitStack, place: Path, *words: str) -> None:
    place.mkdir()
    subprocess.run(["mount", *words, place], check=True)
    stack.callback(lambda: subprocess.run(["umount", "--lazy", place], check=True))


def _power_off(booted: subprocess.Popen[bytes]) -> None:
    # An orderly end would save nothing that is needed. With its first process the host is gone, and nspawn with it;
    # without nspawn the host would go on.
    for first in psutil.Process(booted.pid).children():
        first.kill()
    booted.wait()
