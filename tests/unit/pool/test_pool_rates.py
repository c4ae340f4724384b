"""The rate limits of a job hold over all its tasks together, in any second, while tasks come and go."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from fake.pool import FakePool

from triplelake.config import AskingSettings
from triplelake.pool.clerk import Clerk
from triplelake.pool.desk import Desk
from triplelake.pool.desk_http import DeskServer
from triplelake.pool.reports import TaskId
from triplelake.pool.router import Router
from triplelake.pool.shares import split_shares
from triplelake.pool.window import windowed

_LANES, _TASKS, _QUESTIONS = 2, 3, 20
_PROMPT = "事实\n文本：林若兰生于临川城。\n答案："
_MAX_TOKENS = 100


def run_waves(pool: FakePool, asking: AskingSettings, est_tokens: int) -> None:
    """Two waves of some tasks each over one desk; the second begins when the first is under way."""
    with DeskServer(Desk(pool.endpoints), "127.0.0.1") as server, ThreadPoolExecutor(_LANES * _TASKS) as threads:

        def task(wave: int, number: int) -> None:
            shares = split_shares(
                pool.endpoints,
                _TASKS,
                requests_per_s=asking.requests_per_s,
                tokens_per_s=asking.tokens_per_s,
                lanes=_LANES,
            )
            router = Router(shares[number], asking, others=pool.endpoints, most=18)

            def ask(_: int) -> None:
                router.ask(_PROMPT, grammar=None, max_tokens=_MAX_TOKENS, est_tokens=est_tokens)

            with Clerk(TaskId(wave, number, wave * _TASKS + number), router, server.address.report):
                for _ in windowed(range(_QUESTIONS), ask, router.width):
                    pass
            router.close()

        running: list[Future[None]] = [threads.submit(task, 0, number) for number in range(_TASKS)]
        pool.wait("received", at_least=_QUESTIONS)
        running += [threads.submit(task, 1, number) for number in range(_TASKS)]
        for each in running:
            each.result()


def busiest_second(times: Sequence[float]) -> int:
    """The most that came within one second."""
    return max(sum(start <= time < start + 1 for time in times) for start in times)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limits", "est_tokens"),
    [({"requests_per_s": 30.0}, 0), ({"tokens_per_s": 30.0 * 200}, 200)],
    ids=lambda each: str(each),
)
def test_no_second_holds_more_than_the_limit_and_its_burst(limits: dict[str, float], est_tokens: int) -> None:
    with FakePool(servers=2, slots=8) as pool:
        run_waves(pool, AskingSettings(**limits), est_tokens)
        times = [when for when, _ in pool.arrivals()]
    assert len(times) == _LANES * _TASKS * _QUESTIONS
    # A task has a tenth of its own second at hand, and that is one request here.
    assert busiest_second(times) <= 30 + _LANES * _TASKS
    # The limit is used, too: not all of the time, since a desk gives a task its part a second after it asks for it.
    assert (len(times) - 1) / (times[-1] - times[0]) > 30 / 3
