"""Slots, deferred requests and the time that decoding takes, as events and not token by token.

The engine has a clock of work: it runs while a slot is busy, at `time_scale`, and slower the more slots are busy. A
request ends when that clock has advanced by the work it needs, so that any number of slots costs one timer.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fake.tokens import count
from fake.work import Counters, Job, Speed

_SIMILAR = 0.1
"""Part of the prompt that an idle slot must hold to be preferred to the one used longest ago."""


class Failed(Exception):
    """The server lost the request; HTTP 500."""


@dataclass(slots=True)
class _Slot:
    number: int
    job: Job | None = None
    last: Job | None = None
    used: int = 0


class Engine:
    """The slots of one server. Works in the running event loop.

    Args:
        changed: called when a request got a slot, left it, or has to wait for one.
    """

    def __init__(self, slots: int, speed: Speed, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._speed = speed
        self._loop = asyncio.get_running_loop()
        self._slots = [_Slot(number) for number in range(slots)]
        self._running: list[tuple[float, int, Job]] = []
        self._deferred: deque[Job] = deque()
        self._posted: list[Job] = []
        self._uses = 0
        self._busy = 0
        self._work = 0.0
        self._busy_work = 0.0
        self._looked_at = self._loop.time()
        self._frozen = False
        self._end: asyncio.TimerHandle | None = None
        self._step: asyncio.TimerHandle | None = None
        self.counters = Counters()

    @property
    def processing(self) -> int:
        """Busy slots as of the last step."""
        return self._busy

    @property
    def deferred(self) -> int:
        """Requests without a slot as of the last step."""
        return len(self._deferred)

    @property
    def steps(self) -> int:
        """Passes over the model."""
        self._advance()
        return int(self._work * self._speed.decode_tokens_s)

    @property
    def busy_per_step(self) -> float:
        """Busy slots per pass, on average."""
        self._advance()
        return self._busy_work / self._work if self._work else 0.0

    def slots(self) -> Sequence[tuple[Job | None, Job | None, int]]:
        """Per slot the job in it, the last one that was, and the tokens decoded of the former."""
        self._advance()
        return [(slot.job, slot.last, self._decoded(slot.job)) for slot in self._slots]

    def decoded(self, job: Job) -> int:
        """Tokens of a request that are decoded by now."""
        self._advance()
        return self._decoded(job)

    async def run(self, job: Job) -> None:
        """Wait until a request is done.

        Raises:
            Failed: the server lost it.
        """
        self._advance()
        self._posted.append(job)
        if not self._frozen and not (self._speed.step_s and self._busy):
            self._look()
        elif not self._frozen and self._step is None:
            step = self._speed.step_s
            to_step = (math.floor(self._work / step) + 1) * step - self._work
            self._step = self._loop.call_later(to_step / self._pace(), self._look)
        await job.done

    def leave(self, job: Job) -> None:
        """Stop working on a request."""
        self._advance()
        for queue in (self._posted, self._deferred):
            if job in queue:
                queue.remove(job)
        self._release([job])
        job.done.cancel()

    def fail_all(self) -> None:
        """Lose the requests that have a slot."""
        self._advance()
        lost = [slot.job for slot in self._slots if slot.job]
        for job in lost:
            if not job.done.done():
                job.done.set_exception(Failed())
        self._release(lost)

    def freeze(self) -> None:
        """Stand still: nothing ends, nothing begins."""
        self._advance()
        self._frozen = True
        self._set_timer()
        if self._step:
            self._step.cancel()
            self._step = None

    def thaw(self) -> None:
        """Go on."""
        self._advance()
        self._frozen = False
        self._look()

    def stop(self) -> None:
        """Forget everything; the object is of no use any more."""
        self.freeze()
        for job in [*self._posted, *self._deferred, *(job for _, _, job in self._running)]:
            job.done.cancel()

    def _look(self) -> None:
        """The queue, as it is looked at between two steps."""
        self._advance()
        self._step = None
        posted, self._posted = self._posted, []
        for job in posted:
            if self._busy < len(self._slots):
                self._begin(job)
            else:
                self._deferred.append(job)
        self._set_timer()
        self._changed()

    def _begin(self, job: Job) -> None:
        slot, common = self._choose(job)
        job.slot = slot.number
        job.cached = min(common, job.prompt_tokens - 1)
        fresh = job.prompt_tokens - job.cached
        work = self._speed.work_s(job.prompt, fresh, job.predicted) * job.slowness
        job.ends_at = self._work + work
        if (step := self._speed.step_s) and math.isfinite(work):
            job.ends_at = math.ceil(job.ends_at / step - 1e-9) * step
        self._uses += 1
        slot.job, slot.used = job, self._uses
        self._busy += 1
        self.counters.prompt_tokens += fresh
        self.counters.prompt_tokens_cached += job.cached
        if self._speed.latency_s is None and self._speed.prompt_tokens_s:
            self.counters.prompt_s += fresh / self._speed.prompt_tokens_s
        heapq.heappush(self._running, (job.ends_at, self._uses, job))

    def _choose(self, job: Job) -> tuple[_Slot, int]:
        """The idle slot that holds most of the prompt, else the one used longest ago; and the tokens in common."""
        idle = sorted((slot for slot in self._slots if slot.job is None), key=lambda slot: slot.used)
        if not job.may_reuse:
            return idle[0], 0
        commons = [_common(slot.last.prompt, job.prompt) if slot.last else 0 for slot in idle]
        best = max(commons)
        at = commons.index(best) if best > _SIMILAR * len(job.prompt) else 0
        return idle[at], count(job.prompt[: commons[at]])

    def _finish(self) -> None:
        self._advance()
        ended: list[Job] = []
        while self._running and self._running[0][0] <= self._work + 1e-6:
            job = heapq.heappop(self._running)[2]
            if self._slots[job.slot].job is job:
                ended.append(job)
        self._release(ended)
        for job in ended:
            self.counters.predicted += job.predicted
            self.counters.predicted_s += job.predicted / self._speed.decode_tokens_s
            self.counters.longest = max(self.counters.longest, job.prompt_tokens + job.predicted)
            if not job.done.done():
                job.done.set_result(None)

    def _release(self, jobs: Sequence[Job]) -> None:
        freed = [self._slots[job.slot] for job in jobs if job.slot >= 0 and self._slots[job.slot].job is job]
        for slot in freed:
            slot.job, slot.last = None, slot.job
            self._busy -= 1
        # Each freed slot puts the first of the deferred in front of the queue, so of several the last comes first.
        woken = [self._deferred.popleft() for _ in range(min(len(freed), len(self._deferred)))]
        for job in reversed(woken):
            self._begin(job)
        self._set_timer()
        self._changed()

    def _pace(self) -> float:
        return self._speed.time_scale / (1 + self._speed.crowding * max(0, self._busy - 1))

    def _advance(self) -> None:
        now = self._loop.time()
        if self._busy and not self._frozen:
            done = (now - self._looked_at) * self._pace()
            self._work += done
            self._busy_work += done * self._busy
        self._looked_at = now

    def _set_timer(self) -> None:
        if self._end:
            self._end.cancel()
            self._end = None
        while self._running and self._slots[self._running[0][2].slot].job is not self._running[0][2]:
            heapq.heappop(self._running)
        if self._running and not self._frozen and math.isfinite(self._running[0][0]):
            left = max(0.0, self._running[0][0] - self._work)
            self._end = self._loop.call_later(left / self._pace(), self._finish)

    def _decoded(self, job: Job | None) -> int:
        if job is None or not math.isfinite(job.ends_at):
            return 0
        return max(0, job.predicted - math.ceil((job.ends_at - self._work) * self._speed.decode_tokens_s))


def _common(one: str, other: str) -> int:
    """Length of the common prefix, by halves: slices are compared at the speed of memory."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
