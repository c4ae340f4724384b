"""A task that is copied, an executor that is lost: what it had asked is asked again, and nothing is there twice."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from harness.cluster import Cluster, SparkTasks, free_port
from harness.jobs import Job
from harness.lake import Lake, check_derived, check_offsets, check_unique
from harness.servers import Counted, Scripted, general_ontology

from triplelake.config import AnswerSettings

pytestmark = [pytest.mark.spark, pytest.mark.infra]  # takes a minute or two

_SPARK = (
    "spark.executor.memory=1g",
    # As conf/spark-defaults.conf has it for the driver, and for the same reason.
    "spark.executor.extraJavaOptions=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.speculation=true",
    "spark.speculation.interval=100ms",
    "spark.speculation.multiplier=1.1",
    "spark.speculation.quantile=0.1",
)


def test_the_copy_of_a_task_asks_nothing_until_the_task_is_lost(tmp_path: Path) -> None:
    texts = [f"林若兰生于临川城，教了{number + 1}年书。" for number in range(20)]
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts), "utf-8")
    words = ["jobs/extract.py", "--input", corpus, "--output", tmp_path / "kg", "--profile", "base"]
    # So many slots want two tasks, in one wave.
    server = Counted(Scripted(slots=100))
    server.hold(lambda question: texts[0] in question)
    with Cluster(tmp_path / "cluster") as cluster:
        tasks = SparkTasks(free_port())
        spark = (f"spark.master={cluster.master}", *_SPARK, *tasks.settings)
        job = Job([*words, "--pool", server.url, "--set", "run.lanes=1"], tmp_path, spark=spark)
        job.wait_until(lambda: len(server.answered) == len(texts) - 1, "all other answers")
        # One task is done; the other waits for an answer, and its copy on the other host for the task.
        job.wait_until(lambda: sorted(task.speculative for task in tasks.running()) == [False, True], "a copy")
        assert len(server.asked) == len(texts)
        [host] = [task.host for task in tasks.running() if not task.speculative]
        assert cluster.kill_executors(host) == 1
        job.wait_until(lambda: len(server.asked) == len(texts) * 3 // 2, "the copy in its place")
        server.release()
        done = job.wait()
    assert done.code == 0, done.text
    # By the task and by its copy. The task that was done cost nothing more.
    assert Counter(Counter(server.asked).values()) == {1: 10, 2: 10}
    lake = Lake(tmp_path / "kg")
    assert len(lake.rows("attempts")) == len(texts)
    check_unique(lake)
    assert check_offsets(lake) > 0
    check_derived(lake, general_ontology(), AnswerSettings())
