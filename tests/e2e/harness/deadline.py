"""How long a test waits for what must come."""

from __future__ import annotations

import time
from collections.abc import Callable

DEADLINE_S = 600.0
"""Generous: only a test that fails waits so long, and on a busy machine Spark alone takes minutes."""


def wait_until(seen: Callable[[], bool], what: str, *, alive: Callable[[], bool] = lambda: True) -> None:
    """Wait for what no condition variable tells: a file, a process.

    Args:
        alive: that which must bring it about still runs.
    """
    end = time.monotonic() + DEADLINE_S
    while not seen():
        assert alive() or seen(), f"it ended before {what}"
        assert time.monotonic() < end, f"waited {DEADLINE_S:g} s for {what}"
        time.sleep(0.005)
