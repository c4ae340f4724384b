"""What must not be read anywhere: the key of the servers and the token of the desk."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator

import pytest
from harness.bench import Bench
from harness.servers import API_KEY
from pyspark.sql import SparkSession

from triplelake.errors import PoolError
from triplelake.tables.schemas import TABLES

pytestmark = pytest.mark.spark

_TOKEN = "planted-token-of-the-desk"


def shown_by_spark(spark: SparkSession) -> Iterator[str]:
    """What Spark's user interface shows of its queries and jobs."""
    store = spark._jsparkSession.sharedState().statusStore()
    queries = store.executionsList()
    for rank in range(queries.size()):
        query = queries.apply(rank)
        yield from (query.description(), query.details(), query.physicalPlanDescription())
    jobs = spark.sparkContext._jsc.sc().statusStore().jobsList(None)
    for rank in range(jobs.size()):
        yield jobs.apply(rank).toString()
    for name, value in spark.sparkContext.getConf().getAll():
        yield f"{name}={value}"


def test_neither_key_nor_token_is_shown_or_kept(
    bench: Bench, spark: SparkSession, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(secrets, "token_urlsafe", lambda _: _TOKEN)
    caplog.set_level(logging.DEBUG)
    documents = [{"id": f"d{n}", "text": f"林若兰生于临川城，教了{n}年书。"} for n in range(4)]
    bench.backend.refused = lambda question: "教了3年" in question
    bench.extract(bench.corpus(documents), corpus__id_column="id", run__max_failure_rate=0.5)
    said = bench.said
    bench.server.die()
    with pytest.raises(PoolError) as caught:
        bench.extract(bench.corpus(documents[:1], "other.jsonl"), corpus__id_column="id")

    tables = [str(row) for table in TABLES for row in bench.lake.rows(table.name)]
    logs = [file.read_text(encoding="utf-8") for file in bench.output.rglob("*.json")]
    by_spark = list(shown_by_spark(spark))
    assert any("MapInArrow" in each for each in by_spark), "the plans of the waves are not among what is searched"
    assert len(logs) > len(TABLES) and "run_id" in "".join(logs)
    for text in (said, bench.said, str(caught.value), repr(caught.value), caplog.text, *tables, *logs, *by_spark):
        assert API_KEY not in text
        assert _TOKEN not in text
