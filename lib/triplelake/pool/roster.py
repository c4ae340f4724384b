"""The servers of a run as they are now: they come and go, and its pool file may change while it runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from triplelake.errors import PoolError, TriplelakeError, UsageError
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.survey import Away, Survey, survey

_TIMEOUT_S = 30.0
_PARALLEL = 16
_FIRST_PAUSE_S = 5.0
_LONGEST_PAUSE_S = 60.0
_LAST_LOOKS = 3
_LAST_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class _Absence:
    """A server that is named and not used: when it is looked at again, and how long the pause after that is."""

    due: float = 0.0
    pause_s: float = _FIRST_PAUSE_S


class Roster:
    """Knows which servers a run uses. Safe to call from several threads.

    A server that does not answer is set aside, and joins when it does: then it is looked at as the first ones were, and
    must be like them. So is one that is new in the pool file; one that is there no more is drained: what it has in hand
    is answered, and it gets nothing new.

    Args:
        first: what the pool was at the start.
        read: the endpoints that are named now; None where they cannot change.
        say: told in a line what changed, and once what cannot be used and why.
        changed: told the servers in use when they have changed.
        clock: seconds that only grow.
        sleep: takes the pauses before the last server is given up.
    """

    def __init__(
        self,
        first: Survey,
        read: Callable[[], Sequence[Endpoint]] | None,
        say: Callable[[str], None],
        changed: Callable[[Sequence[Endpoint]], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._first = first
        self._read = read
        self._say = say
        self._changed = changed
        self._clock = clock
        self._sleep = sleep
        self._endpoints = tuple(first.endpoints)
        self._absent = {each.endpoint.url: _Absence() for each in first.away}
        self._named = {each.url: each for each in (*first.endpoints, *(each.endpoint for each in first.away))}
        # Planning may have taken long; what is wrong with the file by now is said at the first look.
        with suppress(UsageError):
            self._named = {endpoint.url: endpoint for endpoint in read()} if read else self._named
        self._said: set[str] = set()
        self._looking = threading.Lock()

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The servers in use, with their slots known; never none."""
        return self._endpoints

    def look(self) -> tuple[Endpoint, ...]:
        """Look at the file, and at the servers that are named and not used; the servers in use from now on."""
        with self._looking:
            try:
                named = {endpoint.url: endpoint for endpoint in self._read()} if self._read else self._named
            except UsageError as error:
                self._say_once(f"the changed pool file is not used: {error.subject}: {error.reason}")
                return self._endpoints
            used = {endpoint.url: endpoint for endpoint in self._endpoints}
            same = {url for url in named if self._named.get(url) == named[url]}
            stay = {url: used[url] for url in named if url in used and url in same}
            now = self._clock()
            due = [
                entry
                for url, entry in named.items()
                if url not in stay and (url not in same or self._absent.get(url, _Absence()).due <= now)
            ]
            joined = self._admit(due)
            found = {url: each for url in named if (each := stay.get(url) or joined.get(url))}
            if not found:
                self._say_once("no server of the changed pool file can be used: the old ones go on")
                return self._endpoints
            self._named = named
            self._absent = {url: absence for url, absence in self._absent.items() if url in named and url not in found}
            self._use(found.values())
            return self._endpoints

    def set_aside(self, away: Sequence[Away]) -> None:
        """Use some servers no longer until they answer; at least one is left."""
        with self._looking:
            self._set_aside({each.endpoint.url: each.error for each in away})

    def recheck(self) -> None:
        """Look at the servers in use, since work came back without an answer, and set aside those that do not work.

        Raises:
            PoolError: no server that is named can be used.
        """
        with self._looking:
            failed: dict[str, TriplelakeError] = {}
            with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="recheck") as executor:
                for entry, outcome in zip(self._endpoints, executor.map(self._try, self._endpoints), strict=True):
                    if isinstance(outcome, TriplelakeError):
                        failed[entry.url] = outcome
            if len(failed) < len(self._endpoints):
                self._set_aside(failed)
                return
            self._use(self._last_look())

    def _last_look(self) -> Sequence[Endpoint]:
        """Whoever of all that are named is there, where none that is used is; loading ones are waited for."""
        named = [*self._named.values()]
        for left in reversed(range(_LAST_LOOKS)):
            try:
                there = survey(named, wanted_grammar=self._first.engine, timeout_s=_TIMEOUT_S).endpoints
                outcomes = [self._try(self._named[each.url]) for each in there]
                if good := [each for each in outcomes if isinstance(each, Endpoint)]:
                    return good
                raise next(each for each in outcomes if isinstance(each, TriplelakeError))
            except PoolError:
                if not left:
                    raise
            self._sleep(_LAST_PAUSE_S)
        raise AssertionError("the last look returns or raises")

    def _set_aside(self, failed: dict[str, TriplelakeError]) -> None:
        for url, error in failed.items():
            self._absent[url] = _Absence()
            self._say(f"{error.subject} {error.reason}: it gets nothing new until it can be used")
        if failed:
            self._use([each for each in self._endpoints if each.url not in failed], silent=True)

    def _use(self, endpoints: Iterable[Endpoint], *, silent: bool = False) -> None:
        before, now = {each.url: each for each in self._endpoints}, {each.url: each for each in endpoints}
        if now == before:
            return
        for url in now.keys() - before.keys():
            self._say(f"{url} joins with {now[url].slots} slots")
        for url in before.keys() - now.keys():
            if not silent:
                self._say(f"{url} gets nothing new")
        self._said.clear()
        self._endpoints = tuple(now.values())
        self._changed(self._endpoints)

    def _admit(self, entries: Sequence[Endpoint]) -> dict[str, Endpoint]:
        """Those that can be used now, with their slots known."""
        if not entries:
            return {}
        joined = {}
        with ThreadPoolExecutor(min(_PARALLEL, len(entries)), thread_name_prefix="admit") as executor:
            for entry, outcome in zip(entries, executor.map(self._try, entries), strict=True):
                if isinstance(outcome, Endpoint):
                    joined[entry.url] = outcome
                    continue
                self._say_once(f"{outcome.subject} {outcome.reason}: it is not used")
                before = self._absent.get(entry.url)
                pause_s = before.pause_s if before else 0.0
                longer_s = min(max(2 * pause_s, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
                self._absent[entry.url] = _Absence(self._clock() + pause_s, longer_s)
        return joined

    def _try(self, endpoint: Endpoint) -> Endpoint | TriplelakeError:
        """The server with its slots known; the error if it cannot be used, at least for now."""
        try:
            found = survey([endpoint], wanted_grammar=self._first.engine, timeout_s=_TIMEOUT_S, loading_wait_s=0.0)
            return self._like_the_first(found)
        except TriplelakeError as error:
            return error

    def _like_the_first(self, found: Survey) -> Endpoint:
        first, endpoint = self._first, found.endpoints[0]
        if found.fingerprint != first.fingerprint:
            reason = f"serves another model: {found.fingerprint}, not {first.fingerprint}"
            raise PoolError(endpoint.url, reason, "All servers of a run must serve the same model.")
        if found.n_ctx < first.n_ctx:
            reason = f"has {found.n_ctx} tokens per slot, the others have {first.n_ctx}"
            raise PoolError(endpoint.url, reason, "Start it with at least as many as the others.")
        for note in found.notes:
            self._say_once(note)
        return endpoint

    def _say_once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._say(line)
