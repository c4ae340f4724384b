"""Executors that are lost in the middle of a wave: their tasks are done again, and nothing is there twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake.pool import FakePool
from harness.jobs import Job, own_spark
from harness.lake import Lake, check_derived, check_offsets, check_unique
from harness.servers import API_KEY, general_ontology

from triplelake.config import AnswerSettings

pytestmark = pytest.mark.spark

_CLUSTER = ("spark.master=local-cluster[2,1,1024]", "spark.executor.memory=1g")
_DOCUMENTS = 90


def test_lost_executors_cost_what_their_tasks_had_asked(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.jsonl"
    texts = [f"林若兰生于临川城，教了{number + 1}年书。" for number in range(_DOCUMENTS)]
    corpus.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts), "utf-8")
    words = ["jobs/extract.py", "--input", corpus, "--output", tmp_path / "kg", "--profile", "base"]
    with FakePool(servers=1, slots=2, latency_s=0.3, api_key=API_KEY) as pool:
        job = Job(
            [*words, "--pool", pool.setting, "--set", "run.lanes=1"],
            tmp_path,
            spark=_CLUSTER,
            spark_home=own_spark(tmp_path / "spark"),
        )
        # In the second wave, which holds all that the first has left.
        pool.wait("received", at_least=20, timeout_s=300.0)
        assert job.kill_executors() == 2
        done = job.wait()
        assert done.code == 0, done.text
        asked = pool.counts().asked
    # By the task that was lost, and by the one that took its place; in the order of the wave, so that it is a few.
    assert set(asked) == set(texts)
    assert max(asked.values()) == 2
    assert 0 < sum(asked.values()) - len(asked) <= 20
    lake = Lake(tmp_path / "kg")
    assert len(lake.rows("attempts")) == _DOCUMENTS
    check_unique(lake)
    assert check_offsets(lake) > 0
    check_derived(lake, general_ontology(), AnswerSettings())
