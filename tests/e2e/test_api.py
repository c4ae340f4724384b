"""The functions behind `import triplelake`, in a session that belongs to somebody."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from chispa import assert_df_equality
from harness.bench import Bench
from harness.servers import API_KEY
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import triplelake

pytestmark = pytest.mark.spark

BATCH = "spark.sql.execution.arrow.maxRecordsPerBatch"
ARTICLES = [
    ("https://news.example/1", "江河志", "青河流经松城，最后注入金湖。"),
    ("https://news.example/2", None, "蘇晚晴生於臨川，是小說家。"),
    ("https://news.example/3", "Ships", "The Meridian Star was built at Harrow Quay."),
    ("https://news.example/4", None, "何若兰住在云州。"),
]


def settings_of(bench: Bench) -> dict[str, Any]:
    return {"pool": bench.server.url, "api_key": API_KEY, "run.preflight": False, "run.max_failure_rate": 1.0}


def test_a_dataframe_becomes_tables_and_its_session_stays_as_it_was(
    bench: Bench, spark: SparkSession, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bench.backend.refused = lambda question: "何若兰" in question
    articles = spark.createDataFrame(ARTICLES, "url string, headline string, body string")
    spark.createDataFrame([("theirs",)], "word string").createOrReplaceTempView("facts")
    before = spark.conf.get(BATCH)
    spark.conf.set(BATCH, "777")
    try:
        with caplog.at_level(logging.INFO, logger="triplelake"):
            run = triplelake.extract(
                articles,
                output=bench.output,
                name="articles",
                text_column="body",
                id_column="url",
                title_column="headline",
                settings=settings_of(bench),
            )
        assert spark.conf.get(BATCH) == "777"
        assert [row.word for row in spark.table("facts").collect()] == ["theirs"]
        assert not spark.catalog.tableExists("current_triples")
    finally:
        spark.conf.set(BATCH, before or "10000")
        spark.catalog.dropTempView("facts")

    assert "Input:    a DataFrame" in caplog.text
    counts = run.counts
    assert (counts.documents, counts.requests, counts.answered, counts.failed) == (4, 4, 4, 1)
    assert counts.triples == run.triples.count() > 0
    assert [row.text for row in run.failures.collect()] == ["何若兰住在云州。"]
    assert {row.source for row in run.table("documents").collect()} == {"articles"}
    assert {row.doc_id for row in run.documents.collect()} == {url for url, _, _ in ARTICLES}
    assert run.runs.where(f"run_id = '{run.run_id}'").count() == 1
    said = spark.sql("SELECT DISTINCT subject FROM {facts}", facts=run.facts).collect()
    assert "青河" in {row.subject for row in said}

    again = triplelake.open(bench.output, spark=spark)
    assert_df_equality(again.facts, run.facts, ignore_row_order=True)
    with pytest.raises(triplelake.UsageError, match="is no table of an output"):
        again.table("fact")
    with pytest.raises(triplelake.UsageError, match="is no format of gold"):
        again.evaluate("gold.jsonl", format="docred")

    gold = bench.folder / "gold.jsonl"
    [first] = run.triples.where("doc_id LIKE '%/1'").orderBy("object_start").limit(1).collect()
    fact = [first.subject, first.predicate, first.object]
    gold.write_text(
        json.dumps({"id": first.doc_id, "text": ARTICLES[0][2], "triples": [fact]}) + "\n", encoding="utf-8"
    )
    report = run.evaluate(gold)
    recall = report.groups["all"].figures["recall"]
    assert recall is not None and recall.value == 1.0
    written = run.export(bench.folder / "facts.jsonl", predicates=[first.predicate])
    lines = (bench.folder / "facts.jsonl").read_text(encoding="utf-8").splitlines()
    assert written.rows == len(lines) == run.facts.where(f"predicate = '{first.predicate}'").count() > 0

    # One row is new and one has changed; what is answered is not asked again.
    changed = [("https://news.example/1", "江河志", "青河流经梅城。"), *ARTICLES[1:], ("new", None, "白河流经松城。")]
    more = triplelake.extract(
        spark.createDataFrame(changed, articles.schema),
        output=bench.output,
        name="articles",
        text_column="body",
        id_column="url",
        title_column="headline",
        settings=settings_of(bench),
    )
    assert (more.counts.documents, more.counts.answered) == (2, 2)
    assert "白河" in {row.subject for row in more.facts.collect()}


def test_what_cannot_be_is_told_by_exceptions(bench: Bench, spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(triplelake.UsageError) as twice:
        triplelake.extract("news.jsonl", output=tmp_path / "kg", settings={"output": "other"})
    assert (twice.value.subject, twice.value.reason) == ("settings: output", "is given twice")
    with pytest.raises(triplelake.InputError, match="nowhere"):
        triplelake.extract(tmp_path / "nowhere.jsonl", output=tmp_path / "kg", settings=settings_of(bench))
    with pytest.raises(triplelake.OutputError, match="holds no table"):
        triplelake.open(tmp_path / "kg")
    broken = spark.range(1).select(F.raise_error(F.lit("no such column in the crawl")).cast("string").alias("text"))
    with pytest.raises(triplelake.TriplelakeError, match="no such column in the crawl") as unexpected:
        triplelake.extract(broken, output=tmp_path / "kg", settings=settings_of(bench))
    assert unexpected.value.__cause__ is not None
