"""One run at a time writes to an output: a lease, taken by a commit that only one of two can make, and read back.

The commits go to `runs` and add no row: who holds the lease stands in their metadata. Each has a Delta transaction with
the same application id and a number that follows from the last version seen, so that of two runs that take the lease in
the same second one fails or writes nothing (Delta's own rule for idempotent writes). A holder renews it while it lives.
Its lease passes to the next run when it was given back, when it was not renewed in time, or at once when its process on
this very machine is gone.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from types import TracebackType

from pyspark.errors import PySparkException

from triplelake.errors import OutputError
from triplelake.tables.schemas import RUNS
from triplelake.tables.store import Commit, Store

log = logging.getLogger(__name__)

LEASE_S = 120.0
"""A holder that has not renewed for so long is taken for dead. Clocks of two drivers may differ by half of it."""

_RENEW_S = LEASE_S / 3
_POLL_S = 2.0
_APPLICATION = "triplelake/lease"
_TAKEN_BY_ANOTHER = "DELTA_CONCURRENT_"
_HISTORY = (20, 2000)
"""Commits to look back, and how far where none of those is of a lease: each run that is refused leaves a row."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lease.

    Args:
        number: grows with each commit of a lease, and is at most the version of that commit.
        until: seconds since 1970; in the past where it was given back.
    """

    number: int
    run_id: str
    host: str
    pid: int
    until: float

    def alive(self) -> bool | None:
        """Whether its process is there; None if that was on another machine."""
        if self.host != socket.gethostname():
            return None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # it is there, and another's
        return True


class Lease:
    """The right of one run to write to an output; given back at the end of the block, if it was taken.

    Args:
        store: the output; its tables exist when the lease is taken.
        run_id: who wants it.
        on_wait: told once who holds it, before it is waited for.
        clock: seconds since 1970. sleep: waits.
    """

    def __init__(
        self,
        store: Store,
        run_id: str,
        on_wait: Callable[[Holder], None],
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._run_id = run_id
        self._on_wait = on_wait
        self._clock = clock
        self._sleep = sleep
        self._mine: Holder | None = None
        self._lost_to: Holder | None = None
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="lease", daemon=True)

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._mine and not self._lost_to:
            try:
                self._commit(self._mine.number + 1, until=0.0)
            except Exception:
                # Spark may be gone, or the disk full; whoever comes next finds this process dead, or waits.
                log.info("the lease of %s could not be given back", self._store.output)

    def take(self, *, first: bool = False) -> None:
        """Take the lease; wait for one that nobody may hold any more.

        Args:
            first: this run has just made the tables, so that nobody can have had it.

        Raises:
            OutputError: another run holds it.
        """
        there, version = (None, 0) if first else self._look()
        if there and not self._free(there):
            version = self._wait_for(there)
        # Whoever saw the same last commit takes the same number, and a later one would have seen this lease.
        if not self._put(version + 1):
            raise self._in_use(self._look()[0])
        self._thread.start()

    def give_back(self, last: Callable[[Commit], None]) -> None:
        """Make the run's last commit to `runs`, which gives the lease back; without a lease only make it."""
        with self._lock:
            if self._mine is None or self._lost_to:
                last(Commit())
                return
            last(self._note(self._mine.number + 1, until=0.0))
            self._mine = None

    def check(self) -> None:
        """Make sure that the lease is still this run's; where its time is over, by renewing it.

        Raises:
            OutputError: another run has taken it, because this one did not renew it in time.
        """
        if self._mine and not self._lost_to and self._clock() > self._mine.until:
            self._renew()
        if self._lost_to:
            raise self._in_use(self._lost_to)

    def _wait_for(self, there: Holder) -> int:
        """Wait until a lease is free; the version of the table that shows it so."""
        if there.alive():
            raise self._in_use(there)
        self._on_wait(there)
        while True:
            self._sleep(_POLL_S)
            newest, version = self._look()
            if newest is None or self._free(newest):
                return version
            if newest.number != there.number:
                raise self._in_use(newest)

    def _free(self, there: Holder) -> bool:
        return there.until <= self._clock() or there.alive() is False

    def _loop(self) -> None:
        while not self._ending.wait(_RENEW_S):
            try:
                self._renew()
            except Exception as error:
                # A store out of reach for a while: there are two more times before the lease is over.
                log.info("the lease of %s could not be renewed: %s", self._store.output, error)

    def _renew(self) -> None:
        with self._lock:
            # Exactly the next number: had another run taken the lease meanwhile, it would be over.
            if self._mine and not self._lost_to and not self._put(self._mine.number + 1):
                self._lost_to = self._look()[0]

    def _put(self, number: int) -> bool:
        """Commit the lease under a number; whether it is this run's now."""
        self._commit(number, self._clock() + LEASE_S)
        newest, _ = self._look()
        if newest is None or newest.run_id != self._run_id:
            return False
        self._mine = newest
        return True

    def _note(self, number: int, until: float) -> Commit:
        holder = Holder(number, self._run_id, socket.gethostname(), os.getpid(), until)
        return Commit((_APPLICATION, number), {"lease": asdict(holder)})

    def _commit(self, number: int, until: float) -> None:
        nothing = self._store.spark.createDataFrame(RUNS.arrow.empty_table(), RUNS.spark)
        try:
            self._store.append(RUNS, nothing, run_id=self._run_id, commit=self._note(number, until))
        except PySparkException as error:
            if _TAKEN_BY_ANOTHER not in str(error):
                raise
            log.info("another run took the lease of %s: %s", self._store.output, error)

    def _look(self) -> tuple[Holder | None, int]:
        """The newest lease, and the version of the table at this moment; never below the lease's number."""
        for commits in _HISTORY:
            notes = list(self._store.notes(RUNS, commits))
            for _, note in notes:
                if isinstance(found := note.get("lease"), dict):
                    return Holder(**found), notes[0][0]
            if len(notes) < commits:
                break
        return None, notes[0][0]

    def _in_use(self, holder: Holder | None) -> OutputError:
        if holder is None:
            return OutputError(self._store.output, "is in use by another run", "Wait for it; the same command goes on.")
        return OutputError(
            self._store.output,
            f"is in use by run {holder.run_id} (process {holder.pid} on {holder.host})",
            "Wait for its end, or stop it; then the same command goes on.",
        )
