"""A pool on two real hosts of this machine: deployed, upgraded under load, mended, removed. One test goes on where the
one before it ended, so they run in their order and together.

The servers are real if a llama-server has been built (see `build`), else a stub; the first test says which.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import entry
from pool_host import Load, TestPool, new_build

from triplelake.pool.client import LlamaServer
from triplelake.pool.endpoints import load_pool

pytestmark = pytest.mark.infra


def test_a_dry_run_says_all_and_does_nothing(pool: TestPool) -> None:
    said = pool.must("up", "--dry-run")
    assert "would do on one: make the user of the servers" in said
    assert "would start two:18083" in said
    assert not pool.hosts["one"].prefix.exists()
    assert not pool.pool_file.exists()
    with pytest.raises(KeyError):
        pwd.getpwnam("tl-one")


def test_up(pool: TestPool, capsys: pytest.CaptureFixture[str]) -> None:
    said = pool.must("up")
    assert "a-key-of-the-tests" not in said
    assert pool.urls == [pool.url("one"), pool.url("two")]
    for name in ("one", "two"):
        owner = pwd.getpwuid(os.stat(f"/proc/{pool.pid(name)}").st_uid).pw_name
        assert owner == f"tl-{name}"
    keys = pool.hosts["one"].prefix / "etc" / "llama.key"
    assert stat.S_IMODE(keys.stat().st_mode) == 0o640
    assert not list(pool.hosts["one"].prefix.glob(".incoming/*"))
    for endpoint in load_pool(str(pool.pool_file), None):
        client = LlamaServer(endpoint, 60)
        assert client.props().total_slots == 2
        assert client.complete("1 2 3", grammar=None, max_tokens=4).completion_tokens > 0
        with capsys.disabled():
            print(f"\n{endpoint.url} is {client.props().build!r}")
        client.close()


def test_up_again_copies_and_starts_nothing(pool: TestPool) -> None:
    before = [pool.pid(name) for name in ("one", "two")]
    said = pool.must("up")
    assert "copy" not in said and "make" not in said and "lacks" not in said
    assert [pool.pid(name) for name in ("one", "two")] == before


def test_status_shows_who_works(pool: TestPool) -> None:
    with Load(pool.pool_file):
        said = pool.must("status")
    for name in ("one", "two"):
        (row,) = (line for line in said.splitlines() if line.startswith(f"{name} "))
        match = re.match(rf"{name}\s+\S+:\d+\s+CPU\s+up\s+yes\s+\S+@[0-9a-f]{{12}}\s+2\s+\d+\s+\d+\s+(\d+)", row)
        assert match, said
        assert int(match[1]) > 0, said


def test_a_drained_server_gets_nothing_and_comes_back(pool: TestPool) -> None:
    with Load(pool.pool_file) as load:
        assert "nothing in hand" in pool.must("drain", "one")
        assert pool.urls == [pool.url("two")]
        answered = load.answered[pool.url("one")]
        refused = pool.run("drain", "two")
        assert refused.returncode == 2 and "no other server would be left" in refused.stderr
        pool.must("status")
        assert load.answered[pool.url("one")] == answered
        pool.must("up")
    assert pool.urls == [pool.url("one"), pool.url("two")]
    assert not load.failed


def test_a_rolling_upgrade_fails_no_request(pool: TestPool) -> None:
    new_build(pool, "second")
    before = {name: pool.pid(name) for name in ("one", "two")}
    assert "runs with other settings" in pool.must("up")
    with Load(pool.pool_file) as load, watched(pool) as seen:
        said = pool.must("upgrade")
    assert not load.failed
    assert min(load.answered[pool.url(name)] for name in ("one", "two")) > 0
    assert all(pool.pid(name) != before[name] for name in ("one", "two"))
    assert min(seen) == 1, "never more than one server of two was away"
    assert said.index("one:18082: in the pool file") < said.index("two:18083: out of the pool file")
    for name in ("one", "two"):
        (build,) = (pool.hosts[name].prefix / "builds").iterdir()
        assert (build / "lib" / "second").exists(), "the first build is deleted, the second is there"
    assert "is as it should be" in pool.must("upgrade")


def test_a_build_that_does_not_start_leaves_the_pool_as_it_was(pool: TestPool) -> None:
    good = pool.content["build"]
    new_build(pool, "broken")
    binary = Path(pool.content["build"]) / "bin" / "llama-server"
    binary.write_text("#!/bin/sh\necho 'no such GPU' >&2\nexit 1\n")
    with Load(pool.pool_file) as load:
        done = pool.run("upgrade")
    assert done.returncode == 4
    assert "ended while it started; the old one is back" in done.stderr
    assert "no such GPU" in done.stderr
    assert not load.failed
    assert pool.urls == [pool.url("one"), pool.url("two")]
    pool.content["build"] = good
    assert pool.must("upgrade").count("is as it should be") == 2


def test_a_server_that_hangs_is_found_and_started_again(pool: TestPool) -> None:
    host, before = pool.hosts["one"], pool.pid("one")
    os.kill(before, signal.SIGSTOP)
    libexec = host.prefix / "libexec"
    restart: list[str | Path] = [libexec / "process.sh", "restart", str(host.port), "--prefix", host.prefix]
    keys = host.prefix / "etc" / "llama.key"
    command: list[str | Path] = ["python3", libexec / "watchdog.py", "--url", pool.url("one"), "--key-file", keys]
    limits = ["--every", "5", "--timeout", "2", "--stall", "5", "--drain", "5"]
    watchdog = subprocess.Popen([*command, *limits, "--", *restart], stderr=subprocess.PIPE, text=True)
    assert watchdog.stderr
    said = []
    for line in watchdog.stderr:
        said.append(line.strip())
        if line.startswith("started again") or line.startswith("error"):
            break
    watchdog.terminate()
    watchdog.wait(10)
    watchdog.stderr.close()
    assert said[0].startswith("wedged: /metrics has not answered")
    assert said[-1] == "started again"
    assert pool.pid("one") != before
    pool.must("up")


def test_a_host_that_is_gone_is_replaced(pool: TestPool) -> None:
    with Load(pool.pool_file) as load:
        os.kill(pool.pid("one"), signal.SIGKILL)
        pool.ssh.stop(pool.hosts["one"])
        done = pool.run("status")
        assert done.returncode == 4 and "one:18082: in the pool file, and not up" in done.stderr
        done = pool.run("up")
        assert done.returncode == 4
        assert "error: one: cannot be reached over SSH" in done.stderr
        assert "is taken out of the inventory" in done.stderr
        del pool.content["hosts"]["one"]
        pool.content["hosts"]["three"] = entry(pool.hosts["three"])
        pool.must("up")
        assert pool.urls == [pool.url("two"), pool.url("three")]
        pool.must("status")
    assert load.answered[pool.url("three")] > 0
    assert not [line for line in load.failed if pool.url("one") not in line], "only the dead server failed requests"


def test_another_model_is_refused_while_this_one_is_served(pool: TestPool) -> None:
    model = Path(pool.content["model"])
    other = pool.folder / "other.gguf"
    shutil.copy(model, other)
    with other.open("ab") as file:
        file.write(b"\0" * 32)
    done = pool.run("upgrade", "--dry-run")
    assert done.returncode == 0
    pool.content["model"] = str(other)
    done = pool.run("upgrade")
    pool.content["model"] = str(model)
    assert done.returncode == 4
    assert "serves gemma-3-270m@" in done.stderr and "When no job runs" in done.stderr


def test_stop_and_remove_leave_nothing(pool: TestPool) -> None:
    pool.ssh.start(pool.hosts["one"])
    pool.content["hosts"] = {name: entry(host) for name, host in pool.hosts.items()}
    pids = [pool.pid(name) for name in ("two", "three")]
    assert "would drain and stop two:18083" in pool.must("stop", "--dry-run")
    pool.must("stop", "three")
    assert pool.urls == [pool.url("two")]
    assert "would do on two: delete" in pool.must("remove", "--dry-run")
    pool.must("remove")
    assert not pool.pool_file.exists()
    for host in pool.hosts.values():
        assert not host.prefix.exists()
        with pytest.raises(KeyError):
            pwd.getpwnam(host.user)
    assert not [pid for pid in pids if works(pid)]
    pool.must("remove")


def works(pid: int) -> bool:
    """Whether a process is there; one that has ended and was not waited for yet has no command line."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except FileNotFoundError:
        return False


