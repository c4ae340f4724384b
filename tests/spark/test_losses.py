"""What an input loses is counted in records, lines and ids, and told before the run."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from rich.console import Console

from triplelake.commands import extract_messages
from triplelake.commands.plan_messages import lost
from triplelake.config import load_settings
from triplelake.corpus.inputs import find_input
from triplelake.engine.planning.losses import Losses, counted_losses, find_losses, guard_ids
from triplelake.engine.planning.source import open_source
from triplelake.errors import InputError

pytestmark = pytest.mark.spark

PAGES = [("report-7", 1, "甲出生于乙。"), ("report-7", 2, "丙担任丁校长。"), ("report-8", 1, "Ada met Bob.")]


def losses(spark: SparkSession, path: Path, **corpus: Any) -> Losses:
    """As planning finds them, with an output that is empty."""
    given = {"input": (str(path),), **{f"corpus.{name}": value for name, value in corpus.items()}}
    settings = load_settings(None, given, {})
    source = open_source(spark, settings, find_input(settings))
    documents = source.documents().cache()
    rejected = (
        documents.where("reason IS NOT NULL").agg(F.count(F.lit(1)).alias("records"), *counted_losses()).collect()[0]
    )
    return find_losses(rejected, documents, source)


def said(found: Losses) -> str:
    console = Console(file=io.StringIO(), width=400)
    lost(console, found)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_an_id_column_that_repeats_is_told_with_the_way_out(spark: SparkSession, tmp_path: Path, form: str) -> None:
    rows = [{"doc": doc, "page": page, "text": text} for doc, page, text in PAGES]
    path = tmp_path / f"pages.{form}"
    if form == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        spark.createDataFrame(rows).coalesce(1).write.parquet(str(path))
    found = losses(spark, path, id_column="doc")
    assert found.unreadable == 0 and found.repeats is not None
    assert (found.repeats.records, found.repeats.ids, found.repeats.other) == (1, 1, 1)
    assert "1 record whose id stands on an earlier one too, with other texts" in said(found)
    with pytest.raises(InputError, match="1 of 2 ids from `doc` stand on records with different texts") as refused:
        guard_ids("pages", found, 2)
    assert "report-7: " in refused.value.remedy
    assert "With `page` they are told apart: --id-column doc page. Nothing was written." in refused.value.remedy
    guard_ids("pages", found, 3)  # where few repeat, it is told and goes on

    found = losses(spark, path, id_column=["doc", "page"])
    assert found == Losses()


def test_lines_and_rests_of_files_are_counted(spark: SparkSession, tmp_path: Path) -> None:
    rows = [f'{number},"text {number}' if number == 3 else f"{number},text {number}" for number in range(1, 9)]
    rows[3] = "4,a,b"
    (tmp_path / "a.csv").write_text("id,text\n" + "\n".join(rows) + '\nno row, "at\nall",,\n')
    whole = gzip.compress(("id,text\n" + "\n".join(f"b{n},{n * 7919 % 1000}" for n in range(3000))).encode(), mtime=0)
    (tmp_path / "b.csv.gz").write_bytes(whole[: len(whole) // 2])
    found = losses(spark, tmp_path, id_column="id")
    assert found.repeats is None
    assert found.cut == 1 and found.first_cut.startswith("b.csv.gz byte ")
    assert found.lines >= found.unreadable >= 3
    assert "1 file is not read to the end, so more may be missing: b.csv.gz byte" in said(found)


def test_columns_that_differ_by_case_only_are_told(spark: SparkSession, tmp_path: Path) -> None:
    pq.write_table(pa.table({"Text": ["甲。"], "text": ["乙。"]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="differ by upper and lower case only: `text`") as caught:
        losses(spark, tmp_path / "a.parquet")
    assert "spark.sql.caseSensitive=true" in caught.value.remedy


def test_a_text_file_that_holds_many_documents_is_told(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("甲出生于乙，是丙的儿子。\n" * 200, encoding="utf-8")
    settings = load_settings(None, {"input": (str(tmp_path),)}, {})
    found = open_source(spark, settings, find_input(settings))
    console = Console(file=io.StringIO(), width=400)
    extract_messages.source(console, found)
    assert isinstance(console.file, io.StringIO)
    assert "Note:     a.txt holds 200 lines, and is read as one document" in console.file.getvalue()


def test_lines_are_told_where_they_are_more_than_records() -> None:
    told = said(Losses(unreadable=1, lines=1991, longest="a.csv lines 11 to 2001"))
    assert "Rejected: 1 record (1,991 lines) cannot be read: a.csv lines 11 to 2001; `documents` lists" in told
    assert said(Losses()) == ""
