"""What a sample leaves behind: a sheet in which people judge its triples, and a few texts with theirs marked.

A relation is called by its name in the language of the text, as the model was asked; `predicate` stays its id.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count, groupby
from operator import itemgetter
from typing import Any

from pyarrow.fs import FileType
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from rich.console import Console

from triplelake.config import RunSettings
from triplelake.console import say
from triplelake.engine.asking.open_pool import PromptFiles
from triplelake.errors import OutputError
from triplelake.evaluate.review import ENCODING
from triplelake.evaluate.sampling import drawn
from triplelake.filesystems import locate
from triplelake.prompt.ontology import Ontology
from triplelake.prompt.prompts import Prompt
from triplelake.spreadsheets import rows_of_cells, without_formula
from triplelake.tables.schemas import CHUNKS, EXTRACTION_COLUMNS, VERSION_COLUMNS
from triplelake.tables.store import Store
from triplelake.tables.views import Views
from triplelake.types import Lang

_WRITTEN = (
    "triple_id",
    "subject",
    "predicate",
    "relation",
    "object",
    "evidence",
    "verdict",
    "marked",
    "lang",
    "doc_id",
    "document",
    "weight",
    "confidence",
)
"""Columns of a sheet: those that it must have, and what helps to judge. `document` numbers the documents, since a
spreadsheet may save a long `doc_id` as 1.2E+17. `weight` and `confidence` stand last: who reads first how sure a triple
is judges by it, and a row of a large weight is one of those whose confidence is near 0 or 1."""

_SHOWN_TEXTS = 5
_SILENT_ROWS = 20
"""Texts without a triple that a sheet has at most."""


def leave_review(
    store: Store, documents: DataFrame, prompt_files: PromptFiles, settings: RunSettings, console: Console
) -> None:
    """Write `review.csv` beside the tables, or for a catalog into this folder, and show five texts of the sample.

    A sheet that is there may hold verdicts, so that another one gets a number.

    Args:
        documents: of the sample: `doc_id`, `doc_version`.
        prompt_files: of the run.
        settings: of the run: `sheet_rows`, `seed`.
    """
    found = _triples(store, documents, prompt_files.ontology)
    prompts = prompt_files.prompts
    _show(found, prompts, console)
    confidences = {triple["triple_id"]: triple["confidence"] for triple in found}
    weights = drawn(confidences, settings.sheet_rows or len(found), settings.seed)
    # In the order of the documents, so that the triples of a sentence are judged together.
    triples = [{**triple, "weight": weights[triple["triple_id"]]} for triple in found if triple["triple_id"] in weights]
    silent = _silent(store, documents)
    names = ("review.csv", *(f"review-{number}.csv" for number in range(2, 100)))
    places = (locate(store.beside(name), OutputError) for name in names)
    place = next(each for each in places if each.fs.get_file_info(each.path).type == FileType.NotFound)
    with place.fs.open_output_stream(place.path) as out:
        out.write(sheet(triples, prompts, silent).encode(ENCODING))
    written = place.written(place.path)
    of = f", drawn from {len(found):,} (run.sheet_rows)," if len(triples) < len(found) else ""
    say(console, f"Review:   {len(triples):,} triples{of} to judge: fill in `verdict` in {written}, then:")
    if silent:
        say(
            console,
            f"          Its last {len(silent):,} rows are texts in which nothing was found (docs/own-model.md).",
        )
    say(console, f"          triplelake evaluate --review {shlex.quote(written)}")
    say(console, "          and for how sure each triple is:")
    output = shlex.quote(store.output)
    say(console, f"          triplelake calibrate --output {output} --review {shlex.quote(written)}")


def sheet(
    triples: Iterable[dict[str, Any]], prompts: Mapping[Lang, Prompt], silent: Iterable[dict[str, Any]] = ()
) -> str:
    """The sheet's text: a line for each triple, with an empty verdict, and one for each text without any.

    Args:
        prompts: have the words for title and context.
        silent: such texts, each with `evidence`, `lang` and `doc_id`.
    """
    numbers: dict[str, int] = {}
    rows = [
        {
            **triple,
            "verdict": "",
            "marked": marked(triple, prompts),
            "document": numbers.setdefault(triple["doc_id"], len(numbers) + 1),
            "weight": f"{triple['weight']:.10g}",
            "confidence": None if triple["confidence"] is None else round(triple["confidence"], 2),
        }
        for triple in triples
    ]
    rows += [{**each, "document": numbers.setdefault(each["doc_id"], len(numbers) + 1)} for each in silent]
    return rows_of_cells([_WRITTEN, *([without_formula(row.get(name, "")) for name in _WRITTEN] for row in rows)])


def marked(triple: Mapping[str, Any], prompts: Mapping[Lang, Prompt]) -> str:
    """The evidence with a triple's subject in 【】 and its object in 〖〗; before it the one that stands elsewhere."""
    text, first = triple["evidence"], triple["evidence_start"]
    found: list[tuple[int, bool, int, str]] = []
    elsewhere = []
    for role, before, after in (("subject", "【", "】"), ("object", "〖", "〗")):
        low, high = triple[f"{role}_start"], triple[f"{role}_end"]
        if (place := prompts[triple["lang"]].review.get(triple[f"{role}_from"])) is not None:
            elsewhere.append(f"（{place}：{before}{triple[role]}{after}）")
        elif low is not None and first <= low < high <= first + len(text):
            # Sorted, a closing mark stands before an opening one at the same offset. Of two entities that begin or end
            # together the longer one gets the outer marks.
            found += [(low - first, True, low - high, before), (high - first, False, high - low, after)]
    parts, at = [], 0
    for offset, _, _, mark in sorted(found):
        parts += [text[at:offset], mark]
        at = offset
    return "".join((*elsewhere, *parts, text[at:]))


