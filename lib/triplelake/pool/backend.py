"""One endpoint as a task sees it: its window, what is in flight, and a circuit breaker.

The breaker opens after a few failures in a row that say something about the server. While it is open nothing is put
there; then one question is a trial, and its end closes the breaker or opens it for longer (Nygard, "Release It!").
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from triplelake.codes import Code
from triplelake.pool.failures import ServerFailure
from triplelake.pool.protocol import CompletionClient

STRIKES = 3
"""Failures in a row that open the breaker."""

_FIRST_REST_S = 1.0
_LONGEST_REST_S = 30.0


@dataclass(slots=True)
class Backend:
    """One endpoint of a task. Not safe for several threads by itself; times as `time.monotonic()` counts.

    Args:
        window: questions in flight at most; 0 where others have all its places.
        longest_rest_s: for how long a server is left alone at most because it asked for it: one that says an hour, a
            date in the year 9999 or `inf` would else keep every question waiting until its deadline.
    """

    url: str
    client: CompletionClient
    window: int
    in_flight: int = 0
    rests_until: float = 0.0
    strikes: int = 0
    opened: int = 0
    refused: bool = False
    longest_rest_s: float = 60.0

    @property
    def broken(self) -> bool:
        """Whether its breaker is open, or waits for the end of a trial."""
        return self.opened > 0

    def admits(self, now: float) -> bool:
        """Whether a question may be put now."""
        most = min(self.window, 1) if self.broken else self.window
        return self.in_flight < most and self.rests_until <= now

    def resize(self, window: int) -> None:
        """Take another window; without one, nothing is known of the endpoint any more."""
        self.window = window
        if not window:
            self.strikes = self.opened = 0

    def succeeded(self) -> None:
        """The server answered, whatever the answer."""
        self.strikes = self.opened = 0

    def failed(self, failure: ServerFailure, now: float) -> None:
        """A question came back with a failure."""
        if failure.code is Code.UNAUTHORIZED:
            # Every other question will be refused, too.
            self.refused = True
            return
        if failure.retry_after_s:
            rest_s = min(failure.retry_after_s, self.longest_rest_s)
            self.rests_until = max(self.rests_until, now + rest_s)
        if not failure.retryable:
            # It says something of the question, and that the server answers.
            self.succeeded()
            return
        if self.broken and now < self.rests_until:
            # It was in flight when the breaker opened, and says nothing new.
            return
        self.strikes += 1
        if self.strikes >= STRIKES or self.broken:
            rest_s = min(_FIRST_REST_S * 2**self.opened, _LONGEST_REST_S)
            self.opened += 1
            # With jitter, so that the tasks of a wave do not all try at once.
            self.rests_until = max(self.rests_until, now + rest_s * random.uniform(0.5, 1.0))
