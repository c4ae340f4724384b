"""What decoding takes, and what is known of one request and of all."""

from __future__ import annotations

import asyncio
import math
import random
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Speed:
    """How long requests take.

    Args:
        latency_s: seconds of every request in its slot; None for the speeds below.
        spread: a request takes up to this part more or less than `latency_s`, depending on its prompt only.
        prompt_tokens_s: tokens per second of a prompt that are not in the cache; 0 takes no time.
        decode_tokens_s: tokens per second of one slot that works alone, and steps per second of the server.
        crowding: how much longer a step is for each further busy slot.
        time_scale: how many seconds pass in one.
    """

    latency_s: float | None = 0.0
    spread: float = 0.0
    prompt_tokens_s: float = 0.0
    decode_tokens_s: float = 50.0
    crowding: float = 0.0
    time_scale: float = 1.0

    @property
    def step_s(self) -> float:
        """Seconds between two looks at the queue; with a fixed latency it is looked at all the time."""
        return 0.0 if self.latency_s is not None else 1 / self.decode_tokens_s

    def work_s(self, prompt: str, fresh: int, predicted: int) -> float:
        """Seconds that a request needs alone on the server."""
        if self.latency_s is None:
            prompt_s = fresh / self.prompt_tokens_s if self.prompt_tokens_s else 0.0
            return prompt_s + predicted / self.decode_tokens_s
        if not self.spread:
            return self.latency_s
        return self.latency_s * (1 + self.spread * random.Random(prompt).uniform(-1, 1))


@dataclass(slots=True, eq=False)
class Job:
    """A request in the engine.

    Args:
        prompt: as text.
        prompt_tokens, predicted: tokens of the prompt and of the answer.
        n_predict: the limit that was asked for.
        number: of the request, for `/slots`.
        may_reuse: whether a slot's cache may be used.
        streamed: its client is sent each token, so that the server notices when it leaves.
        slowness: factor of the work; infinite for a request that never ends.
        cached, slot, ends_at: set when it begins: tokens reused, the slot, and the clock of work at its end.
    """

    prompt: str
    prompt_tokens: int
    predicted: int
    n_predict: int = -1
    number: int = 0
    may_reuse: bool = True
    streamed: bool = False
    slowness: float = 1.0
    cached: int = 0
    slot: int = -1
    ends_at: float = math.inf
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


@dataclass(slots=True)
class Counters:
    """What `/metrics` counts since the start."""

    prompt_tokens: int = 0
    prompt_tokens_cached: int = 0
    prompt_s: float = 0.0
    predicted: int = 0
    predicted_s: float = 0.0
    longest: int = 0
