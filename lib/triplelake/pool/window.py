"""A sliding window: a fixed number of questions in flight until the last item."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def windowed(items: Iterable[T], ask: Callable[[T], R], width: int) -> Generator[R, None, None]:
    """Ask about every item on `width` threads and yield the answers as they come, in no order.

    Items are pulled by the consumer's thread and at most `width` plus a quarter ahead of the answers:
    the quarter keeps the threads busy while the consumer is. An exception of `ask` or of `items` ends
    it. Then, or when the consumer closes it, nothing new is asked; what is in flight ends by itself,
    since a request that was sent cannot be taken back.

    Raises:
        ValueError: `width` is less than 1.
        Exception: what `ask` or `items` raised.
    """
    if width < 1:
        raise ValueError(f"a window of {width} can ask nothing")
    return _slide(iter(items), ask, width)


def _slide(items: Iterator[T], ask: Callable[[T], R], width: int) -> Generator[R, None, None]:
    done: SimpleQueue[Future[R]] = SimpleQueue()
    executor = ThreadPoolExecutor(max_workers=width, thread_name_prefix="ask")

    def submit_next() -> int:
        for item in items:
            executor.submit(ask, item).add_done_callback(done.put)
            return 1
        return 0

    try:
        pending = 0
        while pending < width + max(1, width // 4) and submit_next():
            pending += 1
        while pending:
            future = done.get()
            pending += submit_next() - 1
            yield future.result()
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
