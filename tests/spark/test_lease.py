"""One run at a time owns an output, whoever else wants it in the same second, and whatever becomes of the owner."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from triplelake.errors import OutputError
from triplelake.tables import lease as lease_module
from triplelake.tables.lease import LEASE_S, Holder, Lease
from triplelake.tables.schemas import RUNS
from triplelake.tables.store import Store

pytestmark = pytest.mark.spark


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
        each._ending.set()


def test_a_lease_that_is_held_is_refused_and_one_given_back_is_free(lease: Make, clock: Clock, store: Store) -> None:
    with lease("one") as one:
        one.take(first=True)
        with pytest.raises(OutputError, match=rf"in use by run one .process {os.getpid()} on") as caught:
            lease("two").take()
        assert caught.value.exit_code == 6
        one.check()
    with lease("two") as two:
        two.take()
        with pytest.raises(OutputError, match="run two"):
            lease("three").take()
    # What a run that saw an empty output knows is not true any more.
    with pytest.raises(OutputError, match="run two"):
        lease("three").take(first=True)
    assert store.read(RUNS).count() == 0
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
        patched.setattr(os, "getpid", lambda: gone.pid)
        lease("dead").take()
    with lease("next") as after:
        after.take()
    assert clock.waited == []


def test_the_lease_of_another_machine_is_waited_for(lease: Make, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(socket, "gethostname", lambda: "elsewhere")
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
        patched.setattr(socket, "gethostname", lambda: "elsewhere")
        alive = lease("alive")
        alive.take()

        def sleep(seconds: float) -> None:
            clock.now += seconds
            if clock.now > 1_000_000.0 + LEASE_S / 3:
                with monkeypatch.context() as away:
                    away.setattr(socket, "gethostname", lambda: "elsewhere")
                    alive._renew()

        patched.undo()
        with pytest.raises(OutputError, match=r"in use by run alive .process .* on elsewhere"):
            lease("next", sleep).take()
    assert clock.now < 1_000_000.0 + LEASE_S


def test_a_run_that_slept_too_long_finds_out_and_takes_nothing_back(lease: Make, clock: Clock) -> None:
    stale = lease("stale")
    stale.take()
    clock.now += LEASE_S + 1
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


def test_one_that_looked_before_another_took_it_does_not_take_it_away(
    lease: Make, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, first = lease("late"), lease("first")
    seen = [late._look()]
    look = late._look
    monkeypatch.setattr(late, "_look", lambda: seen.pop() if seen else look())
    with first:
        first.take()
        clock.now += 5
        with pytest.raises(OutputError, match="in use by run first"):
            late.take()
        first.check()


def test_a_lease_is_found_behind_the_rows_of_many_runs_that_were_refused(
    lease: Make, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "_HISTORY", (2, 10))
    with lease("long") as long:
        long.take()
        for number in range(3):
            store.append_row(RUNS, {"run_id": f"refused {number}"}, run_id="refused")
        with pytest.raises(OutputError, match="in use by run long"):
            lease("next").take()
