"""From documents to the work of a run: what is new is cut into chunks, what is unanswered becomes requests.

A plan is written as `documents` (planned, rejected) → `chunks` → `requests` → `plans`. Its row in `plans`
comes last: a plan without it never began, and the next run makes a new one over the same documents.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from triplelake.config import ChunkingSettings, Settings
from triplelake.corpus.chunking import chunk_document
from triplelake.corpus.tokens import estimate_tokens
from triplelake.engine.arrow import record_batches
from triplelake.engine.keys import command_hash
from triplelake.engine.source import Source
from triplelake.errors import InputError
from triplelake.tables.schemas import ATTEMPTS, CHUNKS, DOCUMENTS, PLANS, REQUESTS
from triplelake.tables.store import Store
from triplelake.tables.views import select
from triplelake.triples.identity import chunk_id, request_id

_VERSION = ["doc_id", "doc_version"]
_BUCKETS_PER_PARTITION = 1 << 20
_MAX_PARTITIONS = 2000


@dataclass(frozen=True, slots=True)
class Plan:
    """A complete plan.

    Args:
        documents: planned documents. chunks: their chunks. requests: to ask. reused: already answered.
        est_tokens: of the requests to ask, without the fixed prefix.
    """

    plan_id: str
    documents: int
    chunks: int
    requests: int
    reused: int
    est_tokens: int


@dataclass
class Planner:
    """Makes the plan of a run, or finds the one that an interrupted run left.

    Args:
        store: the output.
        source: the input.
        settings: of the run.
        key: the extraction key.
        run_id: who plans.
        bucket_size: requests per bucket.
    """

    store: Store
    source: Source
    settings: Settings
    key: str
    run_id: str
    bucket_size: int
    _command: str = field(init=False)

    def __post_init__(self) -> None:
        self._command = command_hash(self.settings, self.key)

    def find(self) -> Plan | None:
        """The newest plan of this command over this very input, or None; it may be finished."""
        found = (
            self.store.read(PLANS)
            .where((F.col("command_hash") == self._command) & (F.col("input_fingerprint") == self.source.fingerprint))
            .orderBy(F.col("at").desc())
            .limit(1)
            .collect()
        )
        return Plan(**{name: found[0][name] for name in Plan.__slots__}) if found else None

    @contextmanager
    def draft(self) -> Iterator[Draft]:
        """Read, chunk and count; nothing is written until `Draft.write`.

        Raises:
            InputError: the input holds no readable document.
        """
        documents = self._documents().persist(StorageLevel.DISK_ONLY)
        chunks = self._chunks(documents).persist(StorageLevel.DISK_ONLY)
        try:
            yield self._count(documents, chunks)
        finally:
            chunks.unpersist()
            documents.unpersist()

    def _documents(self) -> DataFrame:
        """All records; `known` where this very version is published under the key."""
        published = (
            select("current_documents", documents=self.store.read(DOCUMENTS).where(F.col("extraction_key") == self.key))
            .select(*_VERSION)
            .withColumn("known", F.lit(True))
        )
        documents = self.source.documents(self.settings.run.limit)
        return documents.join(published, _VERSION, "left").withColumn("known", F.coalesce("known", F.lit(False)))

    def _chunks(self, documents: DataFrame) -> DataFrame:
        new = documents.where(F.col("reason").isNull() & ~F.col("known"))
        return new.select(*_VERSION, "title", "text").mapInArrow(
            _Chunker(self.settings.chunking, self.key), schema=CHUNKS.spark
        )

    def _count(self, documents: DataFrame, chunks: DataFrame) -> Draft:
        read = documents.agg(
            F.count(F.lit(1)).alias("records"),
            F.count("reason").alias("rejected"),
            F.count(F.when(F.col("known"), 1)).alias("known"),
        ).collect()[0]
        if read["records"] == read["rejected"]:
            raise self._nothing_readable(documents, read["rejected"])
        cut = chunks.agg(F.count(F.lit(1)).alias("chunks"), F.countDistinct("request_id").alias("requests")).collect()[
            0
        ]
        requests = self._requests(chunks)
        ask = requests.agg(
            F.count(F.lit(1)).alias("requests"), F.coalesce(F.sum("est_tokens"), F.lit(0)).alias("est_tokens")
        ).collect()[0]
        plan = Plan(
            plan_id=uuid.uuid4().hex,
            documents=read["records"] - read["rejected"] - read["known"],
            chunks=cut["chunks"],
            requests=ask["requests"],
            reused=cut["requests"] - ask["requests"],
            est_tokens=ask["est_tokens"],
        )
        return Draft(self, plan, documents, chunks, requests, known=read["known"], rejected=read["rejected"])

    def _requests(self, chunks: DataFrame) -> DataFrame:
        good = self.store.read(ATTEMPTS).where((F.col("extraction_key") == self.key) & (F.col("status") != "failed"))
        return (
            chunks.withColumn("_order", F.struct("doc_id", "ordinal"))
            .groupBy("request_id")
            .agg(
                F.min("_order").alias("_order"),
                *(F.any_value(name).alias(name) for name in ("text", "title", "context", "lang", "est_tokens")),
            )
            .join(good.select("request_id").distinct(), "request_id", "left_anti")
        )

    def _nothing_readable(self, documents: DataFrame, rejected: int) -> InputError:
        name = ", ".join(self.settings.input)
        if not rejected:
            return InputError(name, "holds no documents", "Check --input; empty files hold nothing to extract from.")
        rows = documents.select("source", "place", "reason").limit(3).collect()
        first = "\n".join(f"  {row['source']} {row['place']}: {row['reason']}" for row in rows)
        return InputError(name, f"none of its {rejected} records can be read", f"The first are:\n{first}")


@dataclass(frozen=True)
class Draft:
    """A plan that is counted but not yet written.

    Args:
        planner: who made it.
        plan: the counts.
        documents, chunks, requests: what it will write.
        known: documents that are published already.
        rejected: records that cannot be read.
    """

    planner: Planner
    plan: Plan
    documents: DataFrame
    chunks: DataFrame
    requests: DataFrame
    known: int
    rejected: int

    def write(self) -> int:
        """Write the plan, its row in `plans` last, and return the number of documents marked removed.

        Nothing new writes nothing: no plan, and no state that is there already.
        """
        removed = self._write_states()
        if self.plan.documents:
            self._write_chunks()
            self._write_requests()
            self._seal()
        return removed

    def _write_states(self) -> int:
        store, planner = self.planner.store, self.planner
        there = store.read(DOCUMENTS)
        seen = there.where((F.col("state") == "rejected") & (F.col("extraction_key") == planner.key))
        rejected = (
            self.documents.where(F.col("reason").isNotNull())
            .join(seen.select("source", "place", "reason"), ["source", "place", "reason"], "left_anti")
            .withColumns({"state": F.lit("rejected"), "lang": _null("string"), "chunks": _null("int")})
        )
        cut = self.chunks.groupBy(*_VERSION).agg(
            F.min_by("lang", "ordinal").alias("lang"), F.count(F.lit(1)).cast("int").alias("chunks")
        )
        planned = (
            self.documents.where(F.col("reason").isNull()).join(cut, _VERSION).withColumn("state", F.lit("planned"))
        )
        states = rejected.unionByName(planned, allowMissingColumns=True)
        states = states.withColumns({"failed": _null("int"), "derivation": _null("string")})
        removed = self._removed(there)
        count = removed.count()
        if count:
            states = states.unionByName(removed, allowMissingColumns=True)
        if count or not states.isEmpty():
            stamped = states.withColumns(
                {
                    "extraction_key": F.lit(planner.key),
                    "plan_id": F.lit(self.plan.plan_id),
                    "run_id": F.lit(planner.run_id),
                    "at": F.current_timestamp(),
                }
            )
            store.append(DOCUMENTS, stamped, run_id=planner.run_id)
        return count

    def _removed(self, there: DataFrame) -> DataFrame:
        current = select("current_documents", documents=there).drop("state_rank")
        run = self.planner.settings.run
        if run.mode != "replace" or run.limit:
            return current.limit(0)
        kept = self.documents.where(F.col("reason").isNull()).select("doc_id")
        return current.join(kept, "doc_id", "left_anti").withColumn("state", F.lit("removed"))

    def _write_chunks(self) -> None:
        store, key = self.planner.store, self.planner.key
        # A plan that was abandoned may have written a document's chunks already, all in one commit.
        there = store.read(CHUNKS).where(F.col("extraction_key") == key).select(*_VERSION).distinct()
        store.append(CHUNKS, self.chunks.join(there, _VERSION, "left_anti"), run_id=self.planner.run_id)

    def _write_requests(self) -> None:
        if not self.plan.requests:
            return
        size = self.planner.bucket_size
        partitions = min(_MAX_PARTITIONS, -(-self.plan.requests // (8 * size)))
        order = ["lang", "_order"]
        numbered = (
            self.requests.withColumn("plan_id", F.lit(self.plan.plan_id))
            .withColumn("bucket", F.lit(0).cast("long"))
            .repartitionByRange(partitions, *order)
            .sortWithinPartitions(*order)
            .select(*REQUESTS.names)
            .mapInArrow(_Numberer(size), schema=REQUESTS.spark)
        )
        self.planner.store.append(REQUESTS, numbered, run_id=self.planner.run_id)

    def _seal(self) -> None:
        planner = self.planner
        row = {
            **{name: getattr(self.plan, name) for name in Plan.__slots__},
            "extraction_key": planner.key,
            "command_hash": planner._command,
            "input_fingerprint": planner.source.fingerprint,
            "run_id": planner.run_id,
            "at": datetime.now(UTC),
        }
        frame = planner.store.spark.createDataFrame([tuple(row[name] for name in PLANS.names)], PLANS.spark)
        planner.store.append(PLANS, frame, run_id=planner.run_id)


class _Chunker:
    """Cuts documents into rows of `chunks`; a class because Spark pickles it to the executors."""

    def __init__(self, settings: ChunkingSettings, key: str) -> None:
        self._settings = settings
        self._key = key

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for document in batch.to_pylist():
                yield from record_batches(self._rows(document), CHUNKS.arrow)

    def _rows(self, document: dict[str, str]) -> Iterator[dict[str, object]]:
        version = (document["doc_id"], document["doc_version"])
        title = document["title"] or ""
        for chunk in chunk_document(document["text"], document["title"], self._settings):
            yield {
                "chunk_id": chunk_id(*version, self._key, chunk.ordinal),
                "doc_id": document["doc_id"],
                "doc_version": document["doc_version"],
                "extraction_key": self._key,
                "ordinal": chunk.ordinal,
                "char_start": chunk.char_start,
                "char_end": chunk.char_end,
                "text": chunk.text,
                "title": title,
                "context": chunk.context,
                "lang": chunk.lang,
                "request_id": request_id(self._key, chunk.text, title, chunk.context),
                "est_tokens": chunk.est_tokens + estimate_tokens(title),
            }


class _Numberer:
    """Numbers the buckets of a partition: a bucket is full or its language changes."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        context = TaskContext.get()
        bucket = (context.partitionId() if context else 0) * _BUCKETS_PER_PARTITION
        filled, lang = 0, None
        for batch in batches:
            numbers = []
            for here in batch.column("lang").to_pylist():
                if filled == self._size or (lang is not None and here != lang):
                    bucket, filled = bucket + 1, 0
                lang, filled = here, filled + 1
                numbers.append(bucket)
            index = batch.schema.get_field_index("bucket")
            yield batch.set_column(index, batch.schema.field(index), pa.array(numbers, pa.int64()))


def _null(kind: str) -> Column:
    return F.lit(None).cast(kind)
