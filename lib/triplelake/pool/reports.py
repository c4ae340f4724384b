"""What a task and the driver's desk tell each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

LOST_S = 15.0
"""A task that has not reported for so long is taken for lost, and its places are given to others."""

Windows = Mapping[str, int]
"""Requests in flight by an endpoint's URL."""


@dataclass(frozen=True, slots=True)
class TaskCounts:
    """What a task, or all tasks, have done so far, committed or not."""

    answered: int = 0
    failed: int = 0
    triples: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: TaskCounts) -> TaskCounts:
        return TaskCounts(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(TaskCounts)))


@dataclass(frozen=True, slots=True, order=True)
class TaskId:
    """An attempt of a task of a wave."""

    wave: int
    partition: int
    attempt: int


@dataclass(frozen=True, slots=True)
class TaskReport:
    """What a task tells.

    Args:
        wants: requests that it could have in flight now.
        in_flight: what it has in flight, by URL.
        counts: since it began.
        failing: URLs of endpoints that its circuit breaker keeps it from.
        over: it will not ask any more.
        whole: it came to its end, so that all that it counts is in the rows that it returned.
        stage: Spark's number of the computation that it is part of: all attempts have the same, and where Spark
            computes a wave twice, each time has its own.
    """

    task: TaskId
    wants: int
    in_flight: Windows
    counts: TaskCounts = TaskCounts()
    failing: Sequence[str] = ()
    over: bool = False
    whole: bool = False
    stage: int = 0


@dataclass(frozen=True, slots=True)
class Orders:
    """What a task is told.

    Args:
        windows: requests that it may have in flight, by URL; what is over that is not taken back, but not replaced.
        share: its part of the job's rate limits, from 0 to 1.
        stop: ask nothing new.
    """

    windows: Windows
    share: float
    stop: bool
