"""One run at a time writes to an output: a lease, whose records can each be made only once, and are read back.

A holder renews it while it lives, by a record with the next number, so that a holder who was overtaken finds that
number taken. The lease passes to the next run when it was given back; at once when its process is known to be gone; or
when the one who waits has seen no new record for a while by its own clock: the clocks of two hosts are never compared.
While it is held, every write to the tables asks whether it still is.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType

from triplelake.errors import OutputError
from triplelake.tables.process import this_process
from triplelake.tables.records import Holder, Records, records_of
from triplelake.tables.store import Store
from triplelake.ticker import Ticker

log = logging.getLogger(__name__)

LEASE_S = 120.0
"""A holder that has not renewed for so long, by the clock of the one who waits, is taken for dead."""

_RENEW_S = LEASE_S / 3
_POLL_S = 2.0


def _since_boot() -> float:
    """Seconds that nobody sets back, those included in which the machine slept, where the system counts them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Lease:
    """The right of one run to write to an output; given back at the end of the block, if it was taken.

    Args:
        store: the output; its tables exist when the lease is taken.
        run_id: who wants it.
        on_wait: told once who holds it, before it is waited for.
        clock: seconds since any moment. sleep: waits.
        records: where it is written who holds it; else beside the tables.
    """

    def __init__(
        self,
        store: Store,
        run_id: str,
        on_wait: Callable[[Holder], None],
        clock: Callable[[], float] = _since_boot,
        sleep: Callable[[float], None] = time.sleep,
        records: Records | None = None,
    ) -> None:
        self._store = store
        self._run_id = run_id
        self._on_wait = on_wait
        self._clock = clock
        self._sleep = sleep
        self._found = records
        self._mine: Holder | None = None
        self._renewed = 0.0
        self._lost = False
        self._lock = threading.Lock()
        self._ticker: Ticker | None = None

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.give_back()
        except Exception:
            # Spark may be gone, or the disk full; whoever comes next finds this process dead, or waits.
            log.info("the lease of %s could not be given back", self._store.output)

    def take(self) -> None:
        """Take the lease; wait for one that nobody may hold any more. One that was given back may be taken again.

        Raises:
            OutputError: another run holds it, or the store takes no record of it.
        """
        there, number = self._records.newest()
        if there and not _free(there):
            number = self._wait_for(there)
        try:
            # Another run that saw the same newest record takes the same number, and the store lets only one of the two
            # create it. A run that looks later sees the record of this lease.
            taken = self._put(number)
        except OSError as error:
            raise OutputError(
                self._store.output,
                f"cannot be written to: {error}",
                "Check the access rights and the space that is left; then the same command goes on.",
            ) from error
        if not taken:
            raise self._in_use(self._records.newest()[0])
        self._lost = False
        self._store.guards.append(self.check)
        self._ticker = Ticker(self._try_to_renew, _RENEW_S, "lease")
        self._ticker.start()

    def give_back(self) -> None:
        """Let others take it from now on; nothing if it was not taken."""
        if self._ticker:
            self._ticker.stop()
            self._ticker = None
        if self.check in self._store.guards:
            self._store.guards.remove(self.check)
        mine, self._mine = self._mine, None
        if mine and not self._lost:
            self._records.create(Holder(mine.number + 1, self._run_id, this_process(), ended=True))

    def check(self) -> None:
        """Make sure that the lease is still this run's.

        Raises:
            OutputError: another run has taken it, because this one did not renew it in time.
        """
        with self._lock:
            if self._mine is None:
                return
            try:
                self._ask()
            except Exception as error:
                # The store may be out of reach for a moment. No other run takes over a lease that was renewed less than
                # LEASE_S ago, so that this one may go on.
                if self._clock() - self._renewed >= LEASE_S:
                    raise
                log.info("the lease of %s could not be looked at: %s", self._store.output, error)
            if self._lost:
                raise self._overtaken(self._records.newest()[0])

    @property
    def _records(self) -> Records:
        if self._found is None:
            self._found = records_of(self._store)
        return self._found

    def _wait_for(self, there: Holder) -> int:
        """Wait until a lease is free; the number of the next record."""
        if there.alive():
            raise self._in_use(there)
        self._on_wait(there)
        began = self._clock()
        while True:
            self._sleep(_POLL_S)
            newest, number = self._records.newest()
            if newest is None or _free(newest):
                return number
            if newest != there:
                raise self._in_use(newest)
            if self._clock() - began >= LEASE_S:
                return number

    def _try_to_renew(self) -> None:
        try:
            self.renew()
        except Exception as error:
            # A store out of reach for a while: there are two more times before the lease is over.
            log.info("the lease of %s could not be renewed: %s", self._store.output, error)

    def renew(self) -> None:
        """Say that this run lives."""
        with self._lock:
            self._renew()

    def _renew(self) -> None:
        # Exactly the next number: had another run taken the lease meanwhile, it would be over.
        if self._mine and not self._lost and not self._put(self._mine.number + 1):
            self._lost = True

    def _ask(self) -> None:
        if self._clock() - self._renewed >= _RENEW_S:
            self._renew()
        elif self._records.newest()[0] != self._mine:
            self._lost = True

    def _put(self, number: int) -> bool:
        """Make the record of a number; whether the lease is this run's now."""
        began = self._clock()
        holder = Holder(number, self._run_id, this_process())
        self._records.create(holder)
        if self._records.newest()[0] != holder:
            return False
        self._mine, self._renewed = holder, began
        return True

    def _in_use(self, holder: Holder | None) -> OutputError:
        if holder is None:
            return OutputError(self._store.output, "is in use by another run", "Wait for it; the same command goes on.")
        return OutputError(
            self._store.output,
            f"is in use by run {holder.run_id} (process {holder.pid} on {holder.host})",
            "Wait for its end, or stop it; then the same command goes on.",
        )

    def _overtaken(self, holder: Holder | None) -> OutputError:
        """What is said to a run that has lost its lease: it need not wait for one that is over."""
        if holder and not _free(holder):
            return self._in_use(holder)
        by = f"run {holder.run_id}, which has ended" if holder else "another run, which has ended"
        return OutputError(
            self._store.output,
            f"was taken over by {by}: this run did not renew its lease for {LEASE_S:.0f} s",
            "The same command goes on.",
        )


def _free(holder: Holder) -> bool:
    return holder.ended or holder.alive() is False
