"""One task's way to its endpoints: windows, rate limits, retries, a total deadline."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.stop import stop_base
from tenacity.wait import wait_random_exponential

from triplelake.codes import Code
from triplelake.config import AskingSettings
from triplelake.pool.backend import Backend
from triplelake.pool.client_factory import new_client
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.failures import ServerFailure
from triplelake.pool.limits import RateLimits
from triplelake.pool.protocol import ClientFactory, Prompt, Watch
from triplelake.pool.reports import Orders, Windows
from triplelake.pool.shares import Share
from triplelake.pool.survey import declared_name
from triplelake.types import Completion, FailedTry

_PAUSE = wait_random_exponential(multiplier=0.25, max=20)


class Stopped(Exception):
    """The job asks nothing new; the question was not put."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A completion, and what was tried before in vain."""

    completion: Completion
    failed_tries: tuple[FailedTry, ...] = ()


@dataclass(slots=True)
class _Course:
    """One question on its way: its deadline, what was tried, the endpoints that it should rather not meet."""

    deadline: float
    avoided: set[str]
    failed_tries: list[FailedTry] = field(default_factory=list)
    failure: ServerFailure | None = None


class _OutOfTime(stop_base):
    """Stops where the deadline comes before the next try."""

    def __init__(self, course: _Course) -> None:
        self._course = course

    def __call__(self, retry_state: RetryCallState) -> bool:
        return time.monotonic() + retry_state.upcoming_sleep >= self._course.deadline


