"""What the servers of a pool do right now, by their own word: one look every few seconds, from the driver alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

from triplelake.codes import Code
from triplelake.pool.client_factory import new_client
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.failures import ServerFailure
from triplelake.pool.shares import total_slots
from triplelake.ticker import Ticker

EVERY_S = 5.0
"""Looks at a busy server more often than this can stall it (llama.cpp #29104)."""

_TIMEOUT_S = 4.0
_MOST = 1e9
_PARALLEL = 16
_NAMED = 2

State = Literal["up", "silent", "untold"]
"""`untold`: the server runs without `--metrics`, so that nothing is known but that it answers."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one server said.

    Args:
        busy: slots that work. deferred: requests that wait for a slot.
    """

    state: State
    busy: int = 0
    deferred: int = 0


@dataclass(frozen=True, slots=True)
class Load:
    """A pool in a line.

    Args:
        slots, busy, deferred: sums over the servers that said it. silent: URLs of those that did not answer.
        servers: how many there are.
    """

    slots: int
    busy: int
    deferred: int
    silent: tuple[str, ...]
    servers: int

    def __str__(self) -> str:
        told = f"{self.busy}/{self.slots} slots busy" if self.slots else ""
        waiting = f"{self.deferred} waiting for a slot" if self.deferred else ""
        first = ", ".join(url.partition("://")[2] for url in self.silent[:_NAMED])
        more = ", …" if len(self.silent) > _NAMED else ""
        silent = f"{len(self.silent)} of {self.servers} servers silent ({first}{more})" if self.silent else ""
        return ", ".join(filter(None, (told, waiting, silent)))


class Sampler:
    """Looks at every endpoint every `EVERY_S` seconds while the block lasts.

    Args:
        endpoints: asked at the start of each round for the servers, with their slots known.
        on_sample: told each sample, by URL, from a thread of its own.
        look: asks one endpoint.
        every_s: from the start of one round to the next.
    """

    def __init__(
        self,
        endpoints: Callable[[], Sequence[Endpoint]],
        on_sample: Callable[[str, Sample], None],
        look: Callable[[Endpoint], Sample] | None = None,
        every_s: float = EVERY_S,
    ) -> None:
        self._endpoints = endpoints
        self._on_sample = on_sample
        self._look = look or look_at
        self._every_s = every_s
        self._round: Sequence[tuple[Endpoint, Sample]] = ()
        self._executor = ThreadPoolExecutor(_PARALLEL, thread_name_prefix="sample")
        self._due = 0.0
        # Whatever a server may say once, the looks of a run that lasts for days go on: the ticker sees to that.
        self._ticker = Ticker(self._look_round, lambda: max(0.0, self._due - time.monotonic()), "sampler")

    def __enter__(self) -> Sampler:
        self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ticker.stop()
        self._executor.shutdown()

    @property
    def load(self) -> Load | None:
        """The newest round; None before the first."""
        newest = self._round
        if not newest:
            return None
        return Load(
            slots=total_slots(endpoint for endpoint, sample in newest if sample.state == "up"),
            busy=sum(sample.busy for _, sample in newest),
            deferred=sum(sample.deferred for _, sample in newest),
            silent=tuple(endpoint.url for endpoint, sample in newest if sample.state == "silent"),
            servers=len(newest),
        )

    def _look_round(self) -> None:
        self._due = time.monotonic() + self._every_s
        endpoints = self._endpoints()
        self._round = list(zip(endpoints, self._executor.map(self._look, endpoints), strict=True))
        for endpoint, sample in self._round:
            self._on_sample(endpoint.url, sample)


def look_at(endpoint: Endpoint) -> Sample:
    """One look at one server; never raises for it."""
    server = new_client(endpoint, _TIMEOUT_S)
    try:
        metrics = server.metrics()
        busy, deferred = (metrics.get(f"requests_{name}", -1.0) for name in ("processing", "deferred"))
        # What is not told or cannot be is not counted: every number here decides what tasks may ask.
        if not all(0 <= number <= _MOST for number in (busy, deferred)):
            return Sample("untold")
        return Sample("up", int(busy), int(deferred))
    except ServerFailure as failure:
        return Sample("untold" if failure.code == Code.BAD_REQUEST else "silent")
    finally:
        server.close()
