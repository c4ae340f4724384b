"""The router with scripted clients: where a question goes, how often, and what comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice

import pytest

from triplelake.codes import Code
from triplelake.config import AskingSettings
from triplelake.pool.backend import STRIKES
from triplelake.pool.client import LlamaServer
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.failures import ServerFailure
from triplelake.pool.protocol import Prompt
from triplelake.pool.router import Answer, Router
from triplelake.pool.shares import EndpointShare, Share
from triplelake.types import Completion, FailedTry

A, B, C = "http://a", "http://b", "http://c"
Script = Callable[[str], None]


class Pool:
    """Scripted clients: `script(url)` may raise; every visit and every pause is written down."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._lock = threading.Lock()
        self.visits: list[str] = []
        self.pauses: list[float] = []
        self.timeouts: list[float] = []
        self.inside: dict[str, int] = {}
        self.high: dict[str, int] = {}
        self.models: dict[str, str] = {}

    def router(self, windows: dict[str, int], share: Share | None = None, **asking: float) -> Router:
        parts = tuple(EndpointShare(Endpoint(url), window) for url, window in windows.items())
        return Router(share or Share(parts), AskingSettings(**asking), self.client, self.pauses.append)

    def client(self, endpoint: Endpoint, timeout_s: float) -> Client:
        return Client(self, endpoint.url)

    def visit(self, url: str, timeout_s: float | None) -> Completion:
        with self._lock:
            self.visits.append(url)
            self.timeouts.append(timeout_s or 0)
            self.inside[url] = self.inside.get(url, 0) + 1
            self.high[url] = max(self.high.get(url, 0), self.inside[url])
        try:
            self._script(url)
        finally:
            with self._lock:
                self.inside[url] -= 1
        return Completion("[]", False, 1, 0, 1, 1.0, self.models.get(url, "m"), url)


class Client:
    def __init__(self, pool: Pool, url: str) -> None:
        self._pool = pool
        self._url = url

    def complete(
        self,
        prompt: Prompt,
        *,
        grammar: str | None,
        max_tokens: int,
        stop: Sequence[str] = (),
        watch: object = None,
        probabilities: bool = False,
        timeout_s: float | None = None,
    ) -> Completion:
        return self._pool.visit(self._url, timeout_s)

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        self._pool.visit(self._url, None)
        return [ord(char) for char in text]

    def close(self) -> None: ...


def failing(*urls: str, code: Code = Code.HTTP_503, retry_after_s: float | None = None) -> Script:
    def script(url: str) -> None:
        if url in urls:
            raise ServerFailure(code, "scripted", endpoint=url, retry_after_s=retry_after_s)

    return script


def ask(router: Router, avoid: str | None = None) -> Answer:
    return router.ask("p", grammar=None, max_tokens=1, est_tokens=10, avoid=avoid)


def test_an_answer_says_who_gave_it_and_after_how_many_tries() -> None:
    pool = Pool(failing(A, B))
    answer = ask(pool.router({A: 1, B: 1, C: 1}))
    assert answer.completion.endpoint == C
    assert len(answer.failed_tries) + 1 == len(pool.visits) <= 3


@pytest.mark.parametrize("code", [code for code in Code if code.entry.retried])
def test_a_retry_goes_elsewhere_first(code: Code) -> None:
    for _ in range(20):
        pool = Pool(failing(A, B, C, code=code))
        with pytest.raises(ServerFailure) as caught:
            ask(pool.router({A: 1, B: 1, C: 1}, tries=4))
        assert sorted(pool.visits[:3]) == [A, B, C]
        assert len(caught.value.failed_tries) == len(pool.visits) == 4
        assert len(pool.pauses) == 3


@pytest.mark.parametrize("code", [Code.BAD_REQUEST, Code.CONTEXT_OVERFLOW, Code.UNAUTHORIZED])
def test_what_no_retry_can_help_is_not_retried(code: Code) -> None:
    pool = Pool(failing(A, B, code=code))
    with pytest.raises(ServerFailure) as caught:
        ask(pool.router({A: 1, B: 1}))
    assert (caught.value.code, len(caught.value.failed_tries), len(pool.visits), pool.pauses) == (code, 1, 1, [])


