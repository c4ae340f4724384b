"""Servers that fail while a run asks them: every request ends in one right answer or in one named failure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fake.faults import rule
from fake.pool import FakePool
from harness.lake import Lake, check_offsets, check_unique

from triplelake.config import load_settings
from triplelake.engine.asking.ladder import Ladder
from triplelake.engine.asking.open_pool import open_pool, read_prompt_files
from triplelake.errors import TooManyFailures
from triplelake.pool.router import Router
from triplelake.pool.shares import capacity, split_shares
from triplelake.types import Request

pytestmark = pytest.mark.spark

Start = Callable[[FakePool], Any]
_WAVES = {"run__bucket_size": 20, "run__wave_s": 0.001}
"""Several small waves, two at a time."""
_SMALL_WAVES = {"run__wave_s": 0.001, "run__lanes": 1}


@pytest.fixture(scope="module")
def documents() -> Sequence[Mapping[str, str]]:
    """150 documents of one chunk each, every text its own; five name 赵若兰."""
    families, given = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏", "若兰文秀子安景行怀瑾思远"
    return [
        {"id": f"d{n}", "text": f"{families[n % 30]}{given[n % 6 * 2 : n % 6 * 2 + 2]}生于临川城，教了{n + 1}年书。"}
        for n in range(150)
    ]


def undisturbed(pool: FakePool, documents: Sequence[Mapping[str, str]]) -> dict[str, tuple[str, str]]:
    """Status and raw answer by text, of servers that are well."""
    settings = load_settings(None, {"pool": pool.setting, "profile": "base"}, {})
    with open_pool(settings, read_prompt_files(settings)) as opened:
        router = Router(split_shares(opened.survey.endpoints, 1)[0], settings.asking)
        ladder = Ladder(opened.method, router)
        requests = [Request(document["id"], document["text"], "", "", "zh-Hans") for document in documents]
        attempts = [ladder.attempt(request) for request in requests]
        router.close()
    return {
        request.text: (attempt.status, str(attempt.completion))
        for request, attempt in zip(requests, attempts, strict=True)
        if attempt
    }


def answers(lake: Lake) -> dict[str, tuple[str, str]]:
    """Status and raw answer by text."""
    rows = lake.query(
        "SELECT c.text, a.status, a.completion, a.error_code FROM answers a JOIN chunks c USING (request_id)"
    )
    return {row["text"]: (row["status"], row["completion"] or row["error_code"]) for row in rows}


def test_in_flight_never_passes_the_capacity_of_a_server(
    job: Start, documents: Sequence[Mapping[str, str]], tmp_path: Path
) -> None:
    # Asked as chat models may be, all the way from a profile of one's own to the tables.
    profile = tmp_path / "mine.yaml"
    profile.write_text(
        "name: mine\ntemplate: server\nexamples: turns\nanswer: objects\nempty: told\n", encoding="utf-8"
    )
    with FakePool(each={0: {"slots": 4}, 1: {"slots": 1}}, servers=2, latency_s=0.1) as pool:
        run = job(pool)
        run_row = run.extract(documents[:80], **_WAVES, profile=str(profile), run__preflight=True)
        assert (run_row.tally.answered, run_row.tally.failed) == (80, 0)
        assert "of the facts of 10 known texts found (zh-Hans)" in run.said
        for number, endpoint in enumerate(pool.endpoints):
            counts = pool.counts(number)
            assert endpoint.slots == counts.peak - 1 == capacity(endpoint) - 1
    assert {text[:12] for _, text in answers(run.lake).values()} == {'[{"subject":'}
    check_unique(run.lake)
    assert check_offsets(run.lake) > 0


def test_a_pool_in_trouble_answers_all_that_can_be_answered(job: Start, documents: Sequence[Mapping[str, str]]) -> None:
    with FakePool(servers=1, slots=16) as pool:
        expected = undisturbed(pool, documents)
    with FakePool(servers=4, slots=4, latency_s=0.2) as pool:
        poison = rule("bad_request", contains="赵若兰")
        pool.script(poison, rule("unavailable", probability=0.1, seed=1), server=0)
        pool.script(poison, rule("die", requests=(10,), for_s=1.5), server=1)
        pool.script(poison, rule("hang", requests=(10,)), server=2)
        pool.script(poison, server=3)
        run = job(pool)
        run_row = run.extract(documents, asking__timeout_s=5.0, **_WAVES)
        found = answers(run.lake)
        assert found == {
            text: ("failed", "bad_request") if "赵若兰" in text else answer for text, answer in expected.items()
        }
        assert Counter(status for status, _ in found.values()) == {"ok": 145, "failed": 5}
        assert run_row.tally.answered == 150
        check_unique(run.lake)
        # The one that died is asked again when it is back; the one that hangs gets no more than trials.
        assert pool.counts(1).faults["die"] == 1
        assert pool.counts(1).outcomes["200"] > 10
        assert pool.counts(2).received < 10 + 20
        check_told(run, [endpoint.url for endpoint in pool.endpoints])


def test_one_server_dead_for_good_and_a_busy_one_end_no_run(job: Start, documents: Sequence[Mapping[str, str]]) -> None:
    with FakePool(servers=3, slots=2) as pool:
        pool.script(rule("unavailable", most=3), server=0)
        pool.script(rule("die", requests=(2,)), server=1)
        pool.script(rule("refuse"), server=2)
        run = job(pool)
        # With one try each, every fault leaves a request without a row.
        run_row = run.extract(documents[:24], asking__tries=1, run__bucket_size=4, run__desk=False, **_SMALL_WAVES)
        assert (run_row.tally.answered, run_row.tally.failed) == (24, 0)
        assert f"Without {pool.urls[2]}, which cannot be reached" in run.said
        assert f"{pool.urls[1]} cannot be reached" in run.said and "gets nothing new until it can be used" in run.said
        [row] = run.lake.rows("runs")
        assert dict(row["failed_tries"])["http_503"] == 3
        told = {each["url"]: each["failed_tries"] for each in row["endpoints"]}
        assert told[pool.urls[0]] == 3 and told[pool.urls[1]] > 0
        # They stand in no row of a request.
        assert not any(each["failed_tries"] for each in run.lake.rows("attempts"))
    check_unique(run.lake)


def check_told(run: Any, urls: Sequence[str]) -> None:
    """What `runs` says of the servers is what `attempts` holds, and the screen says it too."""
    [row] = run.lake.rows("runs")
    attempts = run.lake.rows("attempts")
    tried = Counter((each["endpoint"], each["code"]) for row in attempts for each in row["failed_tries"])
    causes: Counter[str] = Counter()
    for (_, code), count in tried.items():
        causes[code] += count
    assert dict(row["failed_tries"]) == causes
    told = {each["url"]: each for each in row["endpoints"]}
    assert set(told) == set(urls)
    for url, each in told.items():
        here = [attempt for attempt in attempts if attempt["endpoint"] == url]
        answered = [attempt for attempt in here if attempt["status"] != "failed"]
        assert each["answered"] == len(answered)
        assert each["failed"] == len(here) - len(answered)
        assert each["failed_tries"] == sum(count for (where, _), count in tried.items() if where == url)
        assert each["completion_tokens"] == sum(attempt["completion_tokens"] for attempt in here)
        if answered:
            slowest = max(attempt["latency_ms"] for attempt in answered)
            assert each["latency_p50_ms"] <= each["latency_p95_ms"] <= each["latency_p99_ms"] <= slowest * 1.01
        assert url.partition("://")[2] in run.said
    assert sum(attempt["tries"] for attempt in attempts) == 145 + sum(tried.values())
    assert causes and all(f"{count:,} {code}" in run.said for code, count in causes.items())


@pytest.mark.infra
def test_a_pool_file_that_changes_during_a_run(
    job: Start, documents: Sequence[Mapping[str, str]], tmp_path: Path
) -> None:
    # A second each, so that the run lasts longer than the time between two looks at the file.
    with FakePool(servers=2, slots=2, latency_s=1.0) as pool:
        file = tmp_path / "pool.yaml"

        def name(number: int) -> None:
            file.write_text(f"endpoints:\n  - {{url: '{pool.urls[number]}'}}\n", encoding="utf-8")

        name(0)
        run = job(pool)
        with ThreadPoolExecutor(1) as executor:
            running = executor.submit(run.extract, documents[:24], pool=str(file), run__bucket_size=4, **_SMALL_WAVES)
            pool.wait("received", at_least=4, server=0)
            name(1)
            pool.wait("received", at_least=4, server=1)
            run_row = running.result()
        assert (run_row.tally.answered, run_row.tally.failed) == (24, 0)
        assert pool.counts(0).received + pool.counts(1).received == 24
        assert f"{pool.urls[1]} joins with 2 slots" in run.said
        assert f"{pool.urls[0]} gets nothing new" in run.said
    check_unique(run.lake)


@pytest.mark.infra
def test_answers_that_are_all_cut_are_told_after_the_first_wave(
    job: Start, documents: Sequence[Mapping[str, str]]
) -> None:
    with FakePool(servers=1, slots=8) as pool:
        pool.script(rule("truncated"))
        run = job(pool)
        with pytest.raises(TooManyFailures, match=r"100% of the first \d+ answers are cut"):
            run.extract(documents[:90], **_WAVES, run__on_suspicious="stop")
        assert "Warning:  100% of the first" in run.said and "answer.max_tokens" in run.said
        shown = [line for line in run.said.splitlines() if "生于临川城" in line]
        assert len(shown) == 3
        assert 0 < len(run.lake.rows("attempts")) < 90
        pool.script()
        run.extract(documents[:90], run__on_suspicious="stop")
        assert "Warning:" not in run.said
        assert len(run.lake.rows("attempts")) == 90
