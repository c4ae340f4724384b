"""Of all who want a lease one holds it, whatever their order, clocks and ends; Spark has no part in it."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from triplelake.errors import OutputError
from triplelake.tables import lease as lease_module
from triplelake.tables import process
from triplelake.tables.lease import LEASE_S, Lease
from triplelake.tables.process import Process, this_process
from triplelake.tables.records import FileRecords, LocalFiles, records_of
from triplelake.tables.schemas import PLANS, RUNS
from triplelake.tables.store import Store

_ME = this_process()
_ELSEWHERE = Process("elsewhere", _ME.pid, "another boot", _ME.started)


class MemoryFiles:
    """A folder in memory."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def names(self) -> list[str]:
        return list(self.files)

    def read(self, name: str) -> bytes | None:
        return self.files.get(name)

    def create(self, name: str, content: bytes) -> None:
        self.files.setdefault(name, content)

    def remove(self, name: str) -> None:
        self.files.pop(name, None)


class Clock:
    """A clock that sleeping moves; clocks of two hosts may say anything."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class NoSpark:
    """A session of which every use is a failure: a stage that takes all tasks would keep it waiting."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"asked Spark for {name}")


def make(run_id: str, files: MemoryFiles, clock: Clock, store: Store | None = None) -> Lease:
    store = store or Store(cast(Any, NoSpark()), "out/kg")
    return Lease(store, run_id, lambda holder: None, clock, clock.sleep, FileRecords(files))


def drop(lease: Lease) -> None:
    """Its process is killed: no more is heard of it."""
    if lease._ticker:
        lease._ticker.stop()


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """What holds a lease is on another machine."""
    monkeypatch.setattr(lease_module, "this_process", lambda: _ELSEWHERE)


@pytest.fixture
def files() -> MemoryFiles:
    return MemoryFiles()


def test_a_holder_lives_while_spark_has_no_task_to_give(files: MemoryFiles, elsewhere: None) -> None:
    clock, mine = Clock(), Clock()
    with make("long", files, mine) as long:
        long.take()

        def sleep(seconds: float) -> None:
            clock.now += seconds
            mine.now += seconds
            if clock.now % (LEASE_S / 3) < seconds:
                long.renew()

        clock.sleep = sleep  # type: ignore[method-assign]
        with pytest.raises(OutputError, match="in use by run long"):
            make("second", files, clock).take()
        long.check()
        assert len(files.files) == 1, "a heartbeat leaves no file behind"


@pytest.mark.parametrize("offset", [0.0, -86_400.0, 86_400.0, 1e9])
def test_clocks_of_two_hosts_are_never_compared(files: MemoryFiles, elsewhere: None, offset: float) -> None:
    dead = make("dead", files, Clock(offset))
    dead.take()
    drop(dead)
    clock = Clock()
    with make("next", files, clock) as after:
        after.take()
        assert LEASE_S <= clock.now < LEASE_S + 5


def test_every_write_but_the_row_of_a_run_asks_the_lease(files: MemoryFiles, elsewhere: None) -> None:
    clock = Clock()
    store = Store(cast(Any, NoSpark()), "out/kg")
    stale = make("stale", files, clock, store)
    stale.take()
    with make("next", files, Clock()) as after:
        after.take()
        for write in (
            lambda: store.append(PLANS, cast(Any, NoSpark()), run_id="stale"),
            lambda: store.change("OPTIMIZE plans"),
        ):
            with pytest.raises(OutputError, match="in use by run next") as caught:
                write()
            assert caught.value.exit_code == 6
        with pytest.raises(AssertionError, match="asked Spark"):
            store.append(RUNS, cast(Any, NoSpark()), run_id="stale")
    with pytest.raises(OutputError, match="taken over by run next, which has ended") as caught:
        store.change("OPTIMIZE plans")
    assert caught.value.remedy == "The same command goes on."
    stale.give_back()


def test_one_that_was_given_back_may_be_taken_again(files: MemoryFiles) -> None:
    store = Store(cast(Any, NoSpark()), "out/kg")
    with make("one", files, Clock(), store) as one:
        for _ in range(3):
            one.take()
            one.check()
            with pytest.raises(OutputError, match="run one"):
                make("two", files, Clock()).take()
            one.give_back()
            assert store.guards == []
        with make("two", files, Clock()) as two:
            two.take()
            with pytest.raises(OutputError, match="run two"):
                one.take()


