"""Something done again and again beside the work."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType

log = logging.getLogger(__name__)


class Repeated:
    """Does something every so many seconds, on a thread of its own, while the block lasts.

    What it raises is logged and does not end it: the thread of a run that lasts for days may meet anything once.
    """

    def __init__(self, action: Callable[[], object], every_s: float, name: str) -> None:
        self._action = action
        self._every_s = every_s
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)

    def __enter__(self) -> Repeated:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join()

    def _loop(self) -> None:
        while not self._ending.wait(self._every_s):
            try:
                self._action()
            except Exception:
                log.exception(self._thread.name)
