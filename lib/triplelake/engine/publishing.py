"""Publishing beside the asking, so that no lane waits for it."""

from __future__ import annotations

import threading
import time
from types import TracebackType

from triplelake.tables.publish import Publisher

_SHARE_OF_TIME = 0.1
_FIRST_AFTER_S = 10.0
_REST_S = 60.0


class BackgroundPublisher:
    """Publishes after commits in a thread of its own, and when the block ends what came since.

    A publication reads all answers of the plan, so the next one waits for a minute, and until publishing has taken no
    more than a tenth of the time; and a run that is over within seconds publishes once.

    Args:
        publisher: of the run's plan.
        first_after_s: seconds from the start to the first publication.
    """

    def __init__(self, publisher: Publisher, first_after_s: float = _FIRST_AFTER_S) -> None:
        self._publisher = publisher
        self._first_after_s = first_after_s
        self._changed = threading.Condition()
        self._pending = False
        # What a run that was killed has committed may be unpublished still.
        self._stale = True
        self._closing = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._loop, name="publish", daemon=True)
        self.documents = 0
        self.triples = 0

    def __enter__(self) -> BackgroundPublisher:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        if kind is not None and not issubclass(kind, Exception):
            # A person wants to stop: what is left is published by the run that goes on.
            return
        if self._stale or self._error is not None:
            self._publish()
        if error is None and self._error is not None:
            raise self._error

    def wake(self) -> None:
        """Say that something was committed; returns at once."""
        with self._changed:
            self._pending = self._stale = True
            self._changed.notify_all()

    def _loop(self) -> None:
        try:
            self._rest(self._first_after_s)
            while self._due():
                began = time.monotonic()
                self._publish()
                self._rest(max(_REST_S, (time.monotonic() - began) / _SHARE_OF_TIME))
        except Exception as error:
            self._error = error

    def _due(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._closing)
            self._pending = False
            return not self._closing

    def _rest(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closing, timeout=seconds)

    def _publish(self) -> None:
        with self._changed:
            self._stale = False
        result = self._publisher.publish()
        self.documents += result.documents
        self.triples += result.triples
