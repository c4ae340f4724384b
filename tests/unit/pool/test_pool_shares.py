"""Sharing the pool out: what must hold for every pool and every number of tasks."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triplelake.pool.endpoints import Endpoint
from triplelake.pool.shares import capacity, in_flight_for, split_shares, tasks_for

pools = st.lists(st.integers(1, 256), min_size=1, max_size=20).map(
    lambda slots: [Endpoint(f"http://gpu-{i}", None, n) for i, n in enumerate(slots)]
)


@given(pools, st.data())
def test_windows_fill_every_endpoint_and_no_more(pool: list[Endpoint], data: st.DataObject) -> None:
    total = sum(capacity(endpoint) for endpoint in pool)
    tasks = data.draw(st.integers(1, total))
    shares = split_shares(pool, tasks, requests_per_s=7.5, tokens_per_s=9_000)
    assert len(shares) == tasks

    windows: Counter[str] = Counter()
    for share in shares:
        assert share.endpoints
        assert all(part.window >= 1 for part in share.endpoints)
        assert len({part.endpoint.url for part in share.endpoints}) == len(share.endpoints)
        windows.update({part.endpoint.url: part.window for part in share.endpoints})
    for endpoint in pool:
        assert endpoint.slots is not None
        assert endpoint.slots < windows[endpoint.url] <= endpoint.slots + max(1, endpoint.slots * 0.1)

    sizes = [share.window for share in shares]
    assert max(sizes) - min(sizes) <= 1
    assert math.isclose(sum(share.requests_per_s or 0 for share in shares), 7.5)
    assert math.isclose(sum(share.tokens_per_s or 0 for share in shares), 9_000)


@given(pools, st.data())
def test_homes_are_few(pool: list[Endpoint], data: st.DataObject) -> None:
    tasks = data.draw(st.integers(1, sum(capacity(endpoint) for endpoint in pool)))
    shares = split_shares(pool, tasks)
    # Runs of one row: at most one cut per task more than there are endpoints.
    assert sum(len(share.endpoints) for share in shares) <= tasks + len(pool) - 1


@given(pools, st.integers(1, 100))
def test_tasks_are_as_few_as_can_be(pool: list[Endpoint], most: int) -> None:
    tasks = tasks_for(pool, most)
    assert all(share.window <= most for share in split_shares(pool, tasks))
    assert tasks == 1 or sum(capacity(endpoint) for endpoint in pool) > (tasks - 1) * most


def test_lanes_divide_the_rates_and_not_the_windows() -> None:
    pool = [Endpoint("http://a", None, 8)]
    (one,), (half,) = (split_shares(pool, 1, requests_per_s=10, lanes=lanes) for lanes in (1, 2))
    assert (one.requests_per_s, half.requests_per_s) == (10, 5)
    assert one.window == half.window == 9
    assert one.tokens_per_s is None


@pytest.mark.parametrize("tasks", [0, 4])
def test_a_number_of_tasks_that_cannot_be(tasks: int) -> None:
    with pytest.raises(ValueError, match="cannot share"):
        split_shares([Endpoint("http://a", None, 2)], tasks)


def test_slots_must_be_known() -> None:
    with pytest.raises(ValueError, match="survey"):
        tasks_for([Endpoint("http://a")])


@pytest.mark.parametrize(("tasks", "most"), [(1, 512), (4, 272), (17, 64), (40, 64)])
def test_few_tasks_have_more_in_flight_each(tasks: int, most: int) -> None:
    assert in_flight_for([Endpoint(f"http://{number}", slots=16) for number in range(64)], tasks) == most


def test_no_task_has_more_in_flight_than_the_pool() -> None:
    assert in_flight_for([Endpoint("http://a", slots=4)], 1) == 5
