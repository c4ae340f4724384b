"""What the servers of a pool say of themselves, and what the desk makes of it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path

# Test modules have unique names instead of packages, so what they share is found by its folder.
sys.path.insert(0, str(Path(__file__).parents[2]))

from fake.faults import rule
from fake.pool import FakePool

from triplelake.pool.client import LlamaServer
from triplelake.pool.desk import Desk
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.reports import TaskId, TaskReport
from triplelake.pool.sampler import Load, Sample, Sampler, look_at

URLS = ("http://a", "http://b", "http://c")
POOL = tuple(Endpoint(url, slots=8) for url in URLS)


def test_a_round_asks_every_server_once_and_adds_them_up() -> None:
    said = {URLS[0]: Sample("up", 7, 2), URLS[1]: Sample("untold"), URLS[2]: Sample("silent")}
    seen: list[tuple[str, Sample]] = []
    whole = threading.Event()

    def on_sample(url: str, sample: Sample) -> None:
        seen.append((url, sample))
        if len(seen) == len(URLS):
            whole.set()

    with Sampler(lambda: POOL, on_sample, lambda endpoint: said[endpoint.url], every_s=3600) as sampler:
        assert whole.wait(20)
        assert sampler.load == Load(slots=8, busy=7, deferred=2, silent=(URLS[2],), servers=3)
    assert seen == list(said.items())
    silent = URLS[2].partition("://")[2]
    assert str(sampler.load) == f"7/8 slots busy, 2 waiting for a slot, 1 of 3 servers silent ({silent})"


def test_a_look_that_goes_wrong_once_does_not_end_the_looks() -> None:
    rounds: Iterator[Exception | Sample] = chain([RuntimeError("once")], repeat(Sample("up", 1, 0)))
    seen = threading.Event()

    def look(endpoint: Endpoint) -> Sample:
        outcome = next(rounds)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    with Sampler(lambda: POOL[:1], lambda *_: seen.set(), look, every_s=0.001):
        assert seen.wait(20)


def test_servers_that_tell_nothing_leave_the_line_empty() -> None:
    assert str(Load(slots=0, busy=0, deferred=0, silent=(), servers=2)) == ""


def test_a_look_at_a_server_that_works_that_waits_and_that_is_gone() -> None:
    with FakePool(servers=1, slots=2, latency_s=3600.0) as pool:
        [endpoint] = pool.endpoints
        assert look_at(endpoint) == Sample("up")
        threads = [
            threading.Thread(target=_ask_in_vain, args=(endpoint,), daemon=True, name=f"ask {n}") for n in range(5)
        ]
        for thread in threads:
            thread.start()
        pool.wait("deferred", at_least=3)
        sample = look_at(endpoint)
        assert (sample.state, sample.busy, sample.deferred) == ("up", 2, 3)
        pool.script(rule("die", "gone"), server=0)
        pool.wait("state", equals="die", server=0)
        assert look_at(endpoint) == Sample("silent")


def _ask_in_vain(endpoint: Endpoint) -> None:
    client = LlamaServer(endpoint, 3600)
    try:
        client.complete("x", grammar=None, max_tokens=1)
    except Exception:  # the server dies with the question in its hands
        client.close()


def test_a_server_that_others_ask_too_gets_less_and_then_as_much_as_ever() -> None:
    desk = Desk([Endpoint("http://a", slots=16)])
    task = TaskId(0, 0, 0)

    def window() -> int:
        return desk.report(TaskReport(task, 64, {})).windows.get("http://a", 0)

    assert window() == 17
    desk.observe("http://a", 1)
    assert window() == 17
    desk.observe("http://a", 9)
    assert window() == 9
    desk.observe("http://a", 100)
    assert window() == 1
    windows = []
    while window() < 17:
        desk.observe("http://a", 0)
        windows.append(window())
    assert windows == [3, 5, 7, 9, 11, 13, 15, 17]
