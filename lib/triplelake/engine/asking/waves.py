"""The driver's side of asking: buckets become waves, two waves run at a time, each ends in one commit."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from triplelake.config import RunSettings
from triplelake.engine.asking.buckets import Bucket, open_buckets
from triplelake.engine.asking.budget import Budget, Left
from triplelake.engine.asking.tally import COUNTED, Tally, WaveResult, check_failures
from triplelake.engine.asking.task import Assignment
from triplelake.engine.asking.unwritten import accumulator
from triplelake.errors import PoolError, TriplelakeError
from triplelake.pool.desk import Desk
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.reports import TaskCounts
from triplelake.pool.shares import Share
from triplelake.spark import cancel_all, cancellable
from triplelake.tables.schemas import ATTEMPTS, REQUESTS
from triplelake.tables.store import Commit, Store

MAX_LANES = 4
"""A wave's number is `version * MAX_LANES + lane`, whatever number of lanes runs."""

_TICK_S = 0.5
_FIRST_WAVE_ROUNDS = 4
_VAIN_WAVES = 3
_JUDGE_FAILURES_FROM = 50


@dataclass(frozen=True, slots=True)
class Fleet:
    """The pool as it is when a wave begins.

    Args:
        endpoints: the servers, with their slots known.
        slots: of all of them.
        tasks: tasks of a full wave.
        share: makes the shares of a wave from its number of tasks.
    """

    endpoints: tuple[Endpoint, ...]
    slots: int
    tasks: int
    share: Callable[[int], Sequence[Share]]


