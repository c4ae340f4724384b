"""Every format gives the same documents, and what cannot be read is listed."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from harness.bench import Bench
from pyspark.sql import SparkSession

from triplelake.config import load_settings
from triplelake.corpus.inputs import find_input
from triplelake.engine.planning.source import open_source

pytestmark = pytest.mark.spark

TEXTS = [
    "林若兰生于临川城，在云梦书院教书。",
    "陳若蘭生於臨川城，在雲夢書院教書。",
    "Edda Lund was born in Harrow and lived in Ostrell.",
]


def _json(folder: Path) -> Path:
    file = folder / "in.json"
    file.write_text(json.dumps([{"sentence": text} for text in TEXTS], ensure_ascii=False), encoding="utf-8")
    return file


def _jsonl_gz(folder: Path) -> Path:
    file = folder / "in.jsonl.gz"
    with gzip.open(file, "wt", encoding="utf-8") as out:
        out.writelines(json.dumps({"content": text}) + "\n" for text in TEXTS)
    return file


def _in_gb18030(folder: Path) -> Path:
    file = folder / "in.json"
    file.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in TEXTS), "gb18030")
    return file


def _pages(folder: Path) -> Path:
    file = folder / "in.parquet"
    pq.write_table(pa.table({"text": [f"<p>{text}</p>" for text in TEXTS]}), file)
    return file


def _delimited(ending: str, delimiter: str, column: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        file = folder / f"in.{ending}"
        with file.open("w", encoding="utf-8", newline="") as out:
            rows = csv.writer(out, delimiter=delimiter)
            rows.writerow(["号", column])
            rows.writerows(enumerate(TEXTS))
        return file

    return write


def _lines(folder: Path) -> Path:
    file = folder / "in.txt"
    file.write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    return file


def _folder_of_texts(folder: Path) -> Path:
    texts = folder / "texts"
    for number, text in enumerate(TEXTS):
        file = texts / f"{number}" / "内容.txt"
        file.parent.mkdir(parents=True)
        file.write_text(text, encoding="utf-8")
    return texts


def _parquet(folder: Path) -> Path:
    file = folder / "in.parquet"
    pq.write_table(pa.table({"text": TEXTS}), file)
    return file


def _delta(folder: Path) -> Path:
    write_deltalake(folder / "table", pa.table({"sentence": TEXTS}))
    return folder / "table"


FORMATS: dict[str, tuple[Callable[[Path], Path], dict[str, Any]]] = {
    "json": (_json, {}),
    "jsonl.gz": (_jsonl_gz, {}),
    "json lines in gb18030": (_in_gb18030, {}),
    "html": (_pages, {"corpus.html_to_text": True}),
    "csv": (_delimited("csv", ",", "正文"), {}),
    "tsv": (_delimited("tsv", "\t", "内容"), {}),
    "lines": (_lines, {"corpus.format": "lines"}),
    "text": (_folder_of_texts, {"corpus.format": "text"}),
    "parquet": (_parquet, {}),
    "delta": (_delta, {"corpus.format": "delta"}),
}


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_gives_the_same_documents(form: str, spark: SparkSession, tmp_path: Path) -> None:
    write, chosen = FORMATS[form]
    settings = load_settings(None, {"input": (str(write(tmp_path)),), **chosen}, {})
    source = open_source(spark, settings, find_input(settings))
    documents = source.documents().collect()
    assert sorted((row["text"], row["title"], row["reason"]) for row in documents) == sorted(
        (text, None, None) for text in TEXTS
    )
    by_path = chosen.get("corpus.format") == "text"
    assert ("each one document" in source.description) == by_path
    names = {f"{number}/内容.txt" for number in range(3)} if by_path else {row["doc_version"] for row in documents}
    assert {row["doc_id"] for row in documents} == names


def test_a_file_gives_the_same_documents_in_every_encoding(spark: SparkSession, tmp_path: Path) -> None:
    text = "".join(f"陳若蘭生於臨川城，在雲夢書院教書{number}年，後來遷居東海之濱。\n" for number in range(20))
    found = set()
    for encoding in ("utf-8", "utf-8-sig", "gb18030", "big5", "utf-16"):
        file = tmp_path / f"{encoding}.txt"
        file.write_text(text, encoding)
        settings = load_settings(None, {"input": (str(file),), "corpus.format": "lines"}, {})
        rows = open_source(spark, settings, find_input(settings)).documents().collect()
        # What triples come of, and where they stand: no more than this decides them.
        found.add(frozenset((row["doc_id"], row["doc_version"], row["text"], row["reason"]) for row in rows))
    [documents] = found
    assert sorted(text for _, _, text, _ in documents) == sorted(text.split())


@pytest.mark.infra
def test_records_that_cannot_be_read_are_listed_and_stop_nothing(bench: Bench) -> None:
    file = bench.folder / "broken.jsonl"
    good = [json.dumps({"id": number, "text": text}, ensure_ascii=False) for number, text in enumerate(TEXTS)]
    lines = [good[0], '{"id": 7, "text": ', good[1], '{"id": 8, "text": null}', good[2], good[0]]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")

    run_row = bench.extract(file, corpus__id_column="id")
    assert (run_row.documents, run_row.rejected) == (3, 3)
    rejected = [row for row in bench.lake.rows("documents") if row["state"] == "rejected"]
    starts = list(accumulate((len(line.encode()) + 1 for line in lines), initial=0))
    assert {row["place"] for row in rejected} == {f"byte {starts[number]}" for number in (1, 3, 5)}
    assert all(row["source"].endswith("broken.jsonl") and row["reason"] for row in rejected)
    assert "Rejected: 2 records cannot be read: broken.jsonl byte " in bench.said
    assert "          1 record whose id stands on an earlier one too, with the very text of the first" in bench.said

    counts = bench.lake.counts()
    bench.extract(file, corpus__id_column="id")
    assert bench.lake.counts() == counts | {"runs": counts["runs"] + 1}

    # A record that repeats a published document must not be counted against one that is new.
    with file.open("a", encoding="utf-8") as out:
        out.write(json.dumps({"id": 9, "text": "赵若兰生于临川城，在云梦书院教书。"}) + "\n")
    assert bench.extract(file, corpus__id_column="id").documents == 1
    assert "9" in {row["doc_id"] for row in bench.lake.view("current_triples")}
