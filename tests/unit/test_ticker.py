"""What is done again and again beside the work: it outlives its errors, and nothing of it is left behind the block."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from triplelake.ticker import Ticker


def test_an_error_does_not_end_the_ticking_and_the_end_of_the_block_does() -> None:
    ticks: list[str] = []
    often = threading.Event()

    def action() -> None:
        ticks.append(threading.current_thread().name)
        if len(ticks) == 3:
            often.set()
        raise RuntimeError("once and again")

    with Ticker(action, 0.001, "a name"):
        assert often.wait(20)
    assert set(ticks) == {"a name"}
    assert not [thread for thread in threading.enumerate() if thread.name == "a name"]


def test_the_rest_is_asked_for_before_each_time() -> None:
    rests: Iterator[float] = iter((0.0, 0.0, 3600.0))
    asked = threading.Event()
    ticks: list[None] = []

    def pause_s() -> float:
        rest = next(rests)
        if rest:
            asked.set()
        return rest

    with Ticker(lambda: ticks.append(None), pause_s, "ticker"):
        assert asked.wait(20)
    assert len(ticks) == 2


def test_nothing_is_done_where_the_end_comes_before_the_first_rest_is_over() -> None:
    ticks: list[None] = []
    with Ticker(lambda: ticks.append(None), 3600, "ticker"):
        pass
    assert not ticks
