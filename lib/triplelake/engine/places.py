"""Questions that are asked outside a run, spread over the servers of a pool: as many at a time as there are slots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import cycle
from operator import itemgetter
from threading import BoundedSemaphore

from triplelake.engine.ladder import Method
from triplelake.engine.preflight import ask_patiently
from triplelake.pool.client import LlamaServer
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.failures import ServerFailure
from triplelake.pool.window import windowed
from triplelake.types import Completion, Request


class Place:
    """A server, and room for as many questions as it has slots."""

    def __init__(self, client: LlamaServer, slots: int) -> None:
        self.slots = slots
        self._client = client
        self._room = BoundedSemaphore(slots)

    def ask(self, method: Method, request: Request) -> Completion | ServerFailure:
        """The answer, or why there is none; trouble that passes is waited for."""
        with self._room:
            try:
                return ask_patiently(method, self._client, request)
            except ServerFailure as failure:
                return failure


@contextmanager
def open_places(endpoints: Sequence[Endpoint], timeout_s: float) -> Iterator[Sequence[Place]]:
    """The places of a pool: each server has as many as slots, and a first place of each comes before any second one."""
    with ExitStack() as stack:
        servers = [
            Place(stack.enter_context(closing(LlamaServer(endpoint, timeout_s))), endpoint.slots or 1)
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