def test_a_server_that_came_back_with_another_model_is_left_alone() -> None:
    pool = Pool(failing())
    pool.models[A] = "other@1"
    router = Router(
        Share((EndpointShare(Endpoint(A), 1), EndpointShare(Endpoint(B), 1))),
        AskingSettings(tries=20),
        pool.client,
        pool.pauses.append,
        model="m",
    )
    answers = [ask(router) for _ in range(30)]
    assert {answer.completion.endpoint for answer in answers} == {B}
    assert {each for answer in answers for each in answer.failed_tries} == {FailedTry(A, Code.OTHER_MODEL)}
    # Its breaker is open, and its first trial comes a while later.
    assert pool.visits.count(A) == STRIKES
    assert router.failing == (A,)


def test_pauses_have_jitter_and_grow() -> None:
    urls = [f"http://{name}" for name in "abcdef"]
    pool = Pool(failing(*urls))
    for _ in range(40):
        with pytest.raises(ServerFailure):
            ask(pool.router(dict.fromkeys(urls, 1), tries=6))
    first, last = pool.pauses[::5], pool.pauses[4::5]
    assert len(set(pool.pauses)) > 150
    assert max(first) <= 0.25
    assert max(last) > 0.5


def test_the_pause_is_taken_outside_the_window() -> None:
    pool = Pool(failing())
    router = pool.router({A: 1}, tries=2)
    in_pause: list[Answer] = []
    pool._script = failing(A)

    def sleep(_: float) -> None:
        pool._script = failing()
        in_pause.append(ask(router))  # would wait for ever if the window's only place were held

    router._sleep = sleep
    assert len(ask(router).failed_tries) == 1
    assert not in_pause[0].failed_tries


def test_retry_after_keeps_everybody_away_until_it_is_over() -> None:
    pool = Pool(failing(A, code=Code.HTTP_429, retry_after_s=0.2))
    router = pool.router({A: 1}, tries=2)
    started = time.monotonic()
    with pytest.raises(ServerFailure):
        ask(router)
    assert time.monotonic() - started >= 0.2

    pool = Pool(failing(A, code=Code.HTTP_429, retry_after_s=60))
    router = pool.router({A: 5, B: 1})
    assert {ask(router).completion.endpoint for _ in range(20)} == {B}
    assert pool.visits.count(A) <= 1


def test_a_rest_longer_than_the_deadline_ends_with_its_failure() -> None:
    pool = Pool(failing(A, code=Code.HTTP_429, retry_after_s=60))
    with pytest.raises(ServerFailure) as caught:
        ask(pool.router({A: 1}, deadline_s=0.3))
    assert (caught.value.code, len(caught.value.failed_tries)) == ("http_429", 1)


def test_the_deadline_bounds_a_try_and_ends_the_retries() -> None:
    pool = Pool(failing(A))
    with pytest.raises(ServerFailure) as caught:
        ask(pool.router({A: 1}, tries=10_000, deadline_s=0.05))
    assert len(caught.value.failed_tries) < 10_000
    assert max(pool.timeouts) <= 0.05


def test_an_avoided_endpoint_is_asked_only_if_there_is_no_other() -> None:
    pool = Pool(failing())
    router = pool.router({A: 8, B: 1})
    assert {ask(router, avoid=A).completion.endpoint for _ in range(20)} == {B}
    assert ask(pool.router({A: 1}), avoid=A).completion.endpoint == A


def test_windows_are_filled_and_never_passed() -> None:
    """18 questions fit; none comes back before all 18 are out, and 60 more wait their turn."""
    full = threading.Barrier(18)
    first = threading.Semaphore(18)

    def script(_: str) -> None:
        if first.acquire(blocking=False):
            full.wait(10)

    windows = {A: 3, B: 5, C: 10}
    pool = Pool(script)
    router = pool.router(windows)
    with ThreadPoolExecutor(40) as executor:
        answers = [executor.submit(ask, router) for _ in range(78)]
        assert all(not answer.result().failed_tries for answer in answers)
    assert pool.high == windows
    assert router.width > 18


def test_no_place_before_the_deadline_is_a_timeout_without_a_try() -> None:
    release = threading.Event()
    arrived = threading.Event()

    def script(_: str) -> None:
        arrived.set()
        release.wait(10)

    pool = Pool(script)
    router = pool.router({A: 1}, deadline_s=0.2)
    with ThreadPoolExecutor(1) as executor:
        holder = executor.submit(ask, router)
        assert arrived.wait(10)
        with pytest.raises(ServerFailure) as caught:
            ask(router)
        release.set()
        holder.result()
    assert (caught.value.code, len(caught.value.failed_tries)) == ("timeout", 0)


