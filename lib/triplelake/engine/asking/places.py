"""Questions that are asked outside a run, spread over the servers of a pool: as many at a time as there are slots."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import cycle
from operator import itemgetter
from threading import BoundedSemaphore

from triplelake.codes import Code
from triplelake.config import AskingSettings
from triplelake.engine.asking.ladder import Method
from triplelake.engine.asking.preflight import ask_patiently
from triplelake.pool.client_factory import new_client
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.failures import ServerFailure
from triplelake.pool.limits import RateLimits
from triplelake.pool.protocol import CompletionClient
from triplelake.pool.window import windowed
from triplelake.types import Completion, Request


class Place:
    """A server, and room for as many questions as it has slots.

    Args:
        limits: of all places together.
    """

    def __init__(self, client: CompletionClient, slots: int, asking: AskingSettings, limits: RateLimits) -> None:
        self.slots = slots
        self._client = client
        self._asking = asking
        self._limits = limits
        self._room = BoundedSemaphore(slots)

    def ask(self, method: Method, request: Request) -> Completion | ServerFailure:
        """The answer, or why there is none; trouble that passes is waited for."""
        tokens = method.prefix_tokens[request.lang] + method.answer.max_tokens
        with self._room:
            if not self._limits.acquire(tokens, time.monotonic() + self._asking.deadline_s):
                return ServerFailure(Code.TIMEOUT, "the rate limits gave it no turn before its deadline")
            try:
                return ask_patiently(method, self._client, request)
            except ServerFailure as failure:
                return failure


@contextmanager
def open_places(endpoints: Sequence[Endpoint], asking: AskingSettings) -> Iterator[Sequence[Place]]:
    """The places of a pool: each server has as many as slots, and a first place of each comes before any second one."""
    limits = RateLimits(asking.requests_per_s, asking.tokens_per_s)
    with ExitStack() as stack:
        servers = [
            Place(
                stack.enter_context(closing(new_client(endpoint, asking.timeout_s))),
                endpoint.slots or 1,
                asking,
                limits,
            )
            for endpoint in endpoints
        ]
        yield [each for turn in range(max(each.slots for each in servers)) for each in servers if turn < each.slots]


def ask_each(method: Method, places: Sequence[Place], requests: Sequence[Request]) -> list[Completion | ServerFailure]:
    """Ask each request once; the answers stand in the order of the requests."""

    def ask(question: tuple[int, Request, Place]) -> tuple[int, Completion | ServerFailure]:
        rank, request, place = question
        return rank, place.ask(method, request)

    questions = [(rank, *pair) for rank, pair in enumerate(zip(requests, cycle(places), strict=False))]
    return [answer for _, answer in sorted(windowed(questions, ask, len(places)), key=itemgetter(0))]
