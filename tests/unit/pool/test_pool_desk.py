"""The desk as state: places are never promised twice, none lies idle, and the oldest wave comes first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from triplelake.pool.desk import Desk, evenly
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.reports import LOST_S, Orders, TaskCounts, TaskId, TaskReport
from triplelake.pool.shares import capacity

A, B = "http://a", "http://b"


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def desk(*slots: int, clock: Clock | None = None) -> Desk:
    endpoints = [Endpoint(f"http://{chr(97 + rank)}", slots=each) for rank, each in enumerate(slots)]
    return Desk(endpoints, clock or Clock())


def task(wave: int, partition: int = 0, attempt: int = 0) -> TaskId:
    return TaskId(wave, partition, attempt)


@given(st.lists(st.integers(0, 90), max_size=12), st.integers(0, 200))
def test_evenly_is_max_min_fair(wants: list[int], places: int) -> None:
    given = evenly(wants, places)
    assert all(0 <= got <= want for got, want in zip(given, wants, strict=True))
    assert sum(given) == min(sum(wants), places)
    for got, want in zip(given, wants, strict=True):
        # Whoever has less than it wants has no less than anybody else, but for the one place that cannot be cut.
        assert got == want or got >= max(given) - 1


def test_one_task_has_the_pool_and_the_next_wave_what_it_leaves() -> None:
    office = desk(4, 8)
    assert office.report(TaskReport(task(0), 64, {})).windows == {A: 5, B: 9}
    assert office.report(TaskReport(task(1), 64, {})).windows == {}
    # The older one comes to its end: 3 in flight and nothing that waits.
    assert office.report(TaskReport(task(0), 3, {A: 2, B: 5})).windows == {B: 3}
    # What it still has in flight, though it wants it no more, is given away when it is back.
    assert office.report(TaskReport(task(1), 64, {})).windows == {A: 3, B: 4}
    assert office.report(TaskReport(task(0), 3, {B: 3})).windows == {B: 3}
    assert office.report(TaskReport(task(1), 64, {A: 3, B: 4})).windows == {A: 5, B: 6}
    office.report(TaskReport(task(0), 0, {}, over=True))
    assert office.report(TaskReport(task(1), 64, {A: 5, B: 6})).windows == {A: 5, B: 9}


def test_the_oldest_wave_is_the_one_that_came_first_whatever_its_number() -> None:
    office = desk(4)
    assert office.report(TaskReport(task(40), 64, {})).windows == {A: 5}
    assert office.report(TaskReport(task(13), 64, {})).windows == {}
    assert office.report(TaskReport(task(40), 64, {A: 5})).windows == {A: 5}
    office.close(40)
    assert office.report(TaskReport(task(44), 64, {})).windows == {}
    assert office.report(TaskReport(task(13), 64, {})).windows == {A: 5}


def test_tasks_of_a_wave_share_evenly_and_have_few_endpoints() -> None:
    office = desk(*[8] * 8)
    tasks = [task(0, partition) for partition in range(4)]
    for _ in range(2):
        orders = [office.report(TaskReport(each, 64, {})) for each in tasks]
    assert [sum(each.windows.values()) for each in orders] == [18] * 4
    assert all(len(each.windows) == 2 for each in orders)
    assert sum(each.share for each in orders) == pytest.approx(1)


def test_an_endpoint_that_fails_for_all_keeps_one_place_until_a_trial_succeeds() -> None:
    office = desk(4, 8)
    one, two = task(0, 0), task(0, 1)
    for each in (one, two, one, two):
        office.report(TaskReport(each, 7, {}))
    assert office.report(TaskReport(one, 7, {})).windows == {B: 7}
    assert office.report(TaskReport(two, 7, {})).windows == {A: 5, B: 2}
    # It fails for one of the two that have places there: it may be that one's own network.
    assert office.report(TaskReport(one, 7, {}, failing=[B])).windows == {B: 7}
    assert office.report(TaskReport(two, 7, {}, failing=[B])).windows == {A: 3}
    assert office.report(TaskReport(one, 7, {}, failing=[B])).windows == {B: 1, A: 2}
    assert office.report(TaskReport(two, 7, {})).windows == {A: 3}
    # The trial was good.
    assert office.report(TaskReport(one, 7, {})).windows == {A: 2, B: 5}
    assert office.report(TaskReport(two, 7, {})).windows == {A: 3, B: 4}


def test_a_server_that_leaves_gets_nothing_new_and_one_that_joins_is_for_waves_that_know_it() -> None:
    office = desk(4, 8)
    one, two = Endpoint(A, slots=4), Endpoint("http://new", slots=4)
    office.open(0, office.endpoints)
    assert office.report(TaskReport(task(0), 64, {})).windows == {A: 5, B: 9}
    office.change([one, two])
    # What it has in flight at the one that left comes to its end; the other is not known to its tasks.
    assert office.report(TaskReport(task(0), 64, {A: 5, B: 9})).windows == {A: 5}
    office.open(1, [one, two])
    assert office.report(TaskReport(task(1), 64, {})).windows == {"http://new": 5}
    office.observe(B, 100)
    assert office.holding() == {A: 5, "http://new": 5}
    office.close(0)
    assert office.report(TaskReport(task(1), 64, {"http://new": 5})).windows == {A: 5, "http://new": 5}


def test_a_wave_whose_servers_were_all_taken_away_ends() -> None:
    office = desk(4, 8)
    one, two = office.endpoints[0], Endpoint("http://new", slots=4)
    office.open(0, [one])
    assert not office.report(TaskReport(task(0), 64, {})).stop
    office.change([two])
    # Else its tasks would wait for ever for a place, and the next wave for them.
    assert office.report(TaskReport(task(0), 64, {A: 5})).stop
    office.open(1, [two])
    orders = office.report(TaskReport(task(1), 64, {}))
    assert (orders.stop, orders.windows) == (False, {"http://new": 5})


def test_a_lost_task_gives_its_places_back_after_its_lease() -> None:
    clock = Clock()
    office = desk(4, clock=clock)
    office.report(TaskReport(task(0), 9, {A: 5}))
    clock.now = LOST_S
    assert office.report(TaskReport(task(0, 1), 9, {})).windows == {}
    clock.now = LOST_S + 0.1
    assert office.report(TaskReport(task(0, 1), 9, {})).windows == {A: 5}


def test_of_two_attempts_one_asks_and_the_other_when_that_one_is_silent() -> None:
    clock = Clock()
    office = desk(4, clock=clock)
    first, copy = task(0, attempt=3), task(0, attempt=7)
    assert office.report(TaskReport(first, 9, {})).windows == {A: 5}
    clock.now = 4.0
    assert office.report(TaskReport(copy, 9, {})) == Orders({}, 0.0, stop=False)
    assert office.report(TaskReport(first, 2, {A: 2})).windows == {A: 2}
    # What the first one leaves is not for its copy.
    assert office.report(TaskReport(copy, 9, {})).windows == {}
    clock.now = 9.1
    assert office.report(TaskReport(copy, 9, {})).windows == {A: 5}
    # Not lost but slow: it keeps what it has in flight, and the other one asks on.
    assert office.report(TaskReport(first, 9, {A: 2})).windows == {}
    assert office.report(TaskReport(copy, 9, {})).windows == {A: 3}


def test_an_attempt_that_failed_makes_way_at_once() -> None:
    office = desk(4)
    first, again = task(0, attempt=3), task(0, attempt=7)
    office.report(TaskReport(first, 9, {}))
    office.report(TaskReport(first, 0, {}, over=True))
    assert office.report(TaskReport(again, 9, {})).windows == {A: 5}


def test_the_copy_of_a_task_that_is_done_ends_and_one_that_comes_later_asks() -> None:
    clock = Clock()
    office = desk(4, clock=clock)
    first, copy, later = task(0, attempt=3), task(0, attempt=7), task(0, attempt=9)
    office.report(TaskReport(first, 9, {}))
    clock.now = 1.0
    office.report(TaskReport(copy, 9, {}))
    clock.now = 2.0
    office.report(TaskReport(first, 0, {}, TaskCounts(answered=9), over=True, whole=True))
    clock.now = 3.0
    for each in (copy, later):
        assert office.report(TaskReport(each, 9, {})) == Orders({}, 0.0, stop=False)
    clock.now = 2.1 + LOST_S
    assert office.report(TaskReport(copy, 9, {})).stop
    assert office.counts([0]).answered == 9
    assert office.report(TaskReport(later, 9, {})) == Orders({A: 5}, 1.0, stop=False)


def test_a_wave_that_is_closed_asks_nothing_more() -> None:
    office = desk(4)
    office.report(TaskReport(task(0), 9, {}))
    office.close(0)
    assert office.report(TaskReport(task(0, attempt=1), 9, {})) == Orders({}, 0.0, stop=True)
    assert office.holding() == {A: 0}


def test_the_rows_that_a_wave_returned_are_those_of_tasks_that_came_to_their_end() -> None:
    office = desk(4)
    assert office.returned(0) == 0
    office.report(TaskReport(task(0, 0), 1, {}, TaskCounts(answered=9)))
    office.report(TaskReport(task(0, 1), 1, {}, TaskCounts(answered=4), over=True))
    office.report(TaskReport(task(0, 2), 1, {}, TaskCounts(answered=5), over=True, whole=True))
    office.report(TaskReport(task(1, 0), 1, {}, TaskCounts(answered=7), over=True, whole=True))
    assert (office.returned(0), office.returned(1)) == (5, 7)
    # The same part for a second time, and nothing had failed: both have been paid for.
    office.report(TaskReport(task(0, 2, 8), 1, {}, TaskCounts(answered=5), over=True, whole=True, stage=1))
    assert office.returned(0) == 10
    # A further attempt of the same computation, since an executor was lost: then more may be returned than is written.
    office.report(TaskReport(task(0, 2, 9), 1, {}))
    assert office.returned(0) is None
    office.close(0)
    assert (office.returned(0), office.returned(1)) == (0, 7)


def test_counts_are_those_of_the_attempt_that_asks_until_the_wave_is_closed() -> None:
    office = desk(4)
    office.report(TaskReport(task(0, 0, 1), 1, {}, TaskCounts(answered=2, triples=3)))
    office.report(TaskReport(task(0, 0, 2), 1, {}))
    office.report(TaskReport(task(0, 1, 3), 0, {}, TaskCounts(answered=4, failed=1), over=True))
    office.report(TaskReport(task(1, 0, 4), 1, {}, TaskCounts(answered=7)))
    assert office.counts([0]) == TaskCounts(answered=6, failed=1, triples=3)
    assert office.counts([0, 1]).answered == 13
    office.close(0)
    assert office.counts([0, 1]).answered == 7


def test_everybody_is_told_to_stop() -> None:
    office = desk(1)
    assert not office.report(TaskReport(task(0), 1, {})).stop
    office.stop()
    assert office.report(TaskReport(task(0), 1, {})).stop


@dataclass
class Task:
    """A task that keeps to its orders."""

    id: TaskId
    windows: dict[str, int] = field(default_factory=dict)
    in_flight: dict[str, int] = field(default_factory=dict)


class Admission(RuleBasedStateMachine):
    """Tasks come, some to do what another one does, ask, end and report in any order.

    What is in flight never passes the capacity, and of several attempts of a part one asks.
    """

    tasks = Bundle("tasks")
    SLOTS = (1, 4, 25)

    def __init__(self) -> None:
        super().__init__()
        self.desk = desk(*self.SLOTS)
        self.live: list[Task] = []
        self.number = 0

    @rule(target=tasks, wave=st.integers(0, 3), partition=st.integers(0, 3))
    def comes(self, wave: int, partition: int) -> Task:
        self.number += 1
        new = Task(TaskId(wave, partition, self.number))
        self.live.append(new)
        return new

    @rule(one=tasks, wants=st.integers(0, 80))
    def reports(self, one: Task, wants: int) -> None:
        one.windows = dict(self.desk.report(TaskReport(one.id, wants, dict(one.in_flight))).windows)

    @rule(one=tasks)
    def asks(self, one: Task) -> None:
        """As many as it may."""
        for url, window in one.windows.items():
            one.in_flight[url] = max(window, one.in_flight.get(url, 0))

    @rule(one=tasks, left=st.integers(0, 5))
    def is_answered(self, one: Task, left: int) -> None:
        one.in_flight = {url: min(count, left) for url, count in one.in_flight.items()}

    @rule(one=consumes(tasks))
    def ends(self, one: Task) -> None:
        self.desk.report(TaskReport(one.id, 0, {}, over=True))
        self.live.remove(one)

    @invariant()
    def in_flight_is_within_capacity(self) -> None:
        for endpoint in self.desk.endpoints:
            flying = sum(each.in_flight.get(endpoint.url, 0) for each in self.live)
            assert flying <= capacity(endpoint)

    @invariant()
    def of_a_part_one_attempt_asks(self) -> None:
        asking = Counter((each.id.wave, each.id.partition) for each in self.live if each.windows)
        assert set(asking.values()) <= {1}

    @rule()
    def nothing_lies_idle_for_long(self) -> None:
        """After three rounds all places are given: all are known, all have given back, all have taken."""
        if not self.live:
            return
        for each in self.live:
            each.in_flight = {}
        for _ in range(3):
            for each in self.live:
                each.windows = dict(self.desk.report(TaskReport(each.id, 80, {})).windows)
        used = sum(sum(each.windows.values()) for each in self.live)
        assert used == sum(capacity(endpoint) for endpoint in self.desk.endpoints)


TestAdmission = Admission.TestCase
