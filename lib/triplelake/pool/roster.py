"""The servers of a run as they are now: its pool file may change while it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from triplelake.errors import PoolError, TriplelakeError, UsageError
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.survey import Survey, survey

_TIMEOUT_S = 30.0


class Roster:
    """Keeps up with a pool file. A server that is new there is looked at as the first ones were, and joins if it is
    like them; one that is there no more is drained: what it has in hand is answered, and it gets nothing new.

    Args:
        first: what the pool was at the start.
        read: the endpoints that the file names now; None where no file names them.
        say: told in a line what changed, and once what cannot be used and why.
    """

    def __init__(
        self, first: Survey, read: Callable[[], Sequence[Endpoint]] | None, say: Callable[[str], None]
    ) -> None:
        self._first = first
        self._read = read
        self._say = say
        self._endpoints = tuple(first.endpoints)
        self._named: dict[str, Endpoint] = {}
        # Planning may have taken long; what is wrong with the file by now is said at the first look.
        with suppress(UsageError):
            self._named = {endpoint.url: endpoint for endpoint in read()} if read else {}
        self._said: set[str] = set()

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The servers in use, with their slots known; never none."""
        return self._endpoints

    def look(self) -> tuple[Endpoint, ...]:
        """Look at the file and at the servers that are new in it; the servers in use from now on."""
        if self._read is None:
            return self._endpoints
        try:
            named = {endpoint.url: endpoint for endpoint in self._read()}
        except UsageError as error:
            self._say_once(f"the changed pool file is not used: {error.subject}: {error.reason}")
            return self._endpoints
        used = {endpoint.url: endpoint for endpoint in self._endpoints}
        now: dict[str, Endpoint] = {}
        for url, entry in named.items():
            found = used[url] if url in used and self._named.get(url) == entry else self._admit(entry)
            if found:
                now[url] = found
        if not now:
            self._say_once("no server of the changed pool file can be used: the old ones go on")
            return self._endpoints
        if now != used:
            for url in now.keys() - used.keys():
                self._say(f"{url} joins with {now[url].slots} slots")
            for url in used.keys() - now.keys():
                self._say(f"{url} gets nothing new")
            self._said.clear()
        self._named = {url: named[url] for url in now}
        self._endpoints = tuple(now.values())
        return self._endpoints

    def _admit(self, endpoint: Endpoint) -> Endpoint | None:
        """The server with its slots known; None if it cannot be used, at least for now."""
        first = self._first
        try:
            found = survey([endpoint], wanted_grammar=first.engine, timeout_s=_TIMEOUT_S, loading_wait_s=0.0)
            if found.fingerprint != first.fingerprint:
                reason = f"serves another model: {found.fingerprint}, not {first.fingerprint}"
                raise PoolError(endpoint.url, reason, "All servers of a run must serve the same model.")
            if found.n_ctx < first.n_ctx:
                reason = f"has {found.n_ctx} tokens per slot, the others have {first.n_ctx}"
                raise PoolError(endpoint.url, reason, "Start it with at least as many as the others.")
        except TriplelakeError as error:
            self._say_once(f"{error.subject} {error.reason}: it is not used")
            return None
        return found.endpoints[0]

    def _say_once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._say(line)
