"""Who may have how many requests in flight where: the pool's slots and rate limits, shared out over tasks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from triplelake.pool.endpoints import Endpoint

MAX_IN_FLIGHT = 64
"""Requests that one task keeps in flight at most, where Spark runs enough tasks at a time to fill the servers so."""

_MOST_IN_FLIGHT = 512
"""Requests that one task keeps in flight at most, where Spark runs too few tasks at a time to fill the servers with
`MAX_IN_FLIGHT` each. Every request in flight is a thread of the task's Python process, which does not bear any number.
"""


@dataclass(frozen=True, slots=True)
class EndpointShare:
    """A task's part of one endpoint: `window` requests in flight there at most."""

    endpoint: Endpoint
    window: int


@dataclass(frozen=True, slots=True)
class Share:
    """A task's part of the pool.

    Args:
        endpoints: its home endpoints, each with a window of at least 1.
        requests_per_s, tokens_per_s: its part of the job's rate limits; None where there is none.
    """

    endpoints: tuple[EndpointShare, ...]
    requests_per_s: float | None = None
    tokens_per_s: float | None = None

    @property
    def window(self) -> int:
        """Requests in flight at most, over all endpoints."""
        return sum(part.window for part in self.endpoints)


def capacity(endpoint: Endpoint) -> int:
    """Requests that the whole job keeps in flight at an endpoint: its slots and 10 %, at least one, waiting.

    The ones that wait let a slot start its next request without a round trip in between.
    """
    slots = _slots(endpoint)
    return slots + max(1, slots // 10)


def total_slots(endpoints: Iterable[Endpoint]) -> int:
    """Requests that these endpoints decode at once; their slots are known."""
    return sum(map(_slots, endpoints))


def tasks_for(endpoints: Sequence[Endpoint], max_in_flight: int = MAX_IN_FLIGHT) -> int:
    """As few tasks as can fill the endpoints, none with more than `max_in_flight` requests in flight."""
    return -(-sum(capacity(endpoint) for endpoint in endpoints) // max_in_flight)


def in_flight_for(endpoints: Sequence[Endpoint], tasks: int) -> int:
    """Requests that each of so many tasks must be able to keep in flight, so that they fill the endpoints together."""
    total = sum(map(capacity, endpoints))
    return min(total, _MOST_IN_FLIGHT, max(MAX_IN_FLIGHT, -(-total // tasks)))


def split_shares(
    endpoints: Sequence[Endpoint],
    tasks: int,
    *,
    requests_per_s: float | None = None,
    tokens_per_s: float | None = None,
    lanes: int = 1,
) -> list[Share]:
    """Share the pool out over the tasks of a wave.

    All windows in a row, endpoint after endpoint, are cut into runs as equal as can be. So the windows
    of an endpoint sum to its `capacity`, a task has few endpoints, and an endpoint few tasks.

    Args:
        endpoints: with their slots known.
        tasks: from 1 to the sum of the capacities.
        requests_per_s, tokens_per_s: limits of the whole job.
        lanes: waves that run at the same time; they divide the rate limits.

    Raises:
        ValueError: no task, or more tasks than there are windows to give.
    """
    windows = [capacity(endpoint) for endpoint in endpoints]
    total = sum(windows)
    if not 1 <= tasks <= total:
        raise ValueError(f"{tasks} tasks cannot share {total} requests in flight")
    cuts = [task * total // tasks for task in range(tasks + 1)]
    shares = []
    for low, high in pairwise(cuts):
        part = (high - low) / total / lanes
        shares.append(
            Share(
                endpoints=_between(endpoints, windows, low, high),
                requests_per_s=None if requests_per_s is None else requests_per_s * part,
                tokens_per_s=None if tokens_per_s is None else tokens_per_s * part,
            )
        )
    return shares


def _between(endpoints: Sequence[Endpoint], windows: Sequence[int], low: int, high: int) -> tuple[EndpointShare, ...]:
    """What lies in `[low, high)` of all windows in a row."""
    parts = []
    start = 0
    for endpoint, window in zip(endpoints, windows, strict=True):
        overlap = min(high, start + window) - max(low, start)
        if overlap > 0:
            parts.append(EndpointShare(endpoint, overlap))
        start += window
    return tuple(parts)


def _slots(endpoint: Endpoint) -> int:
    if endpoint.slots is None:
        raise ValueError(f"{endpoint.url} was not asked for its slots: survey the pool first")
    return endpoint.slots