def _triples(store: Store, documents: DataFrame, ontology: Ontology | None) -> list[dict[str, Any]]:
    chunks = store.read(CHUNKS).select("chunk_id", F.col("text").alias("chunk_text"))
    rows = (
        Views(store)["current_triples"]
        .join(documents.select(*VERSION_COLUMNS).distinct(), VERSION_COLUMNS)
        .join(chunks, "chunk_id")
        .orderBy("doc_id", "subject_start", "object_start", "triple_id")
        .collect()
    )
    names = {relation.id: relation.names for relation in ontology.relations} if ontology else {}
    return [
        {**row.asDict(), "relation": names.get(row["predicate"], {}).get(row["lang"], row["predicate"])} for row in rows
    ]


def _silent(store: Store, documents: DataFrame) -> list[dict[str, Any]]:
    """Some texts of the sample that were answered, and in which nothing was found."""
    views = Views(store)
    rows = (
        store.read(CHUNKS)
        .join(documents.select(*VERSION_COLUMNS).distinct(), VERSION_COLUMNS)
        .join(views["current_documents"], EXTRACTION_COLUMNS, "left_semi")
        .join(views["answers"].where("status <> 'failed'"), "request_id", "left_semi")
        .join(views["current_triples"], "chunk_id", "left_anti")
        .select(F.col("text").alias("evidence"), "lang", "doc_id")
        # By lot, and the same ones each time.
        .orderBy(F.xxhash64("doc_id", "text"))
        .limit(_SILENT_ROWS)
        .collect()
    )
    return [row.asDict() for row in rows]


def _show(triples: Sequence[dict[str, Any]], prompts: Mapping[Lang, Prompt], console: Console) -> None:
    for number, (_, same) in zip(count(1), _texts(triples), strict=False):
        rows = list(same)
        say(console, f"\n{number}. {rows[0]['chunk_text']}")
        for row in rows:
            say(console, f"   {row['subject']} | {row['relation']} | {row['object']}\n      {marked(row, prompts)}")
    console.print("")


def _texts(triples: Sequence[dict[str, Any]]) -> Iterator[tuple[str, Iterable[dict[str, Any]]]]:
    """The first chunks that have triples, of different documents."""
    seen: set[str] = set()
    for chunk, same in groupby(sorted(triples, key=itemgetter("doc_id", "chunk_id")), key=itemgetter("chunk_id")):
        rows = list(same)
        if len(seen) < _SHOWN_TEXTS and rows[0]["doc_id"] not in seen:
            seen.add(rows[0]["doc_id"])
            yield chunk, rows
