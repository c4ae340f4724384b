"""A pool that a test deploys: its hosts, its inventory, its command, and requests that keep coming."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml
from ssh_hosts import SshHost, SshHosts

from triplelake.pool.client import LlamaServer
from triplelake.pool.endpoints import Endpoint, load_pool
from triplelake.pool.failures import ServerFailure

ROOT = Path(__file__).resolve().parents[3]
_COMMAND_S = 300.0
_LIMITS = ("--settle", "5", "--start-limit", "120", "--drain-limit", "120")


def deploy(inventory: Path, content: dict[str, Any], *words: str) -> subprocess.CompletedProcess[str]:
    """Run `infra/pool.py` with an inventory of this content, and with short waits."""
    inventory.write_text(yaml.safe_dump(content, sort_keys=False))
    return subprocess.run(
        [sys.executable, ROOT / "infra" / "pool.py", *words, "--inventory", inventory, *_LIMITS],
        capture_output=True,
        text=True,
        check=False,
        timeout=_COMMAND_S,
    )


@dataclass
class TestPool:
    """A pool on hosts of this machine.

    Args:
        folder: where its files are.
        content: of the inventory.
    """

    __test__ = False

    folder: Path
    ssh: SshHosts
    hosts: dict[str, SshHost]
    content: dict[str, Any]

    @property
    def inventory(self) -> Path:
        return self.folder / "inventory.yaml"

    @property
    def pool_file(self) -> Path:
        return self.folder / "conf" / "pool.yaml"

    @property
    def urls(self) -> list[str]:
        """The servers that the pool file names; none without it."""
        return [endpoint.url for endpoint in load_pool(str(self.pool_file), None)] if self.pool_file.exists() else []

    def url(self, name: str) -> str:
        host = self.hosts[name]
        return f"http://{host.address}:{host.port}"

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`infra/pool.py` with this inventory."""
        return deploy(self.inventory, self.content, *words)

    def must(self, *words: str) -> str:
        """What a command that succeeds says."""
        done = self.run(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        assert not done.stderr, done.stderr
        return done.stdout

    def pid(self, name: str) -> int:
        """The process of a host's server."""
        host = self.hosts[name]
        return int((host.prefix / "run" / f"llama-server@{host.port}.pid").read_text())


def new_build(pool: TestPool, name: str) -> None:
    """A build that differs from all others, as the one that the inventory names."""
    folder = pool.folder / f"build-{name}"
    shutil.copytree(pool.content["build"], folder)
    (folder / "lib").mkdir(exist_ok=True)
    (folder / "lib" / name).write_text(name)
    pool.content["build"] = str(folder)


@dataclass
class Load:
    """Requests to the servers that the pool file names, from several threads, as long as the block lasts.

    Like a job, it looks at the file again and again, and what it has sent it waits for.
    """

    pool_file: Path
    threads: int = 4
    answered: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)

    def __enter__(self) -> Load:
        self._over = threading.Event()
        self._workers = [threading.Thread(target=self._work, args=(number,)) for number in range(self.threads)]
        for worker in self._workers:
            worker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for worker in self._workers:
            worker.join()

    def _work(self, number: int) -> None:
        choose = random.Random(number)
        clients: dict[Endpoint, LlamaServer] = {}
        while not self._over.is_set():
            endpoint = choose.choice(load_pool(str(self.pool_file), None))
            client = clients.setdefault(endpoint, LlamaServer(endpoint, 60))
            try:
                client.complete(f"{choose.random()} and so on", grammar=None, max_tokens=24)
                self.answered[endpoint.url] += 1
            except ServerFailure as failure:
                self.failed.append(f"{endpoint.url}: {failure}")
        for client in clients.values():
            client.close()
