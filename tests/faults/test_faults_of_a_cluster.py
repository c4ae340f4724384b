"""A task that is copied, executors that are lost: what they had asked is asked again, and nothing is there twice."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from harness.cluster import Cluster
from harness.jobs import Job
from harness.lake import Lake, check_derived, check_offsets, check_unique
from harness.servers import Counted, Scripted, general_ontology

from triplelake.config import AnswerSettings

pytestmark = pytest.mark.spark

_SPARK = (
    "spark.executor.memory=1g",
    # As conf/spark-defaults.conf has it for the driver, and for the same reason.
    "spark.executor.extraJavaOptions=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.speculation=true",
    "spark.speculation.interval=100ms",
    "spark.speculation.multiplier=1.1",
    "spark.speculation.quantile=0.1",
)


def test_a_copied_task_and_lost_executors_write_nothing_twice(tmp_path: Path) -> None:
    texts = [f"林若兰生于临川城，教了{number + 1}年书。" for number in range(20)]
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts), "utf-8")
    words = ["jobs/extract.py", "--input", corpus, "--output", tmp_path / "kg", "--profile", "base"]
    # So many slots want two tasks, in one wave.
    server = Counted(Scripted(slots=100))

    def asked(text: str) -> int:
        return sum(text in question for question in server.asked)

    server.hold(lambda question: texts[0] in question)
    with Cluster(tmp_path / "cluster") as cluster:
        spark = (f"spark.master={cluster.master}", *_SPARK)
        job = Job([*words, "--pool", server.url, "--set", "run.lanes=1"], tmp_path, spark=spark)
        # One task is done; the other waits for an answer, and so does its copy on the other host.
        job.wait_until(lambda: asked(texts[0]) == 2, "a speculative copy")
        job.wait_until(lambda: len({*server.answered}) == len(texts) - 1, "all other answers")
        assert cluster.kill_executors() == 2
        server.release()
        done = job.wait()
    assert done.code == 0, done.text
    # By the first task and its copy, and by the one that took the place of both.
    assert asked(texts[0]) == 3
    counts = Counter(server.asked)
    assert len(counts) == len(texts)
    # The task that was done cost nothing more.
    assert {1, 3} <= {*counts.values()} <= {1, 2, 3}
    lake = Lake(tmp_path / "kg")
    assert len(lake.rows("attempts")) == len(texts)
    check_unique(lake)
    assert check_offsets(lake) > 0
    check_derived(lake, general_ontology(), AnswerSettings())
