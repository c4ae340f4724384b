"""Rate limits, by what a clock cannot contradict: they are never faster than they say."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from triplelake.pool.limits import RateLimits


def seconds_for(limits: RateLimits, times: int, tokens: int, threads: int = 1) -> float:
    started = time.monotonic()
    with ThreadPoolExecutor(threads) as executor:
        turns = [executor.submit(limits.acquire, tokens, started + 30) for _ in range(times)]
        assert all(turn.result() for turn in turns)
    return time.monotonic() - started


@pytest.mark.parametrize("threads", [1, 8])
def test_requests_keep_their_distance(threads: int) -> None:
    assert seconds_for(RateLimits(40, None), times=9, tokens=500, threads=threads) >= 5 / 40


def test_requests_larger_than_the_burst_are_paid_for_in_full() -> None:
    # A tenth of a second's worth (100 tokens) is free at the start.
    assert seconds_for(RateLimits(None, 1_000), times=3, tokens=100) >= 0.19
    assert seconds_for(RateLimits(None, 1_000), times=1, tokens=300) >= 0.19


def test_both_limits_hold() -> None:
    assert seconds_for(RateLimits(1_000_000, 1_000), times=3, tokens=100) >= 0.19
    assert seconds_for(RateLimits(20, 1_000_000), times=6, tokens=1) >= 3 / 20


def test_no_limit_never_waits() -> None:
    assert RateLimits(None, None).acquire(10**9, deadline=0.0)


def test_a_deadline_ends_the_wait() -> None:
    limits = RateLimits(0.001, None)
    assert limits.acquire(1, time.monotonic() + 1)
    started = time.monotonic()
    assert not limits.acquire(1, started + 0.05)
    assert time.monotonic() - started < 5


def test_a_pace_that_changes_gives_nothing_away() -> None:
    limits = RateLimits(None, 1_000)
    started = time.monotonic()
    with ThreadPoolExecutor(1) as executor:
        turn = executor.submit(limits.acquire, 500, started + 30)
        for _ in range(20):
            for pace in (500, 20, 1_000):
                limits.change(None, pace)
        assert turn.result()
        assert limits.acquire(100, started + 30)
    # 100 tokens are at hand at the start, and every other pace was slower.
    assert time.monotonic() - started >= 0.49
