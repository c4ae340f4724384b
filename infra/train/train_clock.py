"""How far a training is: by its steps, or by its time, whichever is further."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

LOOKS = 10
"""Looks at dev texts in a whole training, unless steps are named."""

_LEAST_RATE = 0.02
_LOOK_SHARE = 0.15
"""Of the time that may go into looks, so that a slow server does not eat a short training."""


@dataclass
class Clock:
    """Tells the learning rate, and when to look and to end.

    Args:
        steps: of the whole training.
        warmup: steps until the highest rate is reached.
        budget_s: seconds after which it ends, those before `begin` included; None for no bound.
        every: steps between two looks; None for about `LOOKS` in all.
        spent_s: seconds that earlier commands spent on the same training.
    """

    steps: int
    warmup: int
    budget_s: float | None
    every: int | None
    began: float
    spent_s: float = 0.0
    now: Callable[[], float] = field(default=time.monotonic, repr=False)
    looked_at: float = 0.0
    looks_s: float = 0.0
    last_look_s: float = 0.0

    @property
    def seconds(self) -> float:
        """Spent on this training, by all commands together."""
        return self.spent_s + self.now() - self.began

    def progress(self, step: int) -> float:
        """From 0 to 1; after so many steps."""
        by_time = self.seconds / self.budget_s if self.budget_s else 0.0
        return min(1.0, max(step / self.steps, by_time))

    def rate(self, step: int) -> float:
        """The share of the highest learning rate, after so many steps: up while it warms up, then down to nil."""
        return min(1.0, (step + 1) / self.warmup if self.warmup else 1.0) * max(_LEAST_RATE, 1.0 - self.progress(step))

    def is_over(self) -> bool:
        """Whether the time is spent."""
        return self.budget_s is not None and self.seconds >= self.budget_s

    def is_due(self, step: int) -> bool:
        """Whether dev texts are to be looked at after this step."""
        if self.every is not None:
            return step % self.every == 0
        if _part(self.progress(step)) == _part(self.looked_at):
            return False
        if self.budget_s is not None and self.seconds + 2 * self.last_look_s >= self.budget_s:
            # The last look, after the end, would come behind this one, with less training between them than it takes.
            return False
        return self.looks_s <= _LOOK_SHARE * self.seconds

    def looked(self, step: int, seconds: float) -> None:
        """A look was taken, and took so long."""
        self.looked_at = self.progress(step)
        self.looks_s += seconds
        self.last_look_s = seconds


def _part(progress: float) -> int:
    """Which of the parts of a training it is in."""
    return int(progress * LOOKS + 1e-9)