@contextmanager
def watched(pool: TestPool) -> Iterator[list[int]]:
    """How many servers the pool file names, at every moment that it is looked at."""
    seen: list[int] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            seen.append(len(pool.urls))

    thread = threading.Thread(target=look)
    thread.start()
    yield seen
    over.set()
    thread.join()


def test_a_taken_port_is_told_before_anything_is_done(pool: TestPool) -> None:
    host = pool.hosts["one"]
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((host.address, host.port))
        other.listen()
        done = pool.run("up")
    assert done.returncode == 3
    assert f"error: one:{host.port}: the port of {host.address} is taken" in done.stderr
    assert not host.prefix.exists()


def test_what_the_hosts_lack_is_told_all_at_once(pool: TestPool) -> None:
    pool.content["hosts"]["one"]["gpus"] = 2
    pool.content["hosts"]["two"]["supervisor"] = "systemd"
    done = pool.run("up")
    pool.content["hosts"] = {name: entry(host) for name, host in pool.hosts.items()}
    assert done.returncode == 3
    assert "error: one: nvidia-smi finds 0 GPUs, and the inventory asks for 2" in done.stderr
    if Path("/proc/1/comm").read_text().strip() != "systemd":
        assert "error: two: its first process is" in done.stderr
    assert not pool.hosts["one"].prefix.exists()


def test_a_full_disk_is_told_before_anything_is_copied(pool: TestPool) -> None:
    place = pool.folder / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", place], check=True)
    try:
        pool.content["hosts"]["one"]["prefix"] = f"{place}/opt"
        done = pool.run("up", "one")
        assert done.returncode == 5
        assert re.search(r"error: one: \S+ has \d+ MiB free, and needs \d+ MiB", done.stderr)
        assert not list(place.iterdir())
    finally:
        pool.content["hosts"]["one"] = entry(pool.hosts["one"])
        subprocess.run(["umount", place], check=True)


def test_a_copy_that_is_not_the_file_is_refused(pool: TestPool) -> None:
    """The manifest beside the build names another hash than its file has, as after a disk that has lost a bit."""
    binary = Path(pool.content["build"]) / "bin" / "llama-server"
    state = binary.stat()
    described = {"bytes": state.st_size, "mtime_ns": state.st_mtime_ns, "sha256": "0" * 64}
    manifest = Path(pool.content["build"]) / "manifest.json"
    manifest.write_text(f'{{"files": {{"bin/llama-server": {str(described).replace(chr(39), chr(34))}}}}}')
    done = pool.run("up", "one")
    manifest.unlink()
    assert done.returncode == 4
    assert "error: one: could not copy bin/llama-server" in done.stderr and "another SHA-256" in done.stderr
    host = pool.hosts["one"]
    assert not list(host.prefix.glob("builds/*/bin/llama-server")) and not list(host.prefix.glob(".incoming/*"))
    assert not pool.pool_file.exists()
