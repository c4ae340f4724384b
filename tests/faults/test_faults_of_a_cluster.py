"""A cluster whose executors are lost, and which starts copies of tasks that take long: nothing is there twice."""

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
_SPECULATION = (
    "spark.speculation=true",
    "spark.speculation.interval=100ms",
    # A stage of one task is copied when it takes longer than this.
    "spark.speculation.task.duration.threshold=1s",
)
_DOCUMENTS = 90


def test_lost_executors_and_copied_tasks(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.jsonl"
    texts = [f"林若兰生于临川城，教了{number + 1}年书。" for number in range(_DOCUMENTS)]
    corpus.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts), "utf-8")
    words = ["jobs/extract.py", "--input", corpus, "--output", tmp_path / "kg", "--profile", "base"]
    with FakePool(servers=1, slots=2, latency_s=0.3, api_key=API_KEY) as pool:
        job = Job(
            [*words, "--pool", pool.setting, "--set", "run.lanes=1"],
            tmp_path,
            spark=[*_CLUSTER, *_SPECULATION],
            spark_home=own_spark(tmp_path / "spark"),
        )
        # In the second wave, which holds all that the first has left.
        pool.wait("received", at_least=20, timeout_s=300.0)
        assert job.kill_executors() == 2
        done = job.wait()
        assert done.code == 0, done.text
        asked = pool.counts().asked
    # By the task that was lost, by the one that took its place, and by the copy of that.
    assert set(asked) == set(texts)
    assert max(asked.values()) >= 3
    lake = Lake(tmp_path / "kg")
    assert len(lake.rows("attempts")) == _DOCUMENTS
    check_unique(lake)
    assert check_offsets(lake) > 0
    check_derived(lake, general_ontology(), AnswerSettings())