class Router:
    """Puts questions to the endpoints of a share. Safe to call from several threads.

    Args:
        share: endpoints, windows and rate limits of this task, until it is told others.
        asking: timeout, tries and deadline, and the rate limits of the whole job, of which orders give a part.
        client_factory: makes a client from an endpoint and a timeout in seconds.
        sleep: takes the pauses between tries.
        others: the endpoints that orders may name, with their slots known.
        most: questions in flight at most, whatever orders say; None for what the share allows.
        model: the name that every answer must declare; None for any.
    """

    def __init__(
        self,
        share: Share,
        asking: AskingSettings,
        client_factory: ClientFactory = new_client,
        sleep: Callable[[float], None] = time.sleep,
        *,
        others: Sequence[Endpoint] = (),
        most: int | None = None,
        model: str | None = None,
    ) -> None:
        self._asking = asking
        self._model = model
        self._sleep = sleep
        self._share = share
        self._limits = RateLimits(share.requests_per_s, share.tokens_per_s)
        windows = {part.endpoint: part.window for part in share.endpoints}
        away = [endpoint for endpoint in others if endpoint not in windows]
        self._backends = tuple(
            Backend(
                endpoint.url,
                client_factory(endpoint, asking.timeout_s),
                window,
                longest_rest_s=asking.max_retry_after_s,
            )
            for endpoint, window in (*windows.items(), *((endpoint, 0) for endpoint in away))
        )
        self._most = share.window if most is None else most
        self._dark_since: float | None = None
        self._waiting = 0
        self._begun = False
        self._stopped = False
        self._tried_in_vain: Counter[FailedTry] = Counter()
        self._changed = threading.Condition()

    @property
    def failed_tries(self) -> Counter[FailedTry]:
        """All tries of the task that brought no good answer, whatever became of their requests."""
        with self._changed:
            return self._tried_in_vain.copy()

    def tried_in_vain(self, failed: FailedTry) -> None:
        """Count a try; of answers that turn out to be bad, whoever read them."""
        with self._changed:
            self._tried_in_vain[failed] += 1

    @property
    def width(self) -> int:
        """Questions to put at the same time: the window and a few more that take the place of those that pause."""
        return self._most + max(1, self._most // 4)

    @property
    def wants(self) -> int:
        """Questions that could be in flight now; before the first one, as many as ever."""
        with self._changed:
            asked = self._waiting + sum(backend.in_flight for backend in self._backends)
            return min(asked, self._most) if self._begun else self._most

    @property
    def hungry(self) -> bool:
        """Whether a question waits although every window is full."""
        with self._changed:
            return self._waiting > 0 and all(backend.in_flight >= backend.window for backend in self._backends)

    @property
    def in_flight(self) -> dict[str, int]:
        """Questions in flight by URL, where there are any."""
        with self._changed:
            return {backend.url: backend.in_flight for backend in self._backends if backend.in_flight}

    @property
    def failing(self) -> tuple[str, ...]:
        """URLs of the endpoints of which the circuit breaker is open, or which refuse the key."""
        with self._changed:
            return tuple(backend.url for backend in self._backends if backend.broken or backend.refused)

    @property
    def stopped(self) -> bool:
        """Whether nothing new is to be asked."""
        return self._stopped

    def obey(self, orders: Orders) -> None:
        """Take new windows and a new part of the job's rate limits; what is in flight stays so."""
        asking = self._asking
        self._limits.change(_part(asking.requests_per_s, orders.share), _part(asking.tokens_per_s, orders.share))
        # Before the windows: a place that becomes free now is not taken any more.
        self._stopped = self._stopped or orders.stop
        self._resize(orders.windows)

    def fall_back(self) -> None:
        """Take the share that the task began with."""
        self._limits.change(self._share.requests_per_s, self._share.tokens_per_s)
        self._resize({part.endpoint.url: part.window for part in self._share.endpoints})

    def _resize(self, windows: Windows) -> None:
        with self._changed:
            for backend in self._backends:
                backend.resize(windows.get(backend.url, 0))
            self._changed.notify_all()

    def ask(
        self,
        prompt: Prompt,
        *,
        grammar: str | None,
        max_tokens: int,
        stop: Sequence[str] = (),
        new_watch: Callable[[], Watch] | None = None,
        est_tokens: int = 0,
        avoid: str | None = None,
    ) -> Answer:
        """Put a question, again and elsewhere first where a retry may help.

        Args:
            prompt, grammar, max_tokens, stop: as `CompletionClient.complete`.
            new_watch: makes what sees an answer grow, one for each try.
            est_tokens: prompt and answer, estimated, for the limit of tokens per second.
            avoid: URL of an endpoint to ask only if there is no other.

        Raises:
            ServerFailure: the last one, with all `failed_tries`, when tries or time are used up or no retry can help.
            Stopped: nothing new is to be asked.
        """
        course = _Course(time.monotonic() + self._asking.deadline_s, {avoid} if avoid else set())

        def once() -> Completion:
            return self._once(course, prompt, grammar, max_tokens, stop, new_watch, est_tokens)

        # The pause is slept between two calls of `once`, when the question holds no place in a window.
        retrying = Retrying(
            retry=retry_if_exception(_may_retry),
            stop=stop_after_attempt(self._asking.tries) | _OutOfTime(course),
            wait=_pause,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return Answer(retrying(once), tuple(course.failed_tries))
        except ServerFailure as failure:
            failure.failed_tries = tuple(course.failed_tries)
            raise

    def tokenize(self, text: str) -> list[int]:
        """Ids of a text with special tokens left as text; any endpoint will do, all serve the same model.

        Raises:
            ServerFailure: the last one, when every endpoint failed, or one that no other can help.
        """

        def least(backend: Backend) -> tuple[bool, bool, float]:
            return backend.refused, backend.broken, backend.in_flight / max(backend.window, 1)

        *first, last = sorted(self._backends, key=least)
        for backend in first:
            try:
                return backend.client.tokenize(text)
            except ServerFailure as failure:
                if not failure.retryable:
                    raise
        return last.client.tokenize(text)

    def close(self) -> None:
        """Let go of the idle connections."""
        for backend in self._backends:
            backend.client.close()

    def _once(
        self,
        course: _Course,
        prompt: Prompt,
        grammar: str | None,
        max_tokens: int,
        stop: Sequence[str],
        new_watch: Callable[[], Watch] | None,
        est_tokens: int,
    ) -> Completion:
        with self._place(course) as backend:
            if not self._limits.acquire(est_tokens, course.deadline):
                raise course.failure or ServerFailure(
                    Code.TIMEOUT, "the rate limits gave it no turn before its deadline"
                )
            left_s = max(0.001, course.deadline - time.monotonic())
            try:
                completion = backend.client.complete(
                    prompt,
                    grammar=grammar,
                    max_tokens=max_tokens,
                    stop=stop,
                    probabilities=self._asking.probabilities,
                    watch=new_watch() if new_watch else None,
                    timeout_s=left_s,
                )
                self._check_model(completion)
            except ServerFailure as failure:
                course.failure = failure
                course.failed_tries.append(FailedTry(backend.url, failure.code))
                self.tried_in_vain(course.failed_tries[-1])
                course.avoided.add(backend.url)
                with self._changed:
                    backend.failed(failure, time.monotonic())
                    self._look_for_light()
                    # Where a key is refused everywhere, all that wait for a place would be refused, too.
                    self._stopped = self._stopped or all(each.refused for each in self._backends)
                raise
            with self._changed:
                backend.succeeded()
                self._look_for_light()
            return completion

    def _check_model(self, completion: Completion) -> None:
        """A server that died may have come back with another model."""
        if self._model is not None and (name := declared_name(completion.model)) != self._model:
            raise ServerFailure(
                Code.OTHER_MODEL, f"answers as {name}, not as {self._model}", endpoint=completion.endpoint
            )

    @contextmanager
    def _place(self, course: _Course) -> Iterator[Backend]:
        """A place in the window of the best endpoint, waited for until the deadline."""
        with self._changed:
            self._begun = True
            self._waiting += 1
            try:
                backend = self._wait_for_place(course)
                backend.in_flight += 1
            finally:
                self._waiting -= 1
        try:
            yield backend
        finally:
            with self._changed:
                backend.in_flight -= 1
                self._changed.notify_all()

    def _wait_for_place(self, course: _Course) -> Backend:
        while True:
            if self._stopped:
                raise Stopped
            if not self._homes():
                # Others have all places, and that is nobody's failure: the time until the first place does not count.
                self._changed.wait()
                if not course.failed_tries:
                    course.deadline = time.monotonic() + self._asking.deadline_s
                continue
            if backend := self._choose(course.avoided):
                return backend
            now = time.monotonic()
            if now >= course.deadline:
                raise course.failure or ServerFailure(Code.TIMEOUT, "no endpoint had a free place before the deadline")
            wakes = [backend.rests_until for backend in self._backends if backend.rests_until > now]
            if self._dark_since is not None:
                dark_until = self._dark_since + self._asking.patience_s
                if now >= dark_until:
                    raise course.failure or ServerFailure(Code.CONNECTION, "every endpoint fails")
                wakes.append(dark_until)
            self._changed.wait(min([course.deadline, *wakes]) - now)

    def _homes(self) -> list[Backend]:
        """Where the task may ask."""
        return [backend for backend in self._backends if backend.window and not backend.refused]

    def _look_for_light(self) -> None:
        """Note since when every endpoint of the task fails."""
        homes = self._homes()
        if not homes or not all(backend.broken for backend in homes):
            self._dark_since = None
        elif self._dark_since is None:
            self._dark_since = time.monotonic()

    def _choose(self, avoided: set[str]) -> Backend | None:
        """The less loaded of two; None if all are full or rest.

        An endpoint that is due for a trial comes first, and then those that are neither broken nor avoided.
        """
        now = time.monotonic()
        homes = self._homes()
        sound = [backend for backend in homes if not backend.broken]
        wanted = [backend for backend in sound if backend.url not in avoided] or sound or homes
        trials = [backend for backend in homes if backend.broken and backend.admits(now) and backend.url not in avoided]
        free = trials or [backend for backend in wanted if backend.admits(now)]
        if not free:
            return None
        return min(random.sample(free, min(2, len(free))), key=lambda backend: backend.in_flight / backend.window)


def _may_retry(error: BaseException) -> bool:
    return isinstance(error, ServerFailure) and error.retryable


def _part(limit: float | None, share: float) -> float | None:
    return None if limit is None else limit * share


def _pause(state: RetryCallState) -> float:
    return float(_PAUSE(state))
