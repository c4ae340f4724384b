"""What a run may use up before it ends: requests, tokens and time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from triplelake.config import Settings
from triplelake.engine.asking.tally import Tally
from triplelake.errors import UsageError
from triplelake.pool.reports import TaskCounts
from triplelake.times import next_at, seconds_of

REQUESTS, TOKENS = "budget.max_requests", "budget.max_tokens"


@dataclass(frozen=True, slots=True)
class Left:
    """How much may still be begun.

    Args:
        requests: that may be.
        setting: the one that says so.
    """

    requests: int
    setting: str


@dataclass(frozen=True, slots=True)
class Budget:
    """The bounds of a run. Nothing new is begun where it would go beyond one of them.

    Args:
        requests, tokens: at most; None for no bound.
        deadlines: seconds of `clock` by which the last answer is to be there, by the setting that says so.
        clock: seconds that only grow.
    """

    requests: int | None = None
    tokens: int | None = None
    deadlines: Mapping[str, float] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic

    def left(self, tally: Tally, promised: int, slots: int) -> Left | None:
        """Requests that may be begun; None where nothing bounds them.

        Args:
            promised: requests that are in waves and have no answer that is committed.
            slots: of the pool. So many are begun before anything tells how many tokens an answer takes.
        """
        found: list[Left] = []
        if self.requests is not None:
            found.append(Left(self.requests - tally.answered - promised, REQUESTS))
        if self.tokens is not None:
            used = tally.prompt_tokens + tally.completion_tokens
            affordable = (self.tokens - used) * tally.answered // used if used else slots
            found.append(Left(affordable - promised, TOKENS))
        if (setting := self._passed(tally)) is not None:
            found.append(Left(0, setting))
        return min(found, key=lambda left: left.requests, default=None)

    def spent(self, tally: Tally, live: TaskCounts, in_flight: int) -> str | None:
        """The setting because of which nothing more may be begun, by what is done and not committed yet, too.

        Args:
            live: what the waves that are not committed have done.
            in_flight: requests that are being answered: each is taken to be like those that are.
        """
        answered = tally.answered + live.answered
        if self.tokens is not None and answered:
            counts = (tally.prompt_tokens, tally.completion_tokens, live.prompt_tokens, live.completion_tokens)
            if sum(counts) * (1 + in_flight / answered) > self.tokens:
                return TOKENS
        return self._passed(tally)

    def is_late(self, grace_s: float) -> bool:
        """Whether a deadline is past by so many seconds, so that what is in flight is given up."""
        return any(self.clock() >= at + grace_s for at in self.deadlines.values())

    def _passed(self, tally: Tally) -> str | None:
        """The deadline that an answer would miss that takes as long as the slow ones so far."""
        if not self.deadlines:
            return None
        setting, at = min(self.deadlines.items(), key=lambda each: each[1])
        slow_ms = [ms for each in tally.endpoints.values() if (ms := each.latencies.percentile(0.99)) is not None]
        return setting if self.clock() + max(slow_ms, default=0.0) / 1000 >= at else None


def check_budget(settings: Settings) -> None:
    """What can be said of the bounds before the pool is known.

    Raises:
        UsageError: `cost.max` without a price.
    """
    if settings.cost.max is not None and not settings.cost.gpu_hour:
        remedy = "Set cost.gpu_hour to the price of a GPU for an hour."
        raise UsageError("cost.max", "bounds what a run costs, and no price is known", remedy)


def budget_of(
    settings: Settings, servers: int, started: datetime, clock: Callable[[], float] = time.monotonic
) -> Budget:
    """The bounds of a run that has begun.

    Args:
        servers: of the pool.
        started: when the run began, with its zone; time and money are counted from then on.

    Raises:
        UsageError: `cost.max` without a GPU.
    """
    passed_s = (datetime.now(started.tzinfo) - started).total_seconds()
    began = clock() - passed_s
    deadlines: dict[str, float] = {}
    if settings.budget.until is not None:
        until = next_at(settings.budget.until, started)
        deadlines["budget.until"] = began + (until - started).total_seconds()
    if settings.budget.duration is not None:
        deadlines["budget.duration"] = began + seconds_of(settings.budget.duration)
    if settings.cost.max is not None and settings.cost.gpu_hour:
        gpus = settings.gpus(servers)
        if not gpus:
            raise UsageError("cost.max", "bounds what GPUs cost, and the embedded server has none", "Set cost.gpus.")
        deadlines["cost.max"] = began + 3600 * settings.cost.max / (settings.cost.gpu_hour * gpus)
    return Budget(settings.budget.max_requests, settings.budget.max_tokens, deadlines, clock)
