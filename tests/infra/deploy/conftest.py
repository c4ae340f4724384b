"""What the tests of the deployment run against."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from pool_host import TestPool
from ssh_hosts import MISSING, SshHost, ssh_hosts, usable

from triplelake.pool.gguf import model_file

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "triplelake-infra"


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with bin/llama-server: `LLAMA_BUILD`, or what the tests of build.sh have built, else a stub."""
    for folder in (os.environ.get("LLAMA_BUILD"), CACHE / "prefix" / "llama"):
        if folder and (Path(folder) / "bin" / "llama-server").exists():
            return Path(folder)
    stub = tmp_path_factory.mktemp("stub") / "bin" / "llama-server"
    stub.parent.mkdir()
    shutil.copy(Path(__file__).with_name("stub_llama_server.py"), stub)
    stub.chmod(0o755)
    return stub.parents[1]


@pytest.fixture(scope="module")
def pool(build: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestPool]:
    """Two hosts, and a third that the inventory does not name yet; whatever a test leaves there goes away."""
    if not usable():
        pytest.skip(MISSING)
    # Not below pytest's own folder, which no service user may enter.
    folder = Path(subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip())
    folder.chmod(0o755)
    hosts = {
        name: SshHost(name, f"127.0.0.{last}", 2200 + last, 18080 + last, folder / name / "opt", f"tl-{name}")
        for name, last in (("one", 2), ("two", 3), ("three", 4))
    }
    keys = folder / "llama.key"
    keys.write_text("a-key-of-the-tests\n")
    keys.chmod(0o600)
    own_build = folder / "build"
    shutil.copytree(build / "bin", own_build / "bin")
    with ssh_hosts(folder, [*hosts.values()]) as ssh:
        content = {
            "build": str(own_build),
            "model": str(model_file(None)),
            "api_key_file": "llama.key",
            "pool_file": "conf/pool.yaml",
            "defaults": {
                "gpus": 0,
                "supervisor": "process",
                "ssh_key": str(ssh.key),
                "ssh_known_hosts_file": str(ssh.known_hosts),
                "settings": {"slots": 2, "context_per_slot": 512, "threads": 1},
            },
            "hosts": {name: entry(hosts[name]) for name in ("one", "two")},
        }
        deployed = TestPool(folder, ssh, hosts, content)
        try:
            yield deployed
        finally:
            deployed.content["hosts"] = {name: entry(host) for name, host in hosts.items()}
            for host in hosts.values():
                if not ssh.runs(host):
                    ssh.start(host)
            deployed.run("remove", "--drain-limit", "1")
    shutil.rmtree(folder)


def entry(host: SshHost) -> dict[str, object]:
    """A host as an inventory names it."""
    return {
        "address": host.address,
        "ssh_port": host.ssh_port,
        "port": host.port,
        "prefix": str(host.prefix),
        "user": host.user,
    }
