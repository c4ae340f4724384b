"""From answers to triples: documents whose every chunk is answered are published whole.

The triples of a document land in one commit and its `published` row in a later one, so that
`current_triples` moves from a document's old triples to its new ones at once. A crash between the
two commits leaves triples without their row; the next publication finds them and adds the row alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields

import pyarrow as pa
from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from triplelake.config import AnswerSettings
from triplelake.prompt.ontology import Ontology
from triplelake.tables.mentions import AnsweredChunk, document_rows
from triplelake.tables.schemas import ATTEMPTS, CHUNKS, DOCUMENTS, TRIPLES
from triplelake.tables.store import Store
from triplelake.tables.views import select
from triplelake.triples.derive import derivation_id

_VERSION = ["doc_id", "doc_version"]


@dataclass(frozen=True, slots=True)
class Published:
    """What a publication added."""

    documents: int
    triples: int


@dataclass
class Publisher:
    """Publishes the documents of one plan, as often as asked, each document once.

    Args:
        store: the output.
        plan_id, key, run_id: what is published and by whom.
        ontology, answer: what the answers are read with.
    """

    store: Store
    plan_id: str
    key: str
    run_id: str
    ontology: Ontology | None
    answer: AnswerSettings
    _publications: int = field(default=0, init=False)

    def publish(self) -> Published:
        """Publish the planned documents of which every chunk has an answer by now."""
        return self._publish(self._open_documents())

    def unsettled(self) -> bool:
        """Whether planned documents are not published yet."""
        return not self._open_documents().isEmpty()

    def republish(self) -> Published:
        """Rebuild the triples of documents that an older derivation read; asks nothing."""
        current = select("current_documents", documents=self.store.read(DOCUMENTS))
        stale = (F.col("extraction_key") == self.key) & (F.col("derivation") != self._derivation)
        return self._publish(current.where(stale))

    @property
    def _derivation(self) -> str:
        return derivation_id(self.ontology, self.answer)

    def _open_documents(self) -> DataFrame:
        mine = self.store.read(DOCUMENTS).where(F.col("plan_id") == self.plan_id)
        published = mine.where(F.col("state") == "published").select(*_VERSION)
        return mine.where(F.col("state") == "planned").join(published, _VERSION, "left_anti")

    def _publish(self, documents: DataFrame) -> Published:
        answered = self._answered(documents)
        complete = (
            answered.groupBy(*_VERSION)
            .agg(
                F.count(F.when(F.col("status").isNull(), 1)).alias("open"),
                F.count(F.when(F.col("status") == "failed", 1)).cast("int").alias("failed"),
            )
            .where(F.col("open") == 0)
            .drop("open")
            .persist()
        )
        try:
            if not complete.count():
                return Published(0, 0)
            triples = self._append_triples(answered, complete)
            settled = documents.drop("failed").join(complete, _VERSION)
            count = self._append_documents(settled)
        finally:
            complete.unpersist()
        self._publications += 1
        return Published(count, triples)

    def _answered(self, documents: DataFrame) -> DataFrame:
        chunks = self.store.read(CHUNKS).where(F.col("extraction_key") == self.key)
        # One version for both commits: a document that is complete only for the second would lose its triples.
        attempts = self.store.read_now(ATTEMPTS).where(F.col("extraction_key") == self.key)
        replies = select("answers", attempts=attempts).select(
            "request_id",
            "status",
            F.when(F.col("status") != "failed", F.col("completion")).alias("completion"),
            F.coalesce(F.col("error_code") == "truncated", F.lit(False)).alias("truncated"),
            F.col("finished_at").alias("answered_at"),
        )
        return chunks.join(documents.select(*_VERSION), _VERSION, "left_semi").join(replies, "request_id", "left")

    def _append_triples(self, answered: DataFrame, complete: DataFrame) -> int:
        # A run that died between the two commits, or a text that went back to an earlier version,
        # has its triples already.
        there = self.store.read(TRIPLES).where(
            (F.col("extraction_key") == self.key) & (F.col("derivation") == self._derivation)
        )
        complete = complete.join(there.select(*_VERSION).distinct(), _VERSION, "left_anti")
        count = Observation()
        rows = (
            answered.join(complete.select(*_VERSION), _VERSION, "left_semi")
            .groupBy(*_VERSION)
            .applyInArrow(_deriver(self.ontology, self.answer), schema=from_arrow_schema(_DERIVED))
            .withColumns(
                {
                    "confidence": F.lit(None).cast("double"),
                    "extraction_key": F.lit(self.key),
                    "derivation": F.lit(self._derivation),
                    "run_id": F.lit(self.run_id),
                }
            )
            .observe(count, F.count(F.lit(1)).alias("rows"))
        )
        self.store.append(TRIPLES, rows, run_id=self.run_id, txn=self._txn("triples"))
        return int(count.get["rows"])

    def _append_documents(self, settled: DataFrame) -> int:
        count = Observation()
        rows = settled.withColumns(
            {
                "state": F.lit("published"),
                "derivation": F.lit(self._derivation),
                "run_id": F.lit(self.run_id),
                "at": F.current_timestamp(),
            }
        ).observe(count, F.count(F.lit(1)).alias("rows"))
        self.store.append(DOCUMENTS, rows, run_id=self.run_id, txn=self._txn("documents"))
        return int(count.get["rows"])

    def _txn(self, table: str) -> tuple[str, int]:
        return f"{self.run_id}/publish/{table}", self._publications


_FROM_DOCUMENT = [
    name for name in TRIPLES.names if name not in {"confidence", "extraction_key", "derivation", "run_id"}
]
_DERIVED = pa.schema([TRIPLES.arrow.field(name) for name in _FROM_DOCUMENT])
_ANSWERED = tuple(field.name for field in fields(AnsweredChunk))


def _deriver(ontology: Ontology | None, answer: AnswerSettings) -> Callable[[pa.Table], pa.Table]:
    """The function that Spark runs on each document version."""

    def derive_document(table: pa.Table) -> pa.Table:
        chunks = [AnsweredChunk(**row) for row in table.select(_ANSWERED).to_pylist()]
        return pa.Table.from_pylist(list(document_rows(chunks, ontology, answer)), schema=_DERIVED)

    return derive_document
