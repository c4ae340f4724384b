"""Something done again and again beside the work."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType

log = logging.getLogger(__name__)


class Ticker:
    """Does something again and again on a thread of its own, while the block lasts, or from `start` to `stop`.

    What the action raises is logged and does not end the thread: that of a run that lasts for days may meet anything
    once.

    Args:
        action: what is done.
        pause_s: seconds of rest before each time, the first included; or what says them anew before each.
        name: of the thread.
    """

    def __init__(self, action: Callable[[], object], pause_s: float | Callable[[], float], name: str) -> None:
        self._action = action
        self._pause_s = pause_s
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)

    def __enter__(self) -> Ticker:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Begin with the first rest; a ticker is started once."""
        self._thread.start()

    def stop(self) -> None:
        """Wait for the action, if it is being done, and do it no more."""
        self._ending.set()
        self._thread.join()

    def _loop(self) -> None:
        while not self._ending.wait(self._pause_s() if callable(self._pause_s) else self._pause_s):
            try:
                self._action()
            except Exception:
                log.exception(self._thread.name)
