"""One run at a time owns an output, whoever else wants it in the same second, and whatever becomes of the owner."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from triplelake.errors import OutputError
from triplelake.tables import lease as lease_module
from triplelake.tables import records as records_module
from triplelake.tables.lease import LEASE_S, Lease
from triplelake.tables.process import Process, this_process
from triplelake.tables.records import CommitRecords, FileRecords, HadoopFiles, Holder, Records, records_of
from triplelake.tables.schemas import RUNS
from triplelake.tables.store import Store

pytestmark = pytest.mark.spark

ELSEWHERE = Process("elsewhere", 1, "another boot", "1")


class Clock:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.waited: list[Holder] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


Make = Callable[..., Lease]


@pytest.fixture
def lease(store: Store, clock: Clock) -> Iterator[Make]:
    """Makes the lease of a run; one whose process is killed does not live on beside the other tests."""
    made: list[Lease] = []

    def make(run_id: str, sleep: Callable[[float], None] = clock.sleep) -> Lease:
        made.append(Lease(store, run_id, clock.waited.append, clock, sleep))
        return made[-1]

    yield make
    for each in made:
        if each._ticker:
            each._ticker.stop()


def test_a_lease_that_is_held_is_refused_and_one_given_back_is_free(lease: Make, clock: Clock, store: Store) -> None:
    with lease("one") as one:
        one.take()
        with pytest.raises(OutputError, match=rf"in use by run one .process {os.getpid()} on") as caught:
            lease("two").take()
        assert caught.value.exit_code == 6
        one.check()
    with lease("two") as two:
        two.take()
        with pytest.raises(OutputError, match="run two"):
            lease("three").take()
    assert store.read(RUNS).count() == 0
    # Neither a row nor a commit nor a file with data: only the newest record stays.
    assert [version for version, _ in store.notes(RUNS, 20)] == [0]
    left = [path for path in Path(store.location(RUNS)).rglob("*") if path.is_file() and "_delta_log" not in path.parts]
    assert [path.parent.name for path in left] == ["_triplelake_lease"]
    assert clock.waited == []


def test_of_those_that_want_it_at_the_same_moment_one_has_it(lease: Make, clock: Clock) -> None:
    together = Barrier(3)

    def want(number: int) -> Lease | None:
        mine = lease(f"run {number}")
        together.wait(60)
        try:
            mine.take()
        except OutputError:
            return None
        return mine

    with ThreadPoolExecutor(3) as executor:
        owners = [each for each in executor.map(want, range(3)) if each]
    assert len(owners) == 1
    owners[0].check()
    owners[0].__exit__(None, None, None)


def test_the_lease_of_a_process_that_is_gone_passes_at_once(
    lease: Make, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with monkeypatch.context() as patched:
        me = this_process()
        patched.setattr(lease_module, "this_process", lambda: replace(me, pid=gone.pid))
        lease("dead").take()
    with lease("next") as after:
        after.take()
    assert clock.waited == []


def test_the_lease_of_another_machine_is_waited_for(lease: Make, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(lease_module, "this_process", lambda: ELSEWHERE)
        lease("silent").take()
    began = clock.now
    with lease("next") as after:
        after.take()
    assert LEASE_S <= clock.now - began < LEASE_S + 5
    assert [holder.run_id for holder in clock.waited] == ["silent"]


def test_one_that_is_renewed_while_it_is_waited_for_is_in_use(
    lease: Make, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(lease_module, "this_process", lambda: ELSEWHERE)
        alive = lease("alive")
        alive.take()

        def sleep(seconds: float) -> None:
            clock.now += seconds
            if clock.now > 1_000_000.0 + LEASE_S / 3:
                with monkeypatch.context() as away:
                    away.setattr(lease_module, "this_process", lambda: ELSEWHERE)
                    alive.renew()

        patched.undo()
        with pytest.raises(OutputError, match=r"in use by run alive .process .* on elsewhere"):
            lease("next", sleep).take()
    assert clock.now < 1_000_000.0 + LEASE_S


def test_a_run_that_slept_too_long_finds_out_and_takes_nothing_back(
    lease: Make, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(lease_module, "this_process", lambda: ELSEWHERE)
        stale = lease("stale")
        stale.take()
    with lease("next") as after:
        after.take()
        with pytest.raises(OutputError, match="in use by run next"):
            stale.check()
        stale.__exit__(None, None, None)
        after.check()
        with pytest.raises(OutputError, match="in use by run next"):
            lease("third").take()


def test_a_run_that_slept_too_long_goes_on_if_nobody_came(lease: Make, clock: Clock) -> None:
    with lease("only") as only:
        only.take()
        clock.now += LEASE_S + 1
        only.check()
        with pytest.raises(OutputError, match="in use by run only"):
            lease("next").take()


@pytest.mark.parametrize("kept", ["by commits", "by Hadoop's file system"])
def test_one_that_looked_before_another_took_it_does_not_take_it_away(
    store: Store, clock: Clock, kept: str, tmp_path: Path
) -> None:
    spark: Any = store.spark

    def records() -> Records:
        if kept == "by commits":
            return CommitRecords(store)
        path = spark._jvm.org.apache.hadoop.fs.Path(str(tmp_path / "租约 1"))
        return FileRecords(HadoopFiles(spark, path.getFileSystem(spark._jsc.hadoopConfiguration()), path))

    late, first = records(), records()
    _, number = late.newest()
    first.create(Holder(number, "first", this_process()))
    late.create(Holder(number, "late", this_process()))
    assert late.newest() == first.newest() == (Holder(number, "first", this_process()), number + 1)
    first.create(Holder(number + 1, "first", this_process(), ended=True))
    [ended, following] = late.newest()
    assert ended and ended.ended and following == number + 2


def test_a_lease_in_commits_is_found_behind_the_rows_of_many_runs_that_were_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records_module, "_HISTORY", (2, 10))
    records = CommitRecords(store)
    records.create(Holder(1, "long", this_process()))
    for number in range(3):
        store.append_row(RUNS, {"run_id": f"refused {number}"}, run_id="refused")
    newest, _ = records.newest()
    assert newest and newest.run_id == "long"


def test_the_records_of_a_path_are_files(store: Store) -> None:
    assert isinstance(records_of(store), FileRecords)
