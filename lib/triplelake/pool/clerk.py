"""A task's side of the desk: a thread that reports, and brings the router its orders."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType

from triplelake.pool.reports import LOST_S, Orders, TaskCounts, TaskId, TaskReport
from triplelake.pool.router import Router
from triplelake.ticker import Ticker

log = logging.getLogger(__name__)

_EVERY_S = 1.0
_HUNGRY_EVERY_S = 0.25
"""How often a task reports that could ask more than it may: what others give back should not lie idle."""


class Clerk:
    """Reports for a task for as long as the block lasts; the last report says that it is over.

    A desk that cannot be reached changes nothing at first: the task keeps the share it has. By `LOST_S` the desk
    has given its places away, or is gone with all other tasks' places; the task then takes the share it began with,
    so that it cannot wait for ever without a place.

    Args:
        task: who reports.
        router: whose windows are set; its share is what the task has until the first orders.
        put: puts a report and brings orders; raises OSError.
        clock: seconds that only grow.
        stage: as in `TaskReport`.
    """

    def __init__(
        self,
        task: TaskId,
        router: Router,
        put: Callable[[TaskReport], Orders],
        clock: Callable[[], float] = time.monotonic,
        *,
        stage: int = 0,
    ) -> None:
        self._task = task
        self._router = router
        self._put = put
        self._clock = clock
        self._stage = stage
        self._counts = TaskCounts()
        self._lock = threading.Lock()
        self._ticker = Ticker(self._report, lambda: _HUNGRY_EVERY_S if router.hungry else _EVERY_S, "clerk")
        self._heard = clock()
        self._alone = False

    def __enter__(self) -> Clerk:
        # Before the first question, so that no place is taken that others still hold.
        self._report()
        self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ticker.stop()
        self._report(over=True, whole=kind is None)

    def add(self, counts: TaskCounts) -> None:
        """Count what the task has done."""
        with self._lock:
            self._counts += counts

    def _report(self, *, over: bool = False, whole: bool = False) -> None:
        with self._lock:
            counts = self._counts
        router = self._router
        report = TaskReport(
            self._task, router.wants, router.in_flight, counts, router.failing, over, whole, self._stage
        )
        try:
            orders = self._put(report)
        except OSError as error:
            if not self._alone and self._clock() - self._heard > LOST_S:
                log.warning("the driver's desk cannot be reached (%s): the task takes its first share", error)
                self._alone = True
                self._router.fall_back()
            return
        self._heard = self._clock()
        self._alone = False
        if not over:
            self._router.obey(orders)
