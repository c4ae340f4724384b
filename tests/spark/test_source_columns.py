"""Columns of Parquet and Delta: of any name, inside structs, and beside what Spark does not read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from pyspark.sql import SparkSession

from triplelake.config import load_settings
from triplelake.corpus.inputs import find_input
from triplelake.engine.planning.source import Source, open_source
from triplelake.errors import InputError

pytestmark = pytest.mark.spark

TEXTS = ["林若兰生于临川城。", "陳若蘭生於臨川城。", "Edda Lund was born in Harrow."]


def _open(spark: SparkSession, **chosen: Any) -> Source:
    settings = load_settings(None, {key.replace("__", "."): value for key, value in chosen.items()}, {})
    return open_source(spark, settings, find_input(settings))


def _odd_columns() -> pa.Table:
    """Names with dots and backticks, structs, a list, a map, bytes, and types that Spark does not know."""
    inner = [{"v1.2": text, "at": 1, "名`": {"x": number}} for number, text in enumerate(TEXTS)]
    return pa.table(
        {
            "a.b": TEXTS,
            "a`b": ["x", "y", "z"],
            "a": pa.array(
                inner,
                pa.struct([("v1.2", pa.string()), ("at", pa.timestamp("ns")), ("名`", pa.struct([("x", pa.int64())]))]),
            ),
            "at": pa.array([1, 2, 3], pa.timestamp("ns", "UTC")),
            "of day": pa.array([1, 2, 3], pa.time32("s")),
            "halves": pa.array(np.ones(3, np.float16)),
            "raw": pa.array([b"1", b"2", b"3"]),
            "turns": pa.array([[{"value": "x"}]] * 3),
            "labels": pa.array([[("zh", text)] for text in TEXTS], pa.map_(pa.string(), pa.string())),
        }
    )


@pytest.mark.parametrize("text", ["a.b", "a.v1.2", "labels.zh"])
def test_columns_of_any_name_and_inside_structs_are_read_whatever_is_beside_them(
    text: str, spark: SparkSession, tmp_path: Path
) -> None:
    file = tmp_path / "in.parquet"
    pq.write_table(_odd_columns(), file)
    source = _open(
        spark,
        input=(str(file),),
        corpus__text_column=text,
        corpus__id_column="a.名`.x",
        corpus__title_column="a`b",
        corpus__keep_columns=("a.b", "labels.en", "a.名`"),
    )
    rows = {row["doc_id"]: row for row in source.documents().collect()}
    assert [rows[f"{number}"]["text"] for number in range(3)] == TEXTS
    assert [rows[f"{number}"]["title"] for number in range(3)] == ["x", "y", "z"]
    assert rows["1"]["meta"] == {"a.b": TEXTS[1], "a.名`": '{"x": 1}'}
    assert source.sample()[0]["a.b"] == TEXTS[0]


def test_delta_has_the_same_columns(spark: SparkSession, tmp_path: Path) -> None:
    write_deltalake(tmp_path / "table", _odd_columns().select(["a.b", "a`b", "raw", "turns"]))
    source = _open(
        spark,
        input=(str(tmp_path / "table"),),
        corpus__format="delta",
        corpus__text_column="a.b",
        corpus__id_column="a`b",
    )
    assert {row["doc_id"]: row["text"] for row in source.documents().collect()} == dict(zip("xyz", TEXTS, strict=True))


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"text_column": "a"}, "a: is an object, not text (corpus.text_column)\nName what is inside it: "),
        ({"text_column": "v1.2"}, "It lies inside an object: --text-column a.v1.2\n"),
        ({"text_column": "raw"}, "raw: is bytes, not text (corpus.text_column)\nCast it to text first, "),
        ({"text_column": "turns"}, "SELECT *, explode(turns) AS item FROM …\nThen: --text-column item.value"),
        ({"text_column": "labels"}, "is a map, not text (corpus.text_column)\nName one of its keys: --text-column "),
        ({"id_column": "at"}, "at: is a timestamp in nanoseconds, which Spark does not read (corpus.id_column)\n"),
        ({"keep_columns": ("a.at",)}, "a.at: is a timestamp in nanoseconds"),
        ({"keep_columns": ("raw",)}, "raw: is bytes (corpus.keep_columns)"),
        ({"id_column": "turns"}, "turns: is a list (corpus.id_column)"),
    ],
)  # fmt: skip
def test_a_column_that_cannot_be_what_it_is_named_for_is_refused_for_what_it_is(
    chosen: dict[str, Any], told: str, spark: SparkSession, tmp_path: Path
) -> None:
    file = tmp_path / "in.parquet"
    pq.write_table(_odd_columns(), file)
    chosen = {"text_column": "a.b", **chosen}
    with pytest.raises(InputError) as caught:
        _open(spark, input=(str(file),), **{f"corpus__{key}": value for key, value in chosen.items()})
    assert told in str(caught.value)


def test_articles_of_the_wiki_extractor_are_documents(spark: SparkSession, tmp_path: Path) -> None:
    file = tmp_path / "AA" / "wiki_00"
    file.parent.mkdir()
    file.write_text(
        "".join(f'<doc id="{n}" url="u" title="条目{n}">\n条目{n}\n\n{text}\n</doc>\n' for n, text in enumerate(TEXTS)),
        encoding="utf-8",
    )
    source = _open(spark, input=(str(tmp_path / "AA"),), corpus__keep_columns=["url"])
    rows = source.documents().orderBy("doc_id").collect()
    assert [(row["doc_id"], row["title"], row["text"]) for row in rows] == [
        (str(n), f"条目{n}", text) for n, text in enumerate(TEXTS)
    ]
    assert [dict(row["meta"]) for row in rows] == [{"url": "u"}] * len(TEXTS)
