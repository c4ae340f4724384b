"""A report's numbers and samples, from the tables and views of an output."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from triplelake.report import model
from triplelake.report.model import Cause, Document, Edge, Mention, OutputCounts, Place, RelationCount, Report, Run
from triplelake.tables.schemas import EXTRACTION_COLUMNS, SEQUENCE
from triplelake.tables.store import Store
from triplelake.tables.views import Views

_USED = "grounding <> 'none' AND size(flags) = 0"
_SUPPORT = ("documents <= 1", "documents = 2", "documents BETWEEN 3 AND 5", "documents > 5")
_NO_MESSAGE = 300


def gather(store: Store, views: Views, documents: int = model.SHOWN_DOCUMENTS) -> Report:
    """The report of an output.

    Args:
        views: of it, fixed, so that the counts are of one moment.
        documents: how many are shown. What comes to the driver is bounded by this and the numbers in `model`.
    """
    return _Gathering(store, views, documents).report()


class _Gathering:
    def __init__(self, store: Store, views: Views, documents: int) -> None:
        self._store = store
        self._views = views
        self._shown = documents

    def report(self) -> Report:
        asked = self._runs.where("extraction_key IS NOT NULL").select("settings", "versions").first()
        settings = json.loads(asked["settings"]) if asked else {}
        versions = json.loads(asked["versions"]) if asked else {}
        relations = self._views["relations"].orderBy(F.desc("mentions"), "predicate")
        facts = (
            self._views["facts"]
            .groupBy()
            .agg(
                F.count(F.lit(1)).alias("facts"),
                *(F.count_if(F.expr(condition)).alias(f"support_{rank}") for rank, condition in enumerate(_SUPPORT)),
            )
            .collect()[0]
        )
        return Report(
            output=self._store.output,
            made_at=datetime.now(UTC),
            model=str(versions.get("model") or ""),
            ontology=str(settings.get("ontology") or ""),
            input=", ".join(settings.get("input") or ()),
            counts=self._counts(facts["facts"]),
            runs=tuple(_run(row) for row in self._runs.limit(model.SHOWN_RUNS).collect()),
            relations=tuple(
                RelationCount(row["predicate"], row["mentions"], row["facts"], row["documents"], row["flagged"])
                for row in relations.limit(model.SHOWN_RELATIONS).collect()
            ),
            relations_in_all=relations.count(),
            support=(facts["support_0"], facts["support_1"], facts["support_2"], facts["support_3"]),
            failures=self._causes(self._views["failures"], "coalesce(error_code, '')", "error_message"),
            rejections=self._rejections(),
            documents=self._documents(),
            edges=self._edges(),
        )

    @cached_property
    def _runs(self) -> DataFrame:
        return self._views["runs"].orderBy(F.desc(SEQUENCE), F.desc("ended_at"))

    def _counts(self, facts: int) -> OutputCounts:
        published = self._views["current_documents"]
        documents = published.agg(F.count(F.lit(1)), F.sum("chunks"), F.sum("failed")).collect()[0]
        triples = self._views["current_triples"]
        mentions = triples.agg(F.count(F.lit(1)), F.count_if(~F.expr(_USED))).collect()[0]
        rejected = self._views["documents"].where("state = 'rejected'").select("source", "place", "reason")
        return OutputCounts(
            documents=documents[0],
            rejected=rejected.distinct().count(),
            chunks=documents[1] or 0,
            failed_chunks=documents[2] or 0,
            mentions=mentions[0],
            flagged=mentions[1],
            facts=facts,
            entities=self._views["entities"].count(),
        )

    def _rejections(self) -> tuple[Cause, ...]:
        # A record is rejected anew by every run that meets it.
        once = self._views["documents"].where("state = 'rejected'").select("source", "place", "reason").distinct()
        return self._causes(once, "coalesce(reason, '')", "concat_ws(', ', source, place)")

    def _causes(self, found: DataFrame, what: str, example: str) -> tuple[Cause, ...]:
        rows = found.groupBy(F.expr(what).alias("what"))
        counted = rows.agg(F.count(F.lit(1)).alias("count"), F.min(F.expr(example)).alias("example"))
        worst = counted.orderBy(F.desc("count"), "what").limit(model.SHOWN_CAUSES).collect()
        return tuple(Cause(row["what"], row["count"], (row["example"] or "")[:_NO_MESSAGE]) for row in worst)

    def _documents(self) -> tuple[Document, ...]:
        """A sample by hash, each with the beginning of its text and the triples that stand there."""
        published = self._views["current_documents"]
        chosen = published.orderBy(F.xxhash64("doc_id"), "doc_id").limit(self._shown)
        rows = chosen.select(*EXTRACTION_COLUMNS, "title", "lang").collect()
        # By value: a join with the limited rows would sort all documents once more.
        ids = [row["doc_id"] for row in rows]
        texts = self._texts(ids)
        mentions = self._mentions(ids)
        found = []
        for row in rows:
            text = texts[row["doc_id"], row["doc_version"], row["extraction_key"]]
            shown = text[: model.SHOWN_CHARS]
            inside = [each for each in mentions[row["doc_id"]] if _begins_in(each, len(shown))]
            cut = len(text) > len(shown)
            found.append(Document(row["doc_id"], row["title"] or "", shown, row["lang"] or "", cut, tuple(inside)))
        return tuple(found)

    def _texts(self, ids: list[str]) -> Mapping[tuple[str, str, str], str]:
        chunks = self._views["chunks"].where(F.col("doc_id").isin(ids) & (F.col("char_start") <= model.SHOWN_CHARS))
        texts: dict[tuple[str, str, str], str] = defaultdict(str)
        for row in chunks.select(*EXTRACTION_COLUMNS, "ordinal", "text").distinct().orderBy("ordinal").collect():
            texts[row["doc_id"], row["doc_version"], row["extraction_key"]] += row["text"]
        return texts

    def _mentions(self, ids: list[str]) -> Mapping[str, list[Mention]]:
        triples = self._views["current_triples"].where(F.col("doc_id").isin(ids))
        early = triples.where(F.col("evidence_start") <= model.SHOWN_CHARS).orderBy("evidence_start", "triple_id")
        mentions: dict[str, list[Mention]] = defaultdict(list)
        for row in early.collect():
            flags = (*row["flags"], *(["not grounded"] if row["grounding"] == "none" else []))
            ends = (_place(row, "subject"), _place(row, "object"))
            mentions[row["doc_id"]].append(
                Mention(row["subject"], row["predicate"], row["object"], ends[0], ends[1], flags, row["confidence"])
            )
        return mentions

    def _edges(self) -> tuple[Edge, ...]:
        best = self._views["facts"].orderBy(F.desc("documents"), F.desc("mentions"), "fact_id")
        names = ("subject_id", "subject", "predicate", "object_id", "object", "mentions", "documents")
        return tuple(Edge(*row) for row in best.select(*names).limit(model.SHOWN_FACTS).collect())


def _run(row: Row) -> Run:
    counts = {name: row[name] or 0 for name in ("documents", "answered", "failed", "triples", "completion_tokens")}
    return Run(
        started_at=row["started_at"].astimezone(UTC),
        command=row["command"],
        status=row["status"],
        asking_s=row["asking_s"],
        error=row["error"],
        **counts,
    )


def _place(row: Row, role: str) -> Place | None:
    if row[f"{role}_start"] is None:
        return None
    return Place(row[f"{role}_start"], row[f"{role}_end"], row[f"{role}_from"] == "title")


def _begins_in(mention: Mention, length: int) -> bool:
    """Whether a triple can be shown on that much of the text."""
    return all(place.in_title or place.end <= length for place in mention.places)
