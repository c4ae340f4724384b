"""A task's part of the job's rate limits."""

from __future__ import annotations

import math
import threading
import time

from pyrate_limiter import GCRA, Limiter, Rate, SingleBucketFactory, StateBucket

_INTERVAL_MS = 1_000_000
_BURST_S = 0.1


class RateLimits:
    """Requests and tokens per second, spent evenly: no more than a tenth of a second's worth at once.

    Args:
        requests_per_s, tokens_per_s: None for no limit.
    """

    def __init__(self, requests_per_s: float | None, tokens_per_s: float | None) -> None:
        self._limits = (requests_per_s, tokens_per_s)
        self._requests = _Meter(requests_per_s) if requests_per_s else None
        self._tokens = _Meter(tokens_per_s) if tokens_per_s else None

    def change(self, requests_per_s: float | None, tokens_per_s: float | None) -> None:
        """Go on at another pace; a limit of 0 (no place, so nothing is asked) leaves the pace as it is."""
        requests_before, tokens_before = self._limits
        if requests_per_s and requests_per_s != requests_before:
            self._requests = _Meter(requests_per_s, full=False)
        if tokens_per_s and tokens_per_s != tokens_before:
            self._tokens = _Meter(tokens_per_s, full=False)
        self._limits = (requests_per_s or requests_before, tokens_per_s or tokens_before)

    def acquire(self, tokens: int, deadline: float) -> bool:
        """Wait for the turn of one request of `tokens` tokens; False if that would pass the deadline.

        Args:
            deadline: as `time.monotonic()` counts.
        """
        requests, metered = self._requests, self._tokens
        if requests and not requests.spend(1, deadline):
            return False
        return not metered or metered.spend(tokens, deadline)


class _Meter:
    """One limit, with its burst at hand if `full`.

    Only the first in the queue waits at the limiter, else all would wake for one turn.
    """

    def __init__(self, per_s: float, *, full: bool = True) -> None:
        self._burst = max(1, int(per_s * _BURST_S))
        rate = Rate(max(1, math.floor(per_s * _INTERVAL_MS / 1000)), _INTERVAL_MS, self._burst)
        # Nothing leaks from a bucket that is one timestamp, so no thread need look after it.
        factory = SingleBucketFactory(StateBucket([rate], GCRA()), schedule_leak=False)
        self._limiter = Limiter(factory, buffer_ms=1)
        self._turn = threading.Lock()
        if not full:
            # A pace that changes every second must not give a burst each time.
            self._limiter.try_acquire(weight=self._burst, timeout=0)

    def spend(self, units: int, deadline: float) -> bool:
        if not self._turn.acquire(timeout=_left(deadline)):
            return False
        try:
            # A request larger than the burst is paid for in parts.
            while units > 0:
                part = min(units, self._burst)
                if not self._limiter.try_acquire(weight=part, timeout=_left(deadline)):
                    return False
                units -= part
            return True
        finally:
            self._turn.release()


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())
