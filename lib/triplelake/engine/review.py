"""What a sample leaves behind: a sheet in which people judge its triples, and a few texts with theirs marked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count, groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from pyarrow.fs import FileSystem, FileType
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from rich.console import Console

from triplelake.console import say
from triplelake.evaluate.review import COLUMNS, ENCODING
from triplelake.export.delimited import rows_of_cells, without_formula
from triplelake.tables.schemas import CHUNKS
from triplelake.tables.store import Store, absolute
from triplelake.tables.views import register

_BESIDE = ("marked", "lang", "doc_id")
"""Columns after those that a sheet must have."""

_SHOWN_TEXTS = 5
_VERSION = ["doc_id", "doc_version"]


def leave_review(store: Store, documents: DataFrame, console: Console) -> None:
    """Write `review.csv` beside the tables, or for a catalog into this folder, and show five texts of the sample.

    A sheet that is there may hold verdicts, so that another one gets a number.

    Args:
        documents: of the sample: `doc_id`, `doc_version`.
    """
    triples = _triples(store, documents)
    _show(triples, console)
    folder = str(Path.cwd()) if store.in_catalog else absolute(store.output)
    filesystem, path = FileSystem.from_uri(folder)
    names = ("review.csv", *(f"review-{number}.csv" for number in range(2, 100)))
    name = next(each for each in names if filesystem.get_file_info(f"{path}/{each}").type == FileType.NotFound)
    with filesystem.open_output_stream(f"{path}/{name}") as out:
        out.write(sheet(triples).encode(ENCODING))
    line = f"Review:   {len(triples):,} triples to judge: fill in `verdict` in {folder}/{name}, then:"
    say(console, line)
    command = f"          python jobs/evaluate.py --review {folder}/{name}"
    say(console, command)


def sheet(triples: Iterable[dict[str, Any]]) -> str:
    """The sheet's text: a line for each triple, with an empty verdict."""
    head = (*COLUMNS, *_BESIDE)
    rows = (
        {**triple, "verdict": "", "marked": marked(triple, triple["evidence"], triple["evidence_start"])}
        for triple in triples
    )
    return rows_of_cells([head, *([without_formula(row[name]) for name in head] for row in rows)])


def marked(triple: dict[str, Any], text: str, start: int) -> str:
    """A text with the triple's subject in 【】 and its object in 〖〗, where they stand in it.

    Args:
        start: code point of the document where the text begins.
    """
    found: list[tuple[int, bool, int, str]] = []
    for role, before, after in (("subject", "【", "】"), ("object", "〖", "〗")):
        low, high = triple[f"{role}_start"], triple[f"{role}_end"]
        if triple[f"{role}_from"] == "title" or low is None or not start <= low < high <= start + len(text):
            continue
        # At one place what ends comes before what begins, and of two the longer one is outside.
        found += [(low - start, True, low - high, before), (high - start, False, high - low, after)]
    parts, at = [], 0
    for place, _, _, mark in sorted(found):
        parts += [text[at:place], mark]
        at = place
    return "".join((*parts, text[at:]))


def _triples(store: Store, documents: DataFrame) -> list[dict[str, Any]]:
    register(store)
    chunks = store.read(CHUNKS).select("chunk_id", F.col("text").alias("chunk_text"))
    rows = (
        store.spark.table("current_triples")
        .join(documents.select(*_VERSION).distinct(), _VERSION)
        .join(chunks, "chunk_id")
        .orderBy("doc_id", "subject_start", "object_start", "triple_id")
        .collect()
    )
    return [row.asDict() for row in rows]


def _show(triples: Sequence[dict[str, Any]], console: Console) -> None:
    for number, (_, same) in zip(count(1), _texts(triples), strict=False):
        rows = list(same)
        say(console, f"\n{number}. {rows[0]['chunk_text']}")
        for row in rows:
            place = marked(row, row["evidence"], row["evidence_start"])
            line = f"   {row['subject']} | {row['predicate']} | {row['object']}\n      {place}"
            say(console, line)
    console.print("")


def _texts(triples: Sequence[dict[str, Any]]) -> Iterator[tuple[str, Iterable[dict[str, Any]]]]:
    """The first chunks that have triples, of different documents."""
    seen: set[str] = set()
    for chunk, same in groupby(sorted(triples, key=itemgetter("doc_id", "chunk_id")), key=itemgetter("chunk_id")):
        rows = list(same)
        if len(seen) < _SHOWN_TEXTS and rows[0]["doc_id"] not in seen:
            seen.add(rows[0]["doc_id"])
            yield chunk, rows
