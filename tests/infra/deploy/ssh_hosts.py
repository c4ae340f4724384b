"""Hosts to deploy to: real sshd processes on loopback addresses, each with a prefix and a service user of its own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_SSHD = shutil.which("sshd", path="/usr/sbin:/usr/bin:/sbin")
_START_S = 20.0

MISSING = "needs root and sshd: apt-get install openssh-server"


def usable() -> bool:
    """Whether this machine can play hosts: their operations make users and change owners."""
    return _SSHD is not None and subprocess.run(["id", "-u"], capture_output=True, text=True).stdout.strip() == "0"


@dataclass(frozen=True)
class SshHost:
    """A host.

    Args:
        prefix: where things are deployed.
        user: runs the servers; made and deleted by the deployment.
    """

    name: str
    address: str
    ssh_port: int
    port: int
    prefix: Path
    user: str


class SshHosts:
    """Hosts that share a key pair, as those of one administrator do."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.key = folder / "id"
        self.known_hosts = folder / "known_hosts"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True)

    def start(self, host: SshHost) -> None:
        """Start a host's sshd and wait until it listens."""
        home = self._folder / host.name
        home.mkdir(exist_ok=True)
        host_key = home / "host_key"
        if not host_key.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", host_key], check=True)
        config = home / "sshd_config"
        config.write_text(
            f"ListenAddress {host.address}:{host.ssh_port}\nHostKey {host_key}\nAuthorizedKeysFile {self.key}.pub\n"
            "PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\nPermitRootLogin yes\n"
            "Subsystem sftp internal-sftp\n"
            # Else every command would start with what this machine's owner has in his shell's start files.
            f"SetEnv HOME={home}\n"
        )
        Path("/run/sshd").mkdir(exist_ok=True)
        assert _SSHD
        with (home / "sshd.log").open("ab") as log:
            process = subprocess.Popen([_SSHD, "-D", "-e", "-f", config], stderr=log, start_new_session=True)
        self._processes[host.name] = process
        deadline = time.monotonic() + _START_S
        while not _listens(host):
            assert process.poll() is None, (home / "sshd.log").read_text()
            assert time.monotonic() < deadline, f"{host.name} does not listen"
            time.sleep(0.05)

    def stop(self, host: SshHost) -> None:
        """End a host's sshd: nobody reaches it any more."""
        process = self._processes.pop(host.name)
        process.terminate()
        process.wait(10)

    def stop_all(self, hosts: list[SshHost]) -> None:
        for host in hosts:
            if self.runs(host):
                self.stop(host)

    def runs(self, host: SshHost) -> bool:
        return host.name in self._processes


@contextmanager
def ssh_hosts(folder: Path, hosts: list[SshHost]) -> Iterator[SshHosts]:
    """Hosts, reachable as long as the block lasts."""
    running = SshHosts(folder)
    try:
        for host in hosts:
            running.start(host)
        yield running
    finally:
        running.stop_all(hosts)


def _listens(host: SshHost) -> bool:
    try:
        with socket.create_connection((host.address, host.ssh_port), 1):
            return True
    except OSError:
        return False
