"""The job itself on a pool of two real hosts while that pool is upgraded: no request fails, and both servers go on."""

from __future__ import annotations

import json
import signal
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pool_host import TestPool, new_build

sys.path.insert(0, str(Path(__file__).parents[2] / "e2e"))

from harness.jobs import Job
from harness.lake import Lake, check_offsets, check_unique

pytestmark = [pytest.mark.infra, pytest.mark.spark]

_DOCUMENTS = 600
"""More than are answered before the upgrade ends; the rest is left by a signal."""


def test_a_job_goes_on_while_its_pool_is_upgraded(pool: TestPool, build: Path, tmp_path: Path) -> None:
    if not (build / "manifest.json").exists():
        pytest.skip("the stub answers with no triples: build llama.cpp first (tests/infra/llama)")
    pool.content["defaults"]["settings"]["context_per_slot"] = 3072
    pool.must("up")
    corpus = tmp_path / "corpus.jsonl"
    texts = [f"林若兰一八八{number % 10}年生于临川城，教了{number + 1}年书。" for number in range(_DOCUMENTS)]
    corpus.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts), "utf-8")
    lake = Lake(tmp_path / "kg")
    words = ["jobs/extract.py", "--input", corpus, "--output", tmp_path / "kg", "--pool", pool.pool_file]
    job = Job([*words, "--set", "run.bucket_size=8", "--set", "run.wave_s=1"], tmp_path)
    job.wait_until(lambda: lake.version("attempts") > 0, "the first commit of answers")
    before = {name: pool.pid(name) for name in ("one", "two")}
    new_build(pool, "second")
    assert pool.must("upgrade").count("up after") == 2
    upgraded = datetime.now(UTC)
    assert all(pool.pid(name) != before[name] for name in before)
    job.wait_until(lambda: len(answered_since(lake, upgraded)) == 2, "answers of both servers after the upgrade")
    job.tell(signal.SIGTERM)
    done = job.wait()
    assert done.code == 130, done.text
    attempts = lake.rows("attempts")
    assert {row["status"] for row in attempts} <= {"ok", "empty"}, [row for row in attempts if row["error_code"]]
    assert [each for row in attempts for each in row["failed_tries"] if each["code"] != "truncated"] == []
    assert 0 < len(attempts) < _DOCUMENTS
    check_unique(lake)
    check_offsets(lake)


def answered_since(lake: Lake, moment: datetime) -> Counter[str]:
    """Committed answers by server, of requests that were sent after a moment."""
    return Counter(
        row["endpoint"]
        for row in lake.rows("attempts")
        if (row["finished_at"] - moment).total_seconds() * 1000 > row["latency_ms"]
    )
