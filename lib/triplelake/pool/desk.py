"""The driver's desk: who of the tasks that run now may have how many requests in flight where.

Each task reports every second or two what it has in flight, and is told its windows. The desk never
promises a place twice: what a task was granted, or still has in flight of an earlier grant, is held by it
until it reports less, and others are granted from the rest. So the requests in flight at an endpoint stay
within its `capacity` by construction, whatever tasks come, go or run at the same time.

The oldest wave is served first and its tasks evenly; a younger one takes what the older leaves, so that the
tail of one wave is filled by the head of the next. An endpoint that fails for all its tasks keeps one place, for
trials, and the tasks get theirs elsewhere.

Spark may run a part of a wave twice at a time: a speculative copy, or the stage again whose shuffle files an executor
took along while the other executors still work on it. One attempt of a part asks; the others wait until it is lost, so
that no request is paid for twice.

Plain state, no network: `desk_http` carries it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import groupby

from triplelake.pool.endpoints import Endpoint
from triplelake.pool.reports import LOST_S, Orders, TaskCounts, TaskId, TaskReport
from triplelake.pool.shares import capacity

_SILENT_S = 5.0
"""A task that has not reported for so long is taken for lost already, if another attempt of its part waits for it."""


@dataclass(slots=True)
class _Holder:
    """A task at the desk."""

    wants: int
    granted: dict[str, int]
    in_flight: dict[str, int]
    failing: frozenset[str]
    counts: TaskCounts
    first_seen: float
    seen: float

    def holds(self, url: str) -> int:
        return max(self.granted.get(url, 0), self.in_flight.get(url, 0))


@dataclass(frozen=True, slots=True)
class _Ended:
    """A task that asks no more."""

    counts: TaskCounts
    whole: bool
    at: float


_Part = tuple[int, int, int]
"""Wave, stage and partition."""


class _Turn(Enum):
    """What an attempt of a part may do."""

    ASKS = auto()
    WAITS = auto()
    LEAVES = auto()


@dataclass
class Desk:
    """Shares a pool out over the tasks that report. Safe to call from several threads.

    Args:
        endpoints: with their slots known; as `change` says, later.
        clock: seconds that only grow.
    """

    endpoints: Sequence[Endpoint]
    clock: Callable[[], float] = time.monotonic
    _known: dict[int, frozenset[str]] = field(default_factory=dict, init=False)
    _slots: dict[str, int] = field(init=False)
    _full: dict[str, int] = field(init=False)
    _capacity: dict[str, int] = field(init=False)
    _tasks: dict[TaskId, _Holder] = field(default_factory=dict, init=False)
    _ended: dict[TaskId, _Ended] = field(default_factory=dict, init=False)
    _askers: dict[_Part, TaskId] = field(default_factory=dict, init=False)
    _repeated: set[int] = field(default_factory=set, init=False)
    _closed: set[int] = field(default_factory=set, init=False)
    _order: dict[int, int] = field(default_factory=dict, init=False)
    _stopped: bool = field(default=False, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        self._capacity = {}
        self.change(self.endpoints)

    def change(self, endpoints: Sequence[Endpoint]) -> None:
        """The pool is another now: nothing new goes to a server that is not among them."""
        with self._lock:
            self.endpoints = endpoints
            self._slots = {endpoint.url: endpoint.slots or 1 for endpoint in endpoints}
            self._full = {endpoint.url: capacity(endpoint) for endpoint in endpoints}
            self._capacity = {url: min(self._capacity.get(url, full), full) for url, full in self._full.items()}

    def open(self, wave: int, endpoints: Sequence[Endpoint]) -> None:
        """A wave begins whose tasks know these endpoints and no others; without this, all."""
        with self._lock:
            self._known[wave] = frozenset(endpoint.url for endpoint in endpoints)

    def report(self, report: TaskReport) -> Orders:
        """Take a report and say what the task may do until its next one."""
        with self._lock:
            if report.task.wave in self._closed:
                return Orders({}, 0.0, stop=True)
            now = self.clock()
            self._forget_lost(now)
            part = (report.task.wave, report.stage, report.task.partition)
            if self._askers.setdefault(part, report.task) != report.task:
                self._repeated.add(report.task.wave)
            if report.over:
                self._ended[report.task] = _Ended(report.counts, report.whole, now)
                self._tasks.pop(report.task, None)
                return Orders({}, 0.0, self._stopped)
            earlier = self._tasks.get(report.task)
            first_seen = earlier.first_seen if earlier else now
            turn = self._turn(report.task, part, first_seen, now)
            self._tasks[report.task] = holder = _Holder(
                wants=max(report.wants, 0) if turn is _Turn.ASKS else 0,
                granted=earlier.granted if earlier else {},
                in_flight={url: count for url, count in report.in_flight.items() if url in self._capacity},
                failing=frozenset(report.failing),
                counts=report.counts,
                first_seen=first_seen,
                seen=now,
            )
            # By first reports, not by numbers: after a resume one lane's may lag behind the other's for good.
            self._order.setdefault(report.task.wave, max(self._order.values(), default=0) + 1)
            holder.granted = self._grant(report.task)
            # Of what it holds, not of what it was granted: a question that is in flight may still wait for its turn.
            share = sum(map(holder.holds, self._full)) / sum(self._full.values())
            # Where all servers that a wave knows were taken away, it ends, and the next one asks those that are left.
            stop = self._stopped or not self._usable(report.task.wave) or turn is _Turn.LEAVES
            return Orders(dict(holder.granted), share, stop)

    def observe(self, url: str, deferred: int) -> None:
        """Take what a server says of requests that wait for a slot.

        More than this job lets wait means that others ask it too, or that it still works on what nobody waits for:
        its capacity shrinks by the excess, at least to 1, and grows back by an eighth with each look without one.
        """
        with self._lock:
            full = self._full.get(url)
            if full is None:
                return
            now = self._capacity[url]
            excess = deferred - (full - self._slots[url])
            self._capacity[url] = max(1, now - excess) if excess > 0 else min(full, now + max(1, full // 8))

    def stop(self) -> None:
        """Tell every task, as it reports, to ask nothing new."""
        with self._lock:
            self._stopped = True

    def counts(self, waves: Iterable[int]) -> TaskCounts:
        """What the tasks of these waves have done; of several attempts of a part, the one that asks."""
        wanted = set(waves)
        with self._lock:
            askers = {(task.wave, task.partition): task for task in self._askers.values() if task.wave in wanted}
            found = [self._tasks.get(task) or self._ended.get(task) for task in askers.values()]
        return sum((each.counts for each in found if each), TaskCounts())

    def returned(self, wave: int) -> int | None:
        """Rows that the tasks of a wave have returned, by their own count; None if Spark tried one of them again.

        What an attempt has returned is lost with its executor, or where another one of its stage is: then more is
        returned than is written, and nothing is wrong.
        """
        with self._lock:
            if wave in self._repeated:
                return None
            return sum(
                ended.counts.answered for task, ended in self._ended.items() if task.wave == wave and ended.whole
            )

    def close(self, wave: int) -> None:
        """A wave is committed or given up: its tasks hold nothing any more, and ask nothing."""
        with self._lock:
            self._closed.add(wave)
            for task in [task for task in self._tasks if task.wave == wave]:
                del self._tasks[task]
            for task in [task for task in self._ended if task.wave == wave]:
                del self._ended[task]
            self._order.pop(wave, None)
            self._known.pop(wave, None)
            for part in [part for part in self._askers if part[0] == wave]:
                del self._askers[part]
            self._repeated.discard(wave)

    def holding(self) -> dict[str, int]:
        """Places that are held, by URL: never more than the capacity, but for a task that was taken for lost."""
        with self._lock:
            return {url: sum(holder.holds(url) for holder in self._tasks.values()) for url in self._capacity}

    def _forget_lost(self, now: float) -> None:
        for task in [task for task, holder in self._tasks.items() if now - holder.seen > LOST_S]:
            self._forget(task, now)

    def _forget(self, task: TaskId, now: float) -> None:
        self._ended[task] = _Ended(self._tasks.pop(task).counts, whole=False, at=now)

    def _turn(self, task: TaskId, part: _Part, first_seen: float, now: float) -> _Turn:
        """Whether a task is the one of its part that asks, or is to be from now on."""
        asker = self._askers[part]
        if asker == task:
            return _Turn.ASKS
        if asker in self._tasks:
            if now - self._tasks[asker].seen <= _SILENT_S:
                return _Turn.WAITS
            self._forget(asker, now)
        ended = self._ended.get(asker)
        if ended and ended.whole:
            # Its rows may be on their way to Spark, or lost with its executor, or in a file that could not be written.
            if now - ended.at <= LOST_S:
                return _Turn.WAITS
            # A task that ran beside the asker need not ask the same requests once more: Spark should have their rows by
            # now, and if it lacks them the next wave asks them. A task that came after the asker's end was started
            # because Spark lacks the rows, and asks.
            if first_seen < ended.at:
                return _Turn.LEAVES
        self._askers[part] = task
        return _Turn.ASKS

    def _grant(self, task: TaskId) -> dict[str, int]:
        """The task's windows: as many places as is fair, where it has them already, then where most are free.

        What it should have is a number and no endpoints, so that a place that one task gives back can go to any other
        at its next report, and no row of tasks has to move up.
        """
        level = self._levels()[task]
        before = self._tasks[task].granted
        others = [holder for other, holder in self._tasks.items() if other != task]
        free = {url: self._places(url) - sum(other.holds(url) for other in others) for url in self._usable(task.wave)}
        granted: dict[str, int] = {}
        for url in sorted(before.keys() & free.keys(), key=before.__getitem__, reverse=True):
            granted[url] = max(0, min(before[url], free[url], level - sum(granted.values())))
        for url in sorted(free, key=lambda url: (not granted.get(url), -free[url])):
            more = min(free[url] - granted.get(url, 0), level - sum(granted.values()))
            granted[url] = granted.get(url, 0) + max(0, more)
        return {url: places for url, places in granted.items() if places}

    def _places(self, url: str) -> int:
        """The capacity of an endpoint; one place, for a trial, while it fails for all that have places there."""
        here = [holder for holder in self._tasks.values() if holder.granted.get(url)]
        return 1 if here and all(url in holder.failing for holder in here) else self._capacity[url]

    def _levels(self) -> dict[TaskId, int]:
        """How many places each task should have: the oldest wave first, evenly within a wave."""
        places = {url: self._places(url) for url in self._capacity}
        left = sum(places.values())
        levels: dict[TaskId, int] = {}
        oldest_first = sorted(self._tasks, key=lambda task: (self._order[task.wave], task))
        for wave, tasks in groupby(oldest_first, key=lambda task: task.wave):
            wants = {task: self._tasks[task].wants for task in tasks}
            given = evenly(list(wants.values()), min(left, sum(places[url] for url in self._usable(wave))))
            levels |= dict(zip(wants, given, strict=True))
            left -= sum(given)
        return levels

    def _usable(self, wave: int) -> list[str]:
        """The URLs that the tasks of a wave know."""
        known = self._known.get(wave)
        return [url for url in self._capacity if known is None or url in known]


def evenly(wants: Sequence[int], places: int) -> list[int]:
    """Places for each want (max-min fair): none more than it wants, and the smallest as large as can be."""
    given = [0] * len(wants)
    order = sorted(range(len(wants)), key=lambda rank: wants[rank])
    for done, rank in enumerate(order):
        # Those that want least come first; what they leave is for the others.
        given[rank] = min(wants[rank], places // (len(wants) - done))
        places -= given[rank]
    return given