@dataclass
class Waves:
    """Runs the waves of a plan until no request is open.

    Args:
        store: the output.
        template: what each task must know; wave, shares and endpoints are set here.
        settings: of the run.
        fleet: the pool as it is now.
        check_pool: sets aside the servers that cannot work, and raises PoolError if none can; asked when a wave lacks
            rows.
        on_wave: told after each commit, one lane at a time, when the tally holds it.
        on_tick: told twice a second, with what the waves in flight have done so far.
        on_stop: told when a signal or a budget ends the run, before what is in flight is waited for; with the setting
            of the budget, or None.
        run_id: goes into the commits.
        desk: where the tasks report; None where they cannot reach the driver.
        tally: where the committed waves are added up.
        budget: what the run may use up.
    """

    store: Store
    template: Assignment
    settings: RunSettings
    fleet: Callable[[], Fleet]
    check_pool: Callable[[], None]
    on_wave: Callable[[WaveResult], None]
    on_tick: Callable[[TaskCounts], None]
    on_stop: Callable[[str | None], None]
    run_id: str
    desk: Desk | None
    tally: Tally
    budget: Budget
    _open: deque[Bucket] = field(default_factory=deque, init=False)
    _changed: threading.Condition = field(default_factory=threading.Condition, init=False)
    _stopped: bool = field(default=False, init=False)
    _running: set[int] = field(default_factory=set, init=False)
    _in_flight: int = field(default=0, init=False)
    _promised: int = field(default=0, init=False)
    _ended_by: str | None = field(default=None, init=False)
    _given_up: bool = field(default=False, init=False)
    _vain: int = field(default=0, init=False)
    _began: float = field(default=0.0, init=False)

    def run(self, buckets: Sequence[Bucket]) -> str | None:
        """Ask all open requests. What was committed stays, however this ends.

        Returns:
            The setting of the budget that ended it, perhaps before all is answered; None where none did.

        Raises:
            PoolError: the pool cannot work.
            TooManyFailures: more than `max_failure_rate` of the answers failed.
            TriplelakeError: Spark asked a wave's requests more than once.
            KeyboardInterrupt: asked to stop; what was in flight is committed, if it was answered within `grace_s`.
        """
        self._open.extend(buckets)
        self._began = time.monotonic()
        versions = self._next_versions()
        with ThreadPoolExecutor(self.settings.lanes, thread_name_prefix="lane") as executor:
            lanes = [executor.submit(self._lane, lane, versions[lane]) for lane in range(self.settings.lanes)]
            try:
                # Short waits, because a signal reaches Python code only between them.
                while wait(lanes, timeout=_TICK_S).not_done:
                    self._tick()
                    self._heed_budget()
            except BaseException as error:
                self._stop()
                if not (isinstance(error, KeyboardInterrupt) and self._end_in_peace(lanes)):
                    cancel_all(self.store.spark)
                raise
        for lane in lanes:
            # What was given up on purpose ends as Spark's own error.
            if not self._given_up or isinstance(lane.exception(), TriplelakeError):
                lane.result()
        return self._ended_by

    def _tick(self) -> None:
        with self._changed:
            self.on_tick(self._live())

    def _live(self) -> TaskCounts:
        return self.desk.counts(self._running) if self.desk else TaskCounts()

    def _heed_budget(self) -> None:
        """End what would go beyond the budget: first nothing new is begun, then what came too late is given up."""
        if self._ended_by is None:
            with self._changed:
                live = self._live()
                in_flight = min(self._promised - live.answered, self.fleet().slots)
                self._ended_by = self.budget.spent(self.tally, live, max(0, in_flight))
            if self._ended_by is not None:
                self._stop()
                self.on_stop(self._ended_by)
        elif not self._given_up and self.budget.is_late(self.settings.grace_s):
            self._given_up = True
            self._stop()
            cancel_all(self.store.spark)

    def _end_in_peace(self, lanes: Sequence[Future[None]]) -> bool:
        """Wait for what is in flight; False if that took too long, or a second signal came, or no task can be told."""
        if self.desk is None:
            return False
        self.on_stop(None)
        deadline = time.monotonic() + self.settings.grace_s
        try:
            while wait(lanes, timeout=_TICK_S).not_done:
                if time.monotonic() >= deadline:
                    return False
        except KeyboardInterrupt:
            return False
        return True

    def _lane(self, lane: int, version: int) -> None:
        try:
            with cancellable(self.store.spark):
                while buckets := self._take():
                    self._finish(self._wave(lane, version, buckets))
                    version += 1
        except BaseException:
            self._stop()
            raise

    def _take(self) -> list[Bucket]:
        """The next buckets of one language, about `wave_s` of the pool's work; none when all is done, or the budget."""
        with self._changed:
            # What is in flight may come back to be asked again, or cost less than it was taken to.
            while not self._may_begin() and self._in_flight and not self._stopped:
                self._changed.wait()
            if self._stopped or not self._may_begin():
                return []
            left = self._left()
            most = math.inf if left is None else left.requests
            size, lang = min(self._wave_size(), most), self._open[0].lang
            taken: list[Bucket] = []
            while self._open and self._open[0].lang == lang and (sent := sum(b.open for b in taken)) < size:
                bucket = self._open.popleft()
                room = most - sent
                taken.append(bucket if bucket.open <= room else replace(bucket, open=int(room), cut=True))
            self._in_flight += 1
            self._promised += sum(b.open for b in taken)
            return taken

    def _may_begin(self) -> bool:
        if not self._open:
            return False
        left = self._left()
        if left is not None and left.requests <= 0 and not self._in_flight:
            self._ended_by = self._ended_by or left.setting
        return left is None or left.requests > 0

    def _left(self) -> Left | None:
        return self.budget.left(self.tally, self._promised, self.fleet().slots)

    def _wave_size(self) -> float:
        slots = self.fleet().slots
        if not self.tally.answered:
            return slots * _FIRST_WAVE_ROUNDS
        rate = self.tally.answered / (time.monotonic() - self._began)
        return max(rate * self.settings.wave_s, slots)

    def _wave(self, lane: int, version: int, buckets: Sequence[Bucket]) -> WaveResult:
        wave = version * MAX_LANES + lane
        with self._changed:
            self._running.add(wave)
        sent = sum(bucket.open for bucket in buckets)
        fleet = self.fleet()
        tasks = max(1, min(fleet.tasks, sent))
        if self.desk:
            self.desk.open(wave, fleet.endpoints)
        unwritten = accumulator(self.store.spark)
        assignment = replace(
            self.template,
            wave=wave,
            shares=tuple(fleet.share(tasks)),
            endpoints=fleet.endpoints,
            unwritten=unwritten.add if unwritten else None,
        )
        rows = (
            self._requests(buckets)
            .repartitionById(tasks, F.expr(f"cast(_rank % {tasks} as int)"))
            .sortWithinPartitions(F.desc("est_tokens"))
            .select(*REQUESTS.names)
            .mapInArrow(assignment, schema=ATTEMPTS.spark)
        )
        self.store.append(
            ATTEMPTS,
            rows,
            run_id=self.run_id,
            commit=Commit(
                txn=(f"{self.template.plan_id}/{lane}", version),
                note={"plan_id": self.template.plan_id, "wave": wave},
            ),
        )
        return replace(self._read_back(wave, sent, tuple(buckets)), unwritten=unwritten.value if unwritten else {})

    def _requests(self, buckets: Sequence[Bucket]) -> DataFrame:
        plan = self.template.plan_id
        numbers = [bucket.bucket for bucket in buckets]
        work = self.store.read(REQUESTS).where((F.col("plan_id") == plan) & F.col("bucket").isin(numbers))
        if any(bucket.partial for bucket in buckets):
            # One version, because that is outside the wave's own transaction: a wave that reads the table it appends to
            # fails when the other lane commits before it.
            done = self.store.read_now(ATTEMPTS).where(F.col("plan_id") == plan).select("request_id")
            work = work.join(done, "request_id", "left_anti")
        longest_first = Window.partitionBy("bucket").orderBy(F.desc("est_tokens"), "request_id")
        work = work.withColumn("_rank", F.row_number().over(longest_first))
        for bucket in buckets:
            if bucket.cut:
                work = work.where((F.col("bucket") != bucket.bucket) | (F.col("_rank") <= bucket.open))
        return work

    def _read_back(self, wave: int, sent: int, buckets: tuple[Bucket, ...]) -> WaveResult:
        # Delta says nothing when it skips a transaction that it has seen, so the rows themselves are counted.
        mine = (F.col("plan_id") == self.template.plan_id) & (F.col("wave") == wave)
        rows = self.store.read(ATTEMPTS).where(mine).select(*COUNTED, F.size("triples").alias("triples"))
        return WaveResult(wave, sent, buckets, rows.toArrow())

    def _check_asked_once(self, result: WaveResult) -> None:
        """Compare what the tasks returned with what was written: a wave that Spark computes twice pays twice."""
        returned = self.desk.returned(result.wave) if self.desk else None
        if returned is not None and returned > result.answered:
            raise TriplelakeError(
                f"wave {result.wave}",
                f"its tasks returned {returned} answers, and {result.answered} were written: Spark computed it twice",
                "What was written is right and is kept. Is a cache, a second writer or an optimiser rule in the way?",
            )

    def _finish(self, result: WaveResult) -> None:
        self._check_asked_once(result)
        missing = result.answered < result.sent and not self._stopped
        if missing:
            self.check_pool()
        look = missing or any(bucket.cut for bucket in result.buckets)
        again = open_buckets(self.store, self.template.plan_id, result.buckets) if look else []
        with self._changed:
            self._in_flight -= 1
            self._promised -= result.sent
            self._running.discard(result.wave)
            if self.desk:
                self.desk.close(result.wave)
            # After all others: a request that takes its server down shall not do so in every wave.
            self._open.extend(again)
            # A wave that lacks some rows is one of a pool that is in trouble, and works; each that brings any is a step
            # to the end.
            self._vain = self._vain + 1 if missing and not result.answered else 0
            self.tally.add(result, time.monotonic() - self._began)
            self.on_wave(result)
            self._changed.notify_all()
            if self._vain == _VAIN_WAVES:
                raise PoolError(
                    "pool",
                    f"{_VAIN_WAVES} waves in a row came back without a single answer",
                    "The servers answer a survey but not the work: look at their logs. The same command goes on.",
                )
            if self.tally.answered >= _JUDGE_FAILURES_FROM:
                check_failures(self.tally, self.settings.max_failure_rate)

    def _next_versions(self) -> list[int]:
        """For each lane the version after its last committed wave of this plan."""
        done = (
            self.store.read(ATTEMPTS)
            .where(F.col("plan_id") == self.template.plan_id)
            .groupBy((F.col("wave") % MAX_LANES).alias("lane"))
            .agg(F.max("wave").alias("wave"))
            .collect()
        )
        last = {row["lane"]: row["wave"] // MAX_LANES for row in done}
        return [last.get(lane, -1) + 1 for lane in range(self.settings.lanes)]

    def _stop(self) -> None:
        if self.desk:
            self.desk.stop()
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
