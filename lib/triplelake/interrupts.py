"""Signals that end a command: the first is a KeyboardInterrupt where the main thread stands, once that can be borne."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from triplelake.errors import Interrupted

STOPPED = Interrupted("run", "stopped by a signal", "The same command goes on.")
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class _State:
    told = False
    holding = False


def listen() -> None:
    """Take the signals for this command."""
    _State.told = _State.holding = False
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            signal.signal(number, _interrupt)


def told_to_stop() -> bool:
    """Whether a signal came since `listen`: whatever is raised after it is its doing."""
    return _State.told


@contextmanager
def held() -> Iterator[None]:
    """A block that is left whole: a first signal acts at its end, a second one at once.

    Spark's JVM, left while it starts, would stay behind and complain. And PySpark takes Ctrl-C for itself: it is taken
    back here, since its way asks a JVM that the same signal may have ended.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before, _State.holding = signal.getsignal(signal.SIGINT), True
    seen = _State.told
    try:
        yield
    finally:
        _State.holding = False
        signal.signal(signal.SIGINT, before)
    if _State.told and not seen:
        raise KeyboardInterrupt


def _interrupt(signum: int, frame: FrameType | None) -> None:
    again, _State.told = _State.told, True
    if again or not _State.holding:
        raise KeyboardInterrupt
