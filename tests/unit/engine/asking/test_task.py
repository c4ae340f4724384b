"""A task of a wave without Spark: requests in, attempts out."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from fake import answers
from fake.pool import FakePool
from pytest_httpserver import HTTPServer

from triplelake.config import load_settings
from triplelake.engine.asking import task
from triplelake.engine.asking.open_pool import open_pool, read_prompt_files
from triplelake.engine.asking.task import Assignment
from triplelake.errors import UsageError
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.shares import capacity, split_shares
from triplelake.tables.schemas import ATTEMPTS, REQUESTS, SEQUENCE

_KEY = "the right key"
_REQUESTS = 60

Wave = Callable[..., Assignment]
"""Makes what the tasks of a wave know, from the URLs of the servers and the number of tasks."""


@pytest.fixture(scope="module")
def pool() -> Iterator[FakePool]:
    with FakePool(servers=2, slots=4, api_key=_KEY, latency_s=0.02) as servers:
        yield servers


@pytest.fixture
def wave(pool: FakePool) -> Iterator[Wave]:
    """Makes waves as a run does that found the fake servers, and that no desk can tell anything."""
    pool.forget()
    settings = load_settings(None, {"pool": pool.setting, "api_key": _KEY, "profile": "base"}, {})
    with open_pool(settings, read_prompt_files(settings)) as opened:

        def over(urls: Sequence[str], tasks: int = 1) -> Assignment:
            endpoints = tuple(Endpoint(url, _KEY, slots=4) for url in urls)
            shares = tuple(split_shares(endpoints, tasks))
            return Assignment("plan", 0, "k", shares, endpoints, None, settings.asking, opened.method)

        yield over


def batches() -> Iterator[pa.RecordBatch]:
    texts = {f"r{number}": f"林若兰生于临川城，教了{number}年书。" for number in range(_REQUESTS)}
    rows = [
        {"request_id": name, "text": text, "title": "", "context": "", "lang": "zh-Hans"}
        for name, text in texts.items()
    ]
    yield pa.RecordBatch.from_pylist(rows, schema=REQUESTS.arrow)


def test_every_request_has_its_attempt(wave: Wave, pool: FakePool) -> None:
    rows = [row for batch in wave(pool.urls)(batches()) for row in batch.to_pylist()]
    assert sorted(row["request_id"] for row in rows) == sorted(f"r{number}" for number in range(_REQUESTS))
    assert {row["status"] for row in rows} == {"ok"}
    assert pool.counts().received == _REQUESTS


def test_a_row_has_every_column_but_the_rank_of_its_commit(
    wave: Wave, pool: FakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Arrow makes a column null that a row lacks, and leaves one out that the table lacks: the rows are seen before.
    monkeypatch.setattr(task, "record_batches", lambda rows, *_, **__: rows)
    found = list(wave(pool.urls)(batches()))
    assert len(found) == _REQUESTS
    for row in found:
        assert dict(row).keys() == set(ATTEMPTS.names) - {SEQUENCE}


def test_a_refused_key_ends_the_task_at_once(wave: Wave, httpserver: HTTPServer) -> None:
    refusal = {"error": {"code": 401, "message": "Invalid API Key", "type": "authentication_error"}}
    httpserver.expect_request("/completion").respond_with_json(refusal, status=401)
    assert list(wave([httpserver.url_for("")])(batches())) == []
    # Those that were in flight when the first one came back, and those that took their places before it was seen.
    assert 0 < len(httpserver.log) < _REQUESTS / 3


def test_a_key_that_one_server_refuses_leaves_the_work_to_the_others(
    wave: Wave, pool: FakePool, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/completion").respond_with_json({"error": {"message": "Invalid API Key"}}, status=401)
    refusing = httpserver.url_for("").rstrip("/")
    rows = [row for batch in wave([refusing, pool.urls[0]])(batches()) for row in batch.to_pylist()]
    # Those that met it first get no row: they are asked again in the next wave.
    assert len(rows) == _REQUESTS - len(httpserver.log) and 0 < len(httpserver.log) <= capacity(pool.endpoints[0])


def test_tries_of_requests_without_a_row_are_told(wave: Wave, pool: FakePool, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/completion").respond_with_json({"error": {"message": "no"}}, status=503)
    failing = httpserver.url_for("").rstrip("/")
    told: list[Counter[tuple[str, str]]] = []
    whole = wave([failing, pool.urls[0]])
    once = replace(whole, asking=whole.asking.model_copy(update={"tries": 1}), unwritten=told.append)
    rows = [row for batch in once(batches()) for row in batch.to_pylist()]
    lost = _REQUESTS - len(rows)
    assert lost > 0
    assert told == [Counter({(failing, "http_503"): lost})] and lost == len(httpserver.log)
    # Where each request ends with a row, its tries stand in it and nothing is left to tell.
    told.clear()
    rows = [row for batch in replace(whole, unwritten=told.append)(batches()) for row in batch.to_pylist()]
    assert len(rows) == _REQUESTS and not told
    assert sum(len(row["failed_tries"]) for row in rows) == len(httpserver.log) - lost


def test_without_a_desk_each_task_keeps_to_its_share(wave: Wave, pool: FakePool) -> None:
    whole = wave(pool.urls, tasks=3)
    alone = [replace(whole, shares=(share,)) for share in whole.shares]
    with ThreadPoolExecutor(3) as threads:
        rows = [row for found in threads.map(lambda task: list(task(batches())), alone) for row in found]
    assert sum(batch.num_rows for batch in rows) == 3 * _REQUESTS
    for number, endpoint in enumerate(whole.endpoints):
        assert pool.counts(number).peak == capacity(endpoint)


def test_a_second_look_at_each_triple_stands_in_its_row(pool: FakePool) -> None:
    pool.forget()
    asked = {"pool": pool.setting, "api_key": _KEY, "profile": "chat", "asking": {"second_look": "yes_no"}}
    settings = load_settings(None, asked, {})
    with open_pool(settings, read_prompt_files(settings)) as opened:
        endpoints = tuple(Endpoint(url, _KEY, slots=4) for url in pool.urls)
        shares = tuple(split_shares(endpoints, 1))
        wave = Assignment("plan", 0, "k", shares, endpoints, None, settings.asking, opened.method)
        rows = [row for batch in wave(batches()) for row in batch.to_pylist()]
    assert len(rows) == _REQUESTS
    looks = [look for row in rows for look in row["looks"]]
    assert len(looks) == sum(len(row["triples"]) for row in rows) > 0
    assert looks == pytest.approx([answers.logprob("是")] * len(looks))
    assert pool.counts().received == _REQUESTS + len(looks)
    # What the looks decoded is counted with the answers: two tokens each.
    assert all(row["completion_tokens"] > 2 * len(row["looks"]) for row in rows)
    assert {row["tries"] for row in rows} == {1}


def test_without_a_second_look_no_row_has_one(wave: Wave, pool: FakePool) -> None:
    rows = [row for batch in wave(pool.urls)(batches()) for row in batch.to_pylist()]
    assert {row["looks"] for row in rows} == {None}


def test_a_second_look_is_refused_for_a_base_model(pool: FakePool) -> None:
    asked = {"pool": pool.setting, "api_key": _KEY, "profile": "base", "asking": {"second_look": "yes_no"}}
    settings = load_settings(None, asked, {})
    with (
        pytest.raises(UsageError, match="model profile base asks a base model"),
        open_pool(settings, read_prompt_files(settings)),
    ):
        raise AssertionError("it is refused before anything is asked")
