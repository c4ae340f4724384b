"""What a server was asked and did, and waiting until it was."""

from __future__ import annotations

import asyncio
import hashlib
import time
from array import array
from collections import Counter
from collections.abc import Callable
from typing import Any


class Counts:
    """Of one server, since the start or since `forget`.

    Attributes:
        received: questions that came to `/completion`; probes, which ask about no text, are in `probes`.
        outcomes: questions by what became of them: an HTTP status, `left` (the client went away first), `reset` (the
            server died), `dropped` (in the middle of the body).
        faults: questions by the kind of fault that they met.
        in_flight: clients that wait for an answer to a question.
        peak: the most that it was at a time.
        connections: opened.
        open_connections: now.
        zombies: questions worked on after their client left, in all.
        arrivals, sizes: when each question came, in seconds of a clock that all servers share, and the tokens of its
            prompt.
        asked, answered: how often each text was asked, and answered with 200.
        ports: the client's port that asked each text last.
    """

    def __init__(self, keep_texts: bool, changed: Callable[[], None]) -> None:
        self._keep_texts = keep_texts
        self._changed = changed
        self.in_flight = 0
        self.open_connections = 0
        self.forget()

    def forget(self) -> None:
        """Count from zero; what is now is kept."""
        self.received = self.probes = self.connections = self.zombies = 0
        self.outcomes: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.ports: dict[str, int] = {}
        self.arrivals = array("d")
        self.sizes = array("l")
        self.peak = self.in_flight

    def key(self, text: str) -> str:
        """What a text is counted by."""
        return text if self._keep_texts else hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def receive(self, text: str, prompt_tokens: int, port: int) -> int:
        """A question came; tells how often its text did so far."""
        self.arrivals.append(time.monotonic())
        self.sizes.append(prompt_tokens)
        key = self.key(text)
        self.received += 1
        self.asked[key] += 1
        self.ports[key] = port
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        self._changed()
        return self.asked[key]

    def end(self, text: str, outcome: str) -> None:
        """Its client waits no longer."""
        self.in_flight -= 1
        self.outcomes[outcome] += 1
        if outcome == "200":
            self.answered[self.key(text)] += 1
        self._changed()

    def note(self, counter: str, by: int = 1) -> None:
        """Add to a plain counter."""
        setattr(self, counter, getattr(self, counter) + by)
        self._changed()

    def to_json(self, texts: bool) -> dict[str, Any]:
        numbers = ("received", "probes", "in_flight", "peak", "connections", "open_connections", "zombies")
        kinds = ("outcomes", "faults", *(("asked", "answered") if texts else ()))
        return {name: getattr(self, name) for name in numbers} | {name: dict(getattr(self, name)) for name in kinds}


class Watch:
    """Wakes those who wait for a condition whenever something was counted."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._due = False

    def changed(self) -> None:
        """Something was counted. Looked at once, however much is counted at a time."""
        if self._waiting and not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._look)

    async def until(self, holds: Callable[[], bool], timeout_s: float) -> bool:
        """Wait for a condition; tells whether it came."""
        if holds():
            return True
        entry = (holds, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        try:
            await asyncio.wait_for(entry[1], timeout_s)
        except TimeoutError:
            return holds()
        finally:
            self._waiting.remove(entry)
        return True

    def _look(self) -> None:
        self._due = False
        for holds, future in self._waiting:
            if not future.done() and holds():
                future.set_result(None)
