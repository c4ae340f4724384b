"""What a run made of the documents of a gold file, read from its tables."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import pyarrow as pa
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from triplelake.errors import InputError
from triplelake.evaluate.answers import Answered, Place, PublishedTriple, Reply
from triplelake.evaluate.gold import GoldDocument
from triplelake.evaluate.report import Run
from triplelake.prompt.answer_form import ARRAYS
from triplelake.tables.schemas import CHUNKS, EXTRACTION_COLUMNS, RUNS, SEQUENCE
from triplelake.tables.store import Store
from triplelake.tables.views import Views

# White space is no part of a text's identity: a reader may have left out the line's end.
_TEXT_KEY = "sha2(regexp_replace({}, '[\\\\s\\\\u3000]+', ''), 256)"
_MENTIONS = """
SELECT t.* FROM {current_triples} t LEFT SEMI JOIN {wanted} w ON t.doc_id = w.doc_id"""
_REPLIES = """
SELECT c.doc_id, c.ordinal, c.text, c.title, c.context, c.lang,
       a.status, a.error_code, a.completion, a.completion_tokens
FROM {chunks} c
JOIN {wanted} w ON c.doc_id = w.doc_id AND c.doc_version = w.doc_version AND c.extraction_key = w.extraction_key
LEFT JOIN {answers} a ON c.request_id = a.request_id
ORDER BY c.doc_id, c.ordinal"""


@dataclass(frozen=True)
class GoldAnswers:
    """Gold documents with what was made of them, those in the output only.

    Args:
        documents: a gold document without a text has that of the output.
        missing: gold documents that the output lacks.
        by: `doc_id` or `text`.
        changed: documents of the same id with another text.
    """

    documents: tuple[tuple[GoldDocument, Answered], ...]
    missing: tuple[GoldDocument, ...]
    by: Literal["doc_id", "text"]
    changed: int


def find(store: Store, gold: Sequence[GoldDocument], *, own_ids: bool) -> GoldAnswers:
    """The documents of an output that gold speaks of: by id where any id is there, else by text.

    Args:
        own_ids: the ids are the documents' own, and not made by the reader of the format.

    Raises:
        InputError: there is none.
    """
    views = Views(store)
    current = views["current_documents"].select(*EXTRACTION_COLUMNS, "lang")
    by: Literal["doc_id", "text"] = "doc_id"
    matched = _by_id(store, current, gold) if own_ids else {}
    if not matched:
        by = "text"
        matched = _by_text(store, current, gold)
    if not matched:
        raise InputError(
            store.output,
            "holds none of the documents of the gold file, neither by id nor by text",
            "Extract the file's texts first; or name the column with their ids: --id-column.",
        )
    answered = _answered(views, store, current, {row["doc_id"] for row in matched.values()})
    pairs = [(each, answered.get(matched[each.id]["doc_id"])) for each in gold if each.id in matched]
    documents = tuple((_with_text(each, found), found) for each, found in pairs if found)
    changed = sum(bool(each.text) and _squeezed(each.text) != _squeezed(found.text) for each, found in documents)
    return GoldAnswers(documents, tuple(each for each in gold if each.id not in matched), by, changed)


def run_of(store: Store, found: GoldAnswers) -> Run:
    """What made the judged documents: of the newest run with their key."""
    keys = {
        row["extraction_key"]
        for row in Views(store)["current_documents"]
        .join(_ids(store, [each.doc_id for _, each in found.documents]), "doc_id", "left_semi")
        .select("extraction_key")
        .distinct()
        .collect()
    }
    return run_of_keys(store, keys)


def run_of_keys(store: Store, keys: Iterable[str]) -> Run:
    """What made the documents of extraction keys: of the newest run with one of them that knew its model.

    Those that only read answers anew did not, before they took it over from the run that asked.
    """
    asked = F.col("extraction_key").isin(list(keys)) & F.col("versions").contains('"model"')
    runs = store.read(RUNS).where(asked).orderBy(F.desc(SEQUENCE), F.desc("ended_at"))
    row = runs.select("settings", "versions").first()
    settings = json.loads(row["settings"]) if row and row["settings"] else {}
    versions = json.loads(row["versions"]) if row and row["versions"] else {}
    return Run(
        output=store.output,
        model=versions.get("model"),
        extraction_keys=tuple(sorted(keys)),
        settings=settings,
        form=versions.get("form", ARRAYS.name),
    )


def _by_id(store: Store, current: DataFrame, gold: Sequence[GoldDocument]) -> dict[str, Row]:
    ids = _ids(store, [each.id for each in gold])
    return {row["doc_id"]: row for row in current.join(ids, "doc_id", "left_semi").collect()}


def _by_text(store: Store, current: DataFrame, gold: Sequence[GoldDocument]) -> dict[str, Row]:
    rows = [{"gold_id": each.id, "text": each.text} for each in gold if each.text.strip()]
    if not rows:
        return {}
    schema = pa.schema([("gold_id", pa.string()), ("text", pa.string())])
    wanted = store.spark.createDataFrame(pa.Table.from_pylist(rows, schema=schema)).select(
        "gold_id", F.expr(_TEXT_KEY.format("text")).alias("text_key")
    )
    # Chunks tile a document.
    pieces = F.array_sort(F.collect_list(F.struct("ordinal", "text")))["text"]
    texts = (
        store.read(CHUNKS)
        .join(current, EXTRACTION_COLUMNS, "left_semi")
        .groupBy(*EXTRACTION_COLUMNS)
        .agg(F.array_join(pieces, "").alias("text"))
        .select(*EXTRACTION_COLUMNS, F.expr(_TEXT_KEY.format("text")).alias("text_key"))
    )
    found: dict[str, Row] = {}
    for row in texts.join(F.broadcast(wanted), "text_key").orderBy("doc_id").collect():
        # Documents of one text have the same answers: the first stands for all.
        found.setdefault(row["gold_id"], row)
    return found


def _answered(views: Views, store: Store, current: DataFrame, doc_ids: Iterable[str]) -> dict[str, Answered]:
    wanted = current.join(_ids(store, sorted(doc_ids)), "doc_id", "left_semi")
    mentions: dict[str, list[PublishedTriple]] = defaultdict(list)
    for row in views.sql(_MENTIONS, wanted=wanted).collect():
        mentions[row["doc_id"]].append(_mention(row))
    chunks: dict[str, list[Row]] = defaultdict(list)
    for row in views.sql(_REPLIES, wanted=wanted).collect():
        chunks[row["doc_id"]].append(row)
    return {
        doc_id: Answered(
            doc_id=doc_id,
            text="".join(row["text"] for row in rows),
            title=rows[0]["title"] or "",
            lang=rows[0]["lang"],
            mentions=tuple(mentions[doc_id]),
            replies=tuple(_reply(row) for row in rows if row["status"]),
        )
        for doc_id, rows in chunks.items()
    }


def _mention(row: Row) -> PublishedTriple:
    places = [_place(row, role, in_title=row[f"{role}_from"] == "title") for role in ("subject", "object")]
    return PublishedTriple(
        fact=(row["subject"], row["predicate"], row["object"]),
        grounded=row["grounding"] != "none",
        flags=tuple(row["flags"] or ()),
        places=(*places, _place(row, "evidence", in_title=False)),
        confidence=row["confidence"],
    )


def _place(row: Row, role: str, *, in_title: bool) -> Place:
    return Place(row[role], in_title, row[f"{role}_start"], row[f"{role}_end"])


def _reply(row: Row) -> Reply:
    parts: Mapping[str, Any] = row.asDict()
    return Reply(
        status=row["status"],
        error_code=row["error_code"],
        completion=row["completion"],
        tokens=row["completion_tokens"] or 0,
        shown="\n".join(parts[name] for name in ("title", "context", "text") if parts[name]),
        lang=row["lang"],
    )


def _ids(store: Store, ids: Sequence[str]) -> DataFrame:
    table = pa.Table.from_pydict({"doc_id": list(ids)}, schema=pa.schema([("doc_id", pa.string())]))
    return F.broadcast(store.spark.createDataFrame(table))


def _with_text(document: GoldDocument, found: Answered) -> GoldDocument:
    return document if document.text else replace(document, text=found.text)


def _squeezed(text: str) -> str:
    return "".join(text.split())
