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
        self._requests = _Meter(requests_per_s) if requests_per_s else None
        self._tokens = _Meter(tokens_per_s) if tokens_per_s else None

    def change(self, requests_per_s: float | None, tokens_per_s: float | None) -> None:
        """Go on at another pace; a limit of 0 (no place, so nothing is asked) leaves the pace as it is."""
        if self._requests and requests_per_s:
            self._requests.change(requests_per_s)
        if self._tokens and tokens_per_s:
            self._tokens.change(tokens_per_s)

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
    """One limit, at first with its burst at hand.

    Only the first in the queue waits at the limiter, else all would wake for one turn.
    """

    def __init__(self, per_s: float) -> None:
        self._bucket = StateBucket([_rate(per_s)], GCRA())
        # Nothing leaks from a bucket that is one timestamp, so no thread need look after it.
        self._limiter = Limiter(SingleBucketFactory(self._bucket, schedule_leak=False), buffer_ms=1)
        self._turn = threading.Lock()

    def change(self, per_s: float) -> None:
        # In the same bucket: what was spent stays so, and a pace that changes every second gives no burst each time.
        self._bucket.rates = [_rate(per_s)]

    def spend(self, units: int, deadline: float) -> bool:
        if not self._turn.acquire(timeout=_left(deadline)):
            return False
        try:
            # A request larger than the burst is paid for in parts.
            while units > 0:
                part = min(units, self._bucket.rates[0].burst)
                if self._limiter.try_acquire(weight=part, timeout=_left(deadline)):
                    units -= part
                elif not _left(deadline):
                    return False
                # Before the deadline the limiter refuses a part only if the pace has changed meanwhile and a burst is
                # smaller now: the next round tries a smaller part.
            return True
        finally:
            self._turn.release()


def _rate(per_s: float) -> Rate:
    limit = max(1, math.floor(per_s * _INTERVAL_MS / 1000))
    return Rate(limit, _INTERVAL_MS, burst=max(1, int(per_s * _BURST_S)))


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())
