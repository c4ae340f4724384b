"""From documents to the work of a run: what is new is cut into chunks, what is unanswered becomes requests."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from triplelake.config import Settings
from triplelake.engine.cutting import Chunker
from triplelake.engine.draft import VERSION, Draft, Plan
from triplelake.engine.keys import command_hash
from triplelake.engine.source import Source, nothing_readable
from triplelake.prompt.prompts import LANGS
from triplelake.tables.schemas import ATTEMPTS, CHUNKS, DOCUMENTS, PLANS
from triplelake.tables.store import Store
from triplelake.tables.views import select

_PLAN = tuple(field.name for field in fields(Plan))


@dataclass(frozen=True)
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

    @property
    def _command(self) -> str:
        return command_hash(self.settings, self.key)

    def find(self) -> Plan | None:
        """The newest plan of this command over this very input, or None; it may be finished."""
        found = (
            self.store.read(PLANS)
            .where((F.col("command_hash") == self._command) & (F.col("input_fingerprint") == self.source.fingerprint))
            .orderBy(F.col("at").desc())
            .limit(1)
            .collect()
        )
        return Plan(**{name: found[0][name] for name in _PLAN}) if found else None

    def covers(self, plan: Plan) -> bool:
        """Whether a plan that is settled still says all of its input, so that there is nothing to read.

        A later run over another input may have removed what this one published, and failed documents may be asked for
        again.
        """
        if self.settings.run.retry_failed:
            return False
        [sealed] = self.store.read(PLANS).where(F.col("plan_id") == plan.plan_id).select("at").collect()
        others = (F.col("plan_id") != plan.plan_id) & (F.col("at") > sealed["at"])
        return self.store.read(DOCUMENTS).where(others).isEmpty()

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
        """All records; `known` where one can be read and its very version is published under the key."""
        # As they are now, because what is persisted here is needed after the plan's own append to them.
        there = self.store.read_now(DOCUMENTS).where(F.col("extraction_key") == self.key)
        published = select("current_documents", documents=there)
        if self.settings.run.retry_failed:
            published = published.where(F.col("failed") == 0)
        published = published.select(*VERSION).withColumn("known", F.lit(True))
        run = self.settings.run
        documents = self.source.documents(run.limit, run.sample, run.seed)
        # A second record with the id of a published document is rejected, not known.
        known = F.col("reason").isNull() & F.coalesce("known", F.lit(False))
        return documents.join(published, VERSION, "left").withColumn("known", known)

    def _chunks(self, documents: DataFrame) -> DataFrame:
        new = documents.where(F.col("reason").isNull() & ~F.col("known"))
        return new.select(*VERSION, "title", "text").mapInArrow(
            Chunker(self.settings.chunking, self.key), schema=CHUNKS.spark
        )

    def _count(self, documents: DataFrame, chunks: DataFrame) -> Draft:
        read = documents.agg(
            F.count(F.lit(1)).alias("records"),
            F.count("reason").alias("rejected"),
            F.count(F.when(F.col("known"), 1)).alias("known"),
        ).collect()[0]
        if read["records"] == read["rejected"]:
            problems = documents.select("source", "place", "reason").limit(3).collect()
            raise nothing_readable(self.settings, [tuple(row) for row in problems])
        requests = self._requests(chunks)
        to_ask = ~F.col("_answered")
        counted = requests.agg(
            F.coalesce(F.sum("_chunks"), F.lit(0)).alias("chunks"),
            F.count(F.when(to_ask, 1)).alias("requests"),
            F.count(F.when(~to_ask, 1)).alias("reused"),
            F.coalesce(F.sum(F.when(to_ask, F.col("est_tokens"))), F.lit(0)).alias("est_tokens"),
            *(F.count(F.when(to_ask & (F.col("lang") == lang), 1)).alias(lang) for lang in LANGS),
        ).collect()[0]
        counts = counted.asDict()
        langs = {lang: counts.pop(lang) for lang in LANGS}
        plan = Plan(
            plan_id=uuid.uuid4().hex,
            documents=read["records"] - read["rejected"] - read["known"],
            **counts,
        )
        run = self.settings.run
        return Draft(
            store=self.store,
            key=self.key,
            run_id=self.run_id,
            command=self._command,
            fingerprint=self.source.fingerprint,
            bucket_size=self.bucket_size,
            replaces=run.mode == "replace" and run.limit is None and run.sample is None,
            plan=plan,
            langs=langs,
            documents=documents,
            chunks=chunks,
            requests=requests.where(to_ask),
            known=read["known"],
            rejected=read["rejected"],
        )

    def _requests(self, chunks: DataFrame) -> DataFrame:
        """The distinct questions of chunks: `_answered` already or not, and for how many `_chunks`."""
        good = self.store.read(ATTEMPTS).where((F.col("extraction_key") == self.key) & (F.col("status") != "failed"))
        return (
            chunks.withColumn("_order", F.struct("doc_id", "ordinal"))
            .groupBy("request_id")
            .agg(
                F.min("_order").alias("_order"),
                F.count(F.lit(1)).alias("_chunks"),
                *(F.any_value(name).alias(name) for name in ("text", "title", "context", "lang", "est_tokens")),
            )
            .join(good.select("request_id", F.lit(True).alias("_answered")).distinct(), "request_id", "left")
            .withColumn("_answered", F.coalesce("_answered", F.lit(False)))
        )
