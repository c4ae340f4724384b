"""One fake llama-server: its port, its connections, its state and its script."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from fake.counts import Counts, Watch
from fake.engine import Engine
from fake.faults import Fault, Rule, Script
from fake.lines import Line, bound
from fake.routes import respond
from fake.settings import ServerSettings

_CLOSED = ("refuse", "die")


class FakeServer:
    """A server on a free port of 127.0.0.1.

    Attributes:
        state: `up`, or the fault of the whole server that it has: `refuse`, `die`, `hang` or `loading`. While it has
            one, no other begins.
        tasks: number of the last request that was taken on.
        runs: whether it answers anything but `/health`.
    """

    def __init__(self, settings: ServerSettings, watch: Watch) -> None:
        self.settings = settings
        self.alias = settings.alias
        self.zombies = settings.zombies
        self.state = "up"
        self.tasks = 0
        self.counts = Counts(settings.keep_texts, watch.changed)
        self.script = Script()
        self.engine = Engine(settings.slots, settings.speed, watch.changed)
        self.runs = asyncio.Event()
        self.runs.set()
        self._watch = watch
        self._fault: Fault | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._lines: set[Line] = set()
        self._http = web.Server(self._handle)
        # Bound and never listening, it keeps the port while the server refuses connections or is dead.
        self._place = bound(0)
        self._port = int(self._place.getsockname()[1])
        self._listener: asyncio.Server | None = None
        self._opening: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: Line(self, self._http), sock=bound(self._port), backlog=1024)

    def obey(self, rules: Sequence[Rule]) -> None:
        """Follow a script instead of the one before."""
        self.release(None)
        self.script = Script(rules)
        loop = asyncio.get_running_loop()
        for each in rules:
            if each.of_server:
                # What is to be there from now on must be there before the one who gave the script connects.
                if each.after_s:
                    self._timers.append(loop.call_later(each.after_s, self.begin, each.fault))
                else:
                    self.begin(each.fault)
                if each.until_s is not None:
                    self._timers.append(loop.call_later(each.until_s, self._recover, each.fault))

    def release(self, name: str | None) -> None:
        """End the rules of a name, or all, and the state that one of them has brought about."""
        if name is None:
            for timer in self._timers:
                timer.cancel()
            self._timers.clear()
        for each in self.script.release(name):
            self._recover(each.fault)

    def to_json(self, texts: bool) -> dict[str, Any]:
        now = {"state": self.state, "processing": self.engine.processing, "deferred": self.engine.deferred}
        return {"url": self.url, "alias": self.alias, **now, **self.counts.to_json(texts)}

    def joined(self, line: Line) -> None:
        self._lines.add(line)
        self.counts.note("connections")
        self.counts.note("open_connections")

    def left(self, line: Line) -> None:
        self._lines.discard(line)
        self.counts.note("open_connections", -1)
        line.end(self.counts, "left")
        unfinished = [job for job in line.jobs if not job.done.done()]
        heard = [job for job in unfinished if self.zombies and not job.streamed]
        if heard:
            self.counts.note("zombies")
        for job in unfinished:
            if job not in heard:
                self.engine.leave(job)

    def begin(self, fault: Fault) -> None:
        """Have a fault of the whole server."""
        if self._opening and not self._opening.done():
            self._opening.add_done_callback(lambda _: self.begin(fault))
            return
        if self.state != "up":
            return
        self.state, self._fault = fault.kind, fault
        if fault.kind in _CLOSED:
            self._close()
        if fault.kind == "die":
            self._lose_all()
        elif fault.kind == "hang":
            self.runs.clear()
            self.engine.freeze()
        if fault.for_s is not None:
            self._timers.append(asyncio.get_running_loop().call_later(fault.for_s, self._recover, fault))
        self._watch.changed()

    def _recover(self, fault: Fault) -> None:
        if self._fault != fault:
            return
        self._fault = None
        if fault.kind in _CLOSED:
            self._opening = asyncio.get_running_loop().create_task(self._reopen(fault))
            return
        self.state = "up"
        if fault.kind == "hang":
            self.engine.thaw()
            self.runs.set()
        self._watch.changed()

    async def _reopen(self, fault: Fault) -> None:
        self.alias = fault.model or self.alias
        await self.listen()
        self.state = "up"
        self._watch.changed()

    def _lose_all(self) -> None:
        for line in [*self._lines]:
            line.end(self.counts, "reset")
            line.reset()
        self.engine.stop()
        self.engine = Engine(self.settings.slots, self.settings.speed, self._watch.changed)

    def _close(self) -> None:
        if self._listener:
            self._listener.close()
            self._listener = None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        line = request.protocol
        assert isinstance(line, Line)
        return await respond(self, request, line)
