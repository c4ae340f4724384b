"""From answers to triples: documents whose every chunk is answered are published whole.

The triples of a document land in one commit and its `published` row in a later one, so that
`current_triples` moves from a document's old triples to its new ones at once. A crash between the
two commits leaves triples without their row; the next publication finds them and adds the row alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import chain, groupby
from operator import itemgetter
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from triplelake.config import AnswerSettings
from triplelake.prompt.ontology import Ontology
from triplelake.tables.batches import record_batches
from triplelake.tables.mentions import AnsweredChunk, document_rows
from triplelake.tables.schemas import ATTEMPTS, CHUNKS, DOCUMENTS, TRIPLES, VERSION_COLUMNS
from triplelake.tables.states import in_state, state_column
from triplelake.tables.store import Store
from triplelake.tables.views import select
from triplelake.triples.confidence import Calibration
from triplelake.triples.derive import derivation_id

_READING = [*VERSION_COLUMNS, "derivation"]
"""What the triples of a document are named by, under one extraction key."""


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
        ontology, answer, calibration: what the answers are read with.
        check: raises where this run may not write any more; asked before each commit.
    """

    store: Store
    plan_id: str
    key: str
    run_id: str
    ontology: Ontology | None
    answer: AnswerSettings
    calibration: Calibration | None
    check: Callable[[], None]

    def publish(self) -> Published:
        """Publish the planned documents of which every chunk has an answer by now."""
        return self._publish(self._open_documents())

    def unsettled(self) -> bool:
        """Whether planned documents are not published yet."""
        return not self._open_documents().isEmpty()

    def republish(self) -> Published:
        """Rebuild the triples of documents that an older derivation read; asks nothing."""
        current = select("current_documents", documents=self.store.read_now(DOCUMENTS))
        stale = ~F.col("derivation").startswith(self._derivation)
        return self._publish(current.where((F.col("extraction_key") == self.key) & stale))

    @property
    def _derivation(self) -> str:
        return derivation_id(self.ontology, self.answer, self.calibration.identity() if self.calibration else None)

    def _open_documents(self) -> DataFrame:
        mine = self.store.read_now(DOCUMENTS).where(F.col("plan_id") == self.plan_id)
        published = mine.where(in_state("published")).select(*VERSION_COLUMNS)
        return mine.where(in_state("planned")).join(published, VERSION_COLUMNS, "left_anti")

    def _publish(self, documents: DataFrame) -> Published:
        answered = self._answered(documents)
        complete = (
            answered.groupBy(*VERSION_COLUMNS)
            .agg(
                F.count(F.when(F.col("status").isNull(), 1)).alias("open"),
                F.array_sort(F.collect_list(F.when(F.col("status") == "failed", F.col("ordinal")))).alias("lacking"),
            )
            .where(F.col("open") == 0)
            .select(
                *VERSION_COLUMNS,
                F.size("lacking").alias("failed"),
                _reading(self._derivation, "lacking").alias("derivation"),
            )
            .persist()
        )
        try:
            if not complete.count():
                return Published(0, 0)
            triples = self._append_triples(answered, complete)
            settled = documents.drop("failed", "derivation").join(complete, VERSION_COLUMNS)
            count = self._append_documents(settled)
        finally:
            complete.unpersist()
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
            "token_logprobs",
            "token_chars",
            "looks",
        )
        return chunks.join(documents.select(*VERSION_COLUMNS), VERSION_COLUMNS, "left_semi").join(
            replies, "request_id", "left"
        )

    def _append_triples(self, answered: DataFrame, complete: DataFrame) -> int:
        # A run that died between the two commits, or a text that went back to an earlier version,
        # has its triples already.
        there = self.store.read(TRIPLES).where(
            (F.col("extraction_key") == self.key) & F.col("derivation").startswith(self._derivation)
        )
        complete = complete.join(there.select(*_READING).distinct(), _READING, "left_anti")
        count = Observation()
        rows = (
            answered.join(complete.select(*_READING), VERSION_COLUMNS)
            .repartition(*VERSION_COLUMNS)
            .sortWithinPartitions(*VERSION_COLUMNS)
            .select(*dict.fromkeys((*_ANSWERED, *_READING)))
            .mapInArrow(_Deriver(self.ontology, self.answer, self.calibration), schema=from_arrow_schema(_DERIVED))
            .withColumns(
                {
                    "extraction_key": F.lit(self.key),
                    "run_id": F.lit(self.run_id),
                }
            )
            .observe(count, F.count(F.lit(1)).alias("rows"))
        )
        self.check()
        self.store.append(TRIPLES, rows, run_id=self.run_id)
        return int(count.get["rows"])

    def _append_documents(self, settled: DataFrame) -> int:
        count = Observation()
        rows = settled.withColumns(
            {
                "state": state_column("published"),
                "run_id": F.lit(self.run_id),
                "state_at": F.current_timestamp(),
            }
        ).observe(count, F.count(F.lit(1)).alias("rows"))
        self.check()
        self.store.append(DOCUMENTS, rows, run_id=self.run_id)
        return int(count.get["rows"])


_FROM_DOCUMENT = [name for name in TRIPLES.names if name not in {"extraction_key", "run_id"}]
_DERIVED = pa.schema([TRIPLES.arrow.field(name) for name in _FROM_DOCUMENT])
_ANSWERED = tuple(field.name for field in fields(AnsweredChunk))


def _reading(derivation: str, lacking: str) -> Column:
    """The derivation of a document's triples; chunks without an answer are part of it.

    When such a chunk is answered later, the document is read anew beside its old triples, and moves to the new ones at
    once.

    Args:
        lacking: column with the ordinals of those chunks, sorted.
    """
    ordinals = F.concat_ws(",", F.col(lacking).cast("array<string>"))
    suffix = F.concat(F.lit("-"), F.substring(F.sha2(ordinals, 256), 1, 8))
    return F.concat(F.lit(derivation), F.when(F.size(lacking) > 0, suffix).otherwise(""))


class _Deriver:
    """Makes the triples of document versions; a class because Spark pickles it to the executors.

    It takes the chunks of whole versions, one version after the other: a group of Spark's for each costs more than a
    short document itself.
    """

    def __init__(self, ontology: Ontology | None, answer: AnswerSettings, calibration: Calibration | None) -> None:
        self._ontology = ontology
        self._answer = answer
        self._calibration = calibration

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from record_batches(self._rows(batches), _DERIVED)

    def _rows(self, batches: Iterable[pa.RecordBatch]) -> Iterator[dict[str, Any]]:
        rows = chain.from_iterable(batch.to_pylist() for batch in batches)
        for reading, version in groupby(rows, key=itemgetter(*_READING)):
            chunks = [AnsweredChunk(**{name: row[name] for name in _ANSWERED}) for row in version]
            derivation = dict(zip(_READING, reading, strict=True))
            for triple in document_rows(chunks, self._ontology, self._answer, self._calibration):
                yield triple | derivation
