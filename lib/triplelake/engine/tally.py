"""What the committed waves of a run brought, and whether that is good enough to go on."""

from __future__ import annotations

from dataclasses import dataclass

from triplelake.engine.buckets import Bucket
from triplelake.errors import TooManyFailures


@dataclass(frozen=True, slots=True)
class WaveResult:
    """What a committed wave brought."""

    wave: int
    sent: int
    answered: int
    failed: int
    triples: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    seconds: float
    buckets: tuple[Bucket, ...]


@dataclass
class Tally:
    """Sums over the committed waves of a run; `seconds` from the first wave's start to the last commit."""

    answered: int = 0
    failed: int = 0
    triples: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0

    def add(self, result: WaveResult, seconds: float) -> None:
        for name in ("answered", "failed", "triples", "prompt_tokens", "cached_tokens", "completion_tokens"):
            setattr(self, name, getattr(self, name) + getattr(result, name))
        self.seconds = seconds


def check_failures(tally: Tally, max_failure_rate: float) -> None:
    """Raise TooManyFailures if more than the allowed share of the answers failed."""
    if tally.answered and tally.failed / tally.answered > max_failure_rate:
        raise TooManyFailures(
            "requests",
            f"{tally.failed} of {tally.answered} failed; run.max_failure_rate allows {max_failure_rate:.0%}",
            "The view `failures` shows each with its cause. What succeeded is kept and published.",
        )
