"""When a task stops asking a pool that does not answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
import pytest

from triplelake.codes import CODES, Code
from triplelake.config import AskingSettings
from triplelake.engine.asking import task as module
from triplelake.engine.asking.task import Assignment
from triplelake.tables.schemas import REQUESTS
from triplelake.types import Attempt, Request

OF_THE_POOL = {Code.CONNECTION, Code.HTTP_429, Code.HTTP_503, Code.LOADING, Code.UNAUTHORIZED, Code.OTHER_MODEL}
"""What says nothing of the request, which is asked again in a later wave."""
BEARABLE = 7
"""Failures of the pool in a row after which a task goes on."""


def attempt(request: Request, code: Code | None) -> Attempt:
    return Attempt(
        request_id=request.request_id,
        status="failed" if code else "empty",
        completion=None,
        triples=(),
        error_code=code,
        error_message=None,
        prompt_tokens=0,
        cached_tokens=0,
        completion_tokens=0,
        latency_ms=0.0,
        tries=1,
        failed_tries=(),
        endpoint=None,
        model=None,
    )


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a task, one request after the other, whose requests end with these codes; gives the ids of its rows."""

    def run(ends: Sequence[Code | None]) -> list[str]:
        def ladder(method: object, router: object) -> object:
            return SimpleNamespace(attempt=lambda request: attempt(request, ends[int(request.request_id)]))

        monkeypatch.setattr(module, "Ladder", ladder)
        rows = [
            {"request_id": str(number), "text": "x", "title": "", "context": "", "lang": "en"}
            for number in range(len(ends))
        ]
        batch = pa.RecordBatch.from_pylist(rows, schema=REQUESTS.arrow)
        wave = Assignment("plan", 0, "k", (), (), None, AskingSettings(), cast(Any, None))
        router: Any = SimpleNamespace(stopped=False, width=1)
        return [row["request_id"] for row in wave._rows([batch], router, lambda _: None, Counter())]

    return run


def test_which_codes_are_failures_of_the_pool() -> None:
    assert {code for code, entry in CODES.items() if not entry.has_row} == OF_THE_POOL


@pytest.mark.parametrize("code", sorted(OF_THE_POOL - {Code.UNAUTHORIZED}))
def test_a_task_gives_up_after_failures_of_the_pool_in_a_row(task: Any, code: Code) -> None:
    assert task([*[code] * BEARABLE, None]) == [str(BEARABLE)]
    assert task([*[code] * (BEARABLE + 1), None]) == []


def test_an_answer_in_between_tells_that_the_pool_works(task: Any) -> None:
    ends = [*[Code.HTTP_503] * BEARABLE, None] * 4
    assert len(task(ends)) == 4
    failed = [*[Code.HTTP_503] * BEARABLE, Code.BAD_ANSWER] * 4
    assert len(task(failed)) == 4


def test_what_a_request_is_to_blame_for_is_no_reason_to_give_up(task: Any) -> None:
    blamed = sorted(set(Code) - OF_THE_POOL)
    assert len(task(blamed)) == len(blamed) > BEARABLE


def test_a_key_that_a_server_refuses_is_no_reason_either(task: Any) -> None:
    assert task([*[Code.UNAUTHORIZED] * 3 * BEARABLE, None]) == [str(3 * BEARABLE)]
