"""The sliding window: as wide as it says, lazy, prompt to stop."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from triplelake.pool.window import windowed


class Gauge:
    """Counts who is inside; the first `width` to come wait for one another, so the window must fill."""

    def __init__(self, width: int) -> None:
        self._lock = threading.Lock()
        self._full = threading.Event()
        self._width = width
        self.inside = 0
        self.high = 0

    def ask(self, item: int) -> int:
        with self._lock:
            self.inside += 1
            self.high = max(self.high, self.inside)
            if self.inside >= self._width:
                self._full.set()
        assert self._full.wait(10), "the window never filled"
        with self._lock:
            self.inside -= 1
        return item * 2


@pytest.mark.parametrize("width", [1, 2, 7, 64])
def test_the_window_fills_and_never_overflows(width: int) -> None:
    gauge = Gauge(width)
    assert sorted(windowed(range(300), gauge.ask, width)) == [item * 2 for item in range(300)]
    assert gauge.high == width


def test_a_place_is_refilled_at_once_until_the_last_item() -> None:
    """One slow question must not hold up the others: each of them is answered before it."""
    others_done = threading.Event()
    done: list[int] = []

    def ask(item: int) -> int:
        if item == 0:
            assert others_done.wait(10), "a batch was waited for"
        else:
            done.append(item)
            if len(done) == 19:
                others_done.set()
        return item

    assert list(windowed(range(20), ask, 2))[-1] == 0


def test_items_are_pulled_lazily() -> None:
    pulled = 0

    def items() -> Iterator[int]:
        nonlocal pulled
        for item in range(1_000):
            pulled += 1
            yield item

    answers = windowed(items(), lambda item: item, 8)
    assert pulled == 0
    for taken in range(1, 101):
        next(answers)
        assert pulled <= taken + 8 + 2
    answers.close()
    assert pulled < 120


@pytest.mark.parametrize("count", [0, 1, 3])
def test_fewer_items_than_places(count: int) -> None:
    assert sorted(windowed(range(count), lambda item: item, 8)) == list(range(count))


def test_an_exception_of_ask_comes_out_and_stops_the_rest() -> None:
    asked: list[int] = []

    def ask(item: int) -> int:
        asked.append(item)
        if item == 5:
            raise RuntimeError("five")
        return item

    with pytest.raises(RuntimeError, match="five"):
        list(windowed(range(10_000), ask, 4))
    assert len(asked) < 30


def test_an_exception_of_the_items_comes_out() -> None:
    def items() -> Iterator[int]:
        yield from range(10)
        raise OSError("lost")

    with pytest.raises(OSError, match="lost"):
        list(windowed(items(), lambda item: item, 2))


def test_closing_asks_nothing_new_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    released = threading.Event()
    asked: list[int] = []

    def ask(item: int) -> int:
        asked.append(item)
        if item:
            released.wait(10)
        return item

    answers = windowed(range(100), ask, 3)
    assert next(answers) == 0
    answers.close()
    started = len(asked)
    assert started <= 5
    released.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()
    assert len(asked) == started


def test_a_window_of_nothing_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="window of 0"):
        windowed([1], lambda item: item, 0)
