"""One task's way to its endpoints: windows, rate limits, retries, a total deadline."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, stop_before_delay
from tenacity.wait import wait_random_exponential

from triplelake.config import AskingSettings
from triplelake.pool.client import LlamaServer
from triplelake.pool.failures import ServerFailure
from triplelake.pool.limits import RateLimits
from triplelake.pool.protocol import ClientFactory, CompletionClient, Prompt
from triplelake.pool.shares import Share
from triplelake.types import Completion

_PAUSE = wait_random_exponential(multiplier=0.25, max=20)


@dataclass(frozen=True, slots=True)
class Answer:
    """A completion and how many times a server was asked for it."""

    completion: Completion
    tries: int


@dataclass(slots=True)
class _Lane:
    """One endpoint of the share as it stands now."""

    url: str
    client: CompletionClient
    window: int
    in_flight: int = 0
    rests_until: float = 0.0


@dataclass(slots=True)
class _Course:
    """One question on its way: its deadline, its tries, the endpoints that it should rather not meet."""

    deadline: float
    avoided: set[str]
    tries: int = 0
    failure: ServerFailure | None = field(default=None)


class Router:
    """Puts questions to the endpoints of a share. Safe to call from several threads.

    Args:
        share: endpoints, windows and rate limits of this task.
        asking: timeout, tries and deadline; its rate limits are the job's and are not read here.
        client_factory: makes a client from an endpoint and a timeout in seconds.
        sleep: takes the pauses between tries.
    """

    def __init__(
        self,
        share: Share,
        asking: AskingSettings,
        client_factory: ClientFactory = LlamaServer,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._asking = asking
        self._sleep = sleep
        self._limits = RateLimits(share.requests_per_s, share.tokens_per_s)
        self._lanes = tuple(
            _Lane(part.endpoint.url, client_factory(part.endpoint, asking.timeout_s), part.window)
            for part in share.endpoints
        )
        self._window = share.window
        self._changed = threading.Condition()

    @property
    def width(self) -> int:
        """Questions to put at the same time: the window and a few more that take the place of those that pause."""
        return self._window + max(1, self._window // 4)

    def ask(
        self,
        prompt: Prompt,
        *,
        grammar: str | None,
        max_tokens: int,
        stop: Sequence[str] = (),
        est_tokens: int = 0,
        avoid: str | None = None,
    ) -> Answer:
        """Put a question, again and elsewhere first where a retry may help.

        Args:
            prompt, grammar, max_tokens, stop: as `CompletionClient.complete`.
            est_tokens: prompt and answer, estimated, for the limit of tokens per second.
            avoid: URL of an endpoint to ask only if there is no other.

        Raises:
            ServerFailure: the last one, with `tries`, when tries or time are used up or no retry can help.
        """
        course = _Course(time.monotonic() + self._asking.deadline_s, {avoid} if avoid else set())

        def once() -> Completion:
            return self._once(course, prompt, grammar, max_tokens, stop, est_tokens)

        # The pause is slept between two calls of `once`, when the question holds no place in a window.
        retrying = Retrying(
            retry=retry_if_exception(_may_retry),
            stop=stop_after_attempt(self._asking.tries) | stop_before_delay(self._asking.deadline_s),
            wait=_pause,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return Answer(retrying(once), course.tries)
        except ServerFailure as failure:
            failure.tries = course.tries
            raise

    def tokenize(self, text: str) -> list[int]:
        """Ids of a text with special tokens left as text; any endpoint will do, all serve the same model.

        Raises:
            ServerFailure: the last one, when every endpoint failed, or one that no other can help.
        """
        *first, last = sorted(self._lanes, key=lambda lane: lane.in_flight / lane.window)
        for lane in first:
            try:
                return lane.client.tokenize(text)
            except ServerFailure as failure:
                if not failure.retryable:
                    raise
        return last.client.tokenize(text)

    def close(self) -> None:
        """Let go of the idle connections."""
        for lane in self._lanes:
            lane.client.close()

    def _once(
        self,
        course: _Course,
        prompt: Prompt,
        grammar: str | None,
        max_tokens: int,
        stop: Sequence[str],
        est_tokens: int,
    ) -> Completion:
        if not self._limits.acquire(est_tokens, course.deadline):
            raise course.failure or ServerFailure("timeout", "the rate limits gave it no turn before its deadline")
        with self._place(course) as lane:
            course.tries += 1
            left_s = max(0.001, course.deadline - time.monotonic())
            try:
                return lane.client.complete(prompt, grammar=grammar, max_tokens=max_tokens, stop=stop, timeout_s=left_s)
            except ServerFailure as failure:
                course.failure = failure
                course.avoided.add(lane.url)
                if failure.retry_after_s:
                    lane.rests_until = time.monotonic() + failure.retry_after_s
                raise

    @contextmanager
    def _place(self, course: _Course) -> Iterator[_Lane]:
        """A place in the window of the best endpoint, waited for until the deadline."""
        with self._changed:
            while (lane := self._choose(course.avoided)) is None:
                now = time.monotonic()
                if now >= course.deadline:
                    raise course.failure or ServerFailure("timeout", "no endpoint had a free place before the deadline")
                rests = [lane.rests_until for lane in self._lanes if lane.rests_until > now]
                self._changed.wait(min([course.deadline, *rests]) - now)
            lane.in_flight += 1
        try:
            yield lane
        finally:
            with self._changed:
                lane.in_flight -= 1
                self._changed.notify_all()

    def _choose(self, avoided: set[str]) -> _Lane | None:
        """The less loaded of two, among endpoints that are not avoided unless all are; None if all are full."""
        now = time.monotonic()
        wanted = [lane for lane in self._lanes if lane.url not in avoided] or self._lanes
        free = [lane for lane in wanted if lane.in_flight < lane.window and lane.rests_until <= now]
        if not free:
            return None
        return min(random.sample(free, min(2, len(free))), key=lambda lane: lane.in_flight / lane.window)


def _may_retry(error: BaseException) -> bool:
    return isinstance(error, ServerFailure) and error.retryable


def _pause(state: RetryCallState) -> float:
    return float(_PAUSE(state))