def test_rate_limits_hold_for_every_try() -> None:
    pool = Pool(failing(A))
    share = Share((EndpointShare(Endpoint(A), 4),), requests_per_s=20)
    started = time.monotonic()
    with pytest.raises(ServerFailure):
        ask(pool.router({}, share, tries=4))
    # A tenth of a second's worth, two requests, is free at the start.
    assert time.monotonic() - started >= 2 / 20 - 0.005


def test_a_limit_that_gives_no_turn_is_a_timeout() -> None:
    pool = Pool(failing())
    share = Share((EndpointShare(Endpoint(A), 4),), tokens_per_s=1)
    with pytest.raises(ServerFailure) as caught:
        ask(pool.router({}, share, deadline_s=0.05))
    assert (caught.value.code, pool.visits) == ("timeout", [])


def test_a_server_that_fails_is_left_alone_and_tried_again_with_one_question() -> None:
    """B fails for 40 questions at once; it meets a few of them, then one trial, then as many as ever."""
    sick = True
    trial = threading.Event()
    go_on = threading.Event()

    def script(url: str) -> None:
        if url == B and sick:
            raise ServerFailure(Code.HTTP_500, "scripted", endpoint=url)
        if url == B and not go_on.is_set():
            trial.set()
            go_on.wait(20)

    pool = Pool(script)
    router = pool.router({A: 4, B: 4}, tries=3)
    with ThreadPoolExecutor(8) as executor:
        answers = [executor.submit(ask, router) for _ in range(40)]
        assert {answer.result().completion.endpoint for answer in answers} == {A}
        assert STRIKES <= pool.visits.count(B) < 20
        assert router.failing == (B,)
        sick = False
        answers = []
        while not trial.is_set():
            answers.append(executor.submit(ask, router))
            trial.wait(0.02)
        answers += [executor.submit(ask, router) for _ in range(20)]
        # All but the trial itself go elsewhere meanwhile.
        elsewhere = islice(as_completed(answers, timeout=20), len(answers) - 1)
        assert {answer.result().completion.endpoint for answer in elsewhere} == {A}
        assert pool.inside[B] == 1
        go_on.set()
        assert all(answer.result().completion for answer in answers)
        assert not router.failing
        before = pool.visits.count(B)
        for answer in [executor.submit(ask, router) for _ in range(40)]:
            answer.result()
        assert pool.visits.count(B) - before > 5


def test_a_task_whose_servers_all_fail_gives_up_after_its_patience() -> None:
    pool = Pool(failing(A, B, code=Code.CONNECTION))
    router = pool.router({A: 2, B: 2}, tries=100, patience_s=0.3)
    started = time.monotonic()
    with ThreadPoolExecutor(8) as executor:
        failures = [executor.submit(ask, router).exception() for _ in range(8)]
    assert {failure.code for failure in failures if isinstance(failure, ServerFailure)} == {"connection"}
    assert all(isinstance(failure, ServerFailure) for failure in failures)
    assert 0.3 <= time.monotonic() - started < 20
    assert len(pool.visits) < 20


def test_any_endpoint_tokenizes() -> None:
    pool = Pool(failing(A, B))
    assert pool.router({A: 1, B: 2, C: 3}).tokenize("ab") == [97, 98]
    assert pool.visits == [A, B, C]
    with pytest.raises(ServerFailure):
        pool.router({A: 1, B: 1}).tokenize("ab")
    refusing = Pool(failing(A, code=Code.UNAUTHORIZED))
    with pytest.raises(ServerFailure):
        refusing.router({A: 1, B: 1}).tokenize("ab")
    assert refusing.visits == [A]


def test_the_real_client_fits_the_seam() -> None:
    Router(Share((EndpointShare(Endpoint(A), 1),)), AskingSettings(), LlamaServer).close()


def test_a_refused_key_stops_all_that_wait_for_a_place() -> None:
    both = threading.Barrier(2, timeout=20)

    def refuse(url: str) -> None:
        both.wait()
        raise ServerFailure(Code.UNAUTHORIZED, "Invalid API Key")

    pool = Pool(refuse)
    router = pool.router({A: 2})
    with ThreadPoolExecutor(12) as executor:
        errors = [future.exception() for future in [executor.submit(ask, router) for _ in range(12)]]
    assert len(pool.visits) == 2
    assert sorted(type(error).__name__ for error in errors) == ["ServerFailure"] * 2 + ["Stopped"] * 10