def test_a_store_out_of_reach_ends_a_run_only_when_its_lease_may_be_over(
    files: MemoryFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    with make("one", files, clock) as one:
        one.take()

        def refuse() -> list[str]:
            raise OSError("out of reach")

        monkeypatch.setattr(files, "names", refuse)
        clock.now += LEASE_S - 1
        one.check()
        clock.now += 1
        with pytest.raises(OSError, match="out of reach"):
            one.check()


def test_a_record_that_is_still_being_written_is_of_someone(files: MemoryFiles) -> None:
    files.create("000000000007.json", b"")
    clock = Clock()
    with make("next", files, clock) as after:
        after.take()
    assert clock.now >= LEASE_S
    assert sorted(files.files) == ["000000000009.json"]


def test_a_process_is_believed_only_in_its_own_boot_and_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    there = Process("here", child.pid, _ME.space, process._started(child.pid) or "")
    assert there.alive() is True
    assert Process("here", child.pid, _ME.space, "another start").alive() is False
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert there.alive() is False, "it waits for its parent, and does nothing more"
    child.communicate()
    assert there.alive() is False
    # Two containers with one name and, each in its own namespace, the same number.
    monkeypatch.setattr(process, "_space", lambda: "the same boot, another namespace")
    assert there.alive() is None
    assert Process("here", child.pid, "", "").alive() is None


def test_local_files_are_made_once(tmp_path: Path) -> None:
    folder = LocalFiles(tmp_path / "知识 图谱")
    assert folder.names() == []
    folder.create("1.json", b"first")
    folder.create("1.json", b"second")
    assert (folder.read("1.json"), folder.read("2.json")) == (b"first", None)
    folder.remove("1.json")
    folder.remove("1.json")
    assert folder.names() == []


def test_without_the_files_commits_are_the_records() -> None:
    class Connect:
        """As a session over Spark Connect, which has no JVM."""

    assert type(records_of(Store(cast(Any, Connect()), "out/kg"))).__name__ == "CommitRecords"


class Leases(RuleBasedStateMachine):
    """Runs on hosts of their own, each with its clock, over one lease."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(lease_module, "this_process", lambda: _ELSEWHERE)
        self.files = MemoryFiles()
        self.clocks = [Clock(at) for at in (0.0, 1e6, -50.0)]
        self.holder: int | None = None
        for clock in self.clocks:
            clock.sleep = self.advance  # type: ignore[method-assign]
        self.leases = [make(f"run {n}", self.files, clock) for n, clock in enumerate(self.clocks)]
        self.silent = 0.0

    def advance(self, seconds: float) -> None:
        self.silent += seconds
        for clock in self.clocks:
            clock.now += seconds

    @rule(who=st.integers(0, 2))
    def take(self, who: int) -> None:
        if self.leases[who]._mine:
            return
        try:
            self.leases[who].take()
        except OutputError:
            raise AssertionError("nobody renews meanwhile, so that it comes free") from None
        assert self.holder is None or self.silent >= LEASE_S
        self.holder, self.silent = who, 0.0

    @rule(who=st.integers(0, 2))
    def renew(self, who: int) -> None:
        self.leases[who].renew()
        if who == self.holder:
            self.silent = 0.0

    @rule(who=st.integers(0, 2))
    def give_back(self, who: int) -> None:
        self.leases[who].give_back()
        if who == self.holder:
            self.holder = None

    @precondition(lambda self: self.holder is not None)
    @rule(seconds=st.floats(0, 3 * LEASE_S))
    def pass_time(self, seconds: float) -> None:
        self.advance(seconds)

    @invariant()
    def only_the_holder_may_write(self) -> None:
        for who, lease in enumerate(self.leases):
            if lease._mine is None:
                continue
            if who == self.holder:
                lease.check()
                if self.clocks[who].now == lease._renewed:
                    self.silent = 0.0
            else:
                with pytest.raises(OutputError):
                    lease.check()

    @invariant()
    def few_files_stay(self) -> None:
        assert len(self.files.files) <= 2

    def teardown(self) -> None:
        for lease in self.leases:
            lease.give_back()
        self.patch.undo()


TestLeases = Leases.TestCase
TestLeases.settings = settings(max_examples=60, stateful_step_count=25)


def test_a_record_that_cannot_be_written_leaves_no_record_of_somebody_unknown(tmp_path: Path) -> None:
    folder = LocalFiles(tmp_path / "lease")
    folder.create("1.json", b"{}")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Refuses what is written, as a full disk does, and not the file itself.
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(OSError):
            folder.create("2.json", b"{}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert folder.names() == ["1.json"]
