"""From documents to the work of a run: what is new is cut into chunks, what is unanswered becomes requests."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from triplelake.config import Settings
from triplelake.corpus.inputs import nothing_readable
from triplelake.engine.planning.changes import PLANNED, REMOVED, Changes, comparable, find_changes, guard, lacking
from triplelake.engine.planning.chunker import Chunker
from triplelake.engine.planning.draft import Draft
from triplelake.engine.planning.keys import command_hash
from triplelake.engine.planning.losses import counted_losses, find_losses
from triplelake.engine.planning.plan import Plan
from triplelake.engine.planning.reread import find_reread
from triplelake.engine.planning.source import Source
from triplelake.tables.current import Decision
from triplelake.tables.schemas import ATTEMPTS, CHUNKS, DOCUMENTS, PLANS, SEQUENCE, VERSION_COLUMNS
from triplelake.tables.store import Store
from triplelake.tables.views import select
from triplelake.types import LANGS

_PLAN = tuple(field.name for field in fields(Plan))
_SHOWN = 3


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
        """The newest plan of this command over this very input, or None; it may be finished.

        None as well where a later plan has changed what is current, since this one does not say all of its input any
        more. Nothing is lost by planning anew: what was answered is not asked again.
        """
        mine = (F.col("command_hash") == self._command) & (F.col("input_fingerprint") == self.source.fingerprint)
        found = self.store.read(PLANS).where(mine).orderBy(F.desc(SEQUENCE)).limit(1).collect()
        if not found:
            return None
        plan = Plan(**{name: found[0][name] for name in _PLAN})
        overtaking = select("overtaking", {"plan_id": plan.plan_id}, documents=self.store.read(DOCUMENTS))
        return plan if overtaking.isEmpty() else None

    @contextmanager
    def draft(self) -> Iterator[Draft]:
        """Read, chunk and count; nothing is written until `Draft.write`.

        Raises:
            InputError: the input holds no readable document, or a change that somebody must have said to be meant.
        """
        current = self._current()
        documents = self._documents(current).persist(StorageLevel.DISK_ONLY)
        chunks = self._chunks(documents).persist(StorageLevel.DISK_ONLY)
        try:
            changes = self._changes(documents, current)
            guard(changes, self.settings)
            yield self._count(documents, chunks, current, changes)
        finally:
            chunks.unpersist()
            documents.unpersist()

    def _current(self) -> DataFrame:
        """The current documents as they are now, because a plan is needed after its own append to the table."""
        return comparable(select("current_documents", documents=self.store.read_now(DOCUMENTS)))

    def _documents(self, current: DataFrame) -> DataFrame:
        """All records, each with its `decision`."""
        run = self.settings.run
        records = comparable(self.source.documents(run.limit, run.sample, run.seed))
        chosen: dict[str, str | bool] = {"key": self.key, "retry_failed": run.retry_failed}
        return select("decided", chosen, records=records, current=current)

    def _chunks(self, documents: DataFrame) -> DataFrame:
        return (
            documents.where(PLANNED)
            .select(*VERSION_COLUMNS, "title", "text")
            .mapInArrow(Chunker(self.settings.chunking, self.key), schema=CHUNKS.spark)
        )

    def _changes(self, documents: DataFrame, current: DataFrame) -> Changes:
        read = documents.groupBy("decision").agg(F.count(F.lit(1)).alias("records"), *counted_losses()).collect()
        counted: dict[Decision, Row] = {row["decision"]: row for row in read}
        counts = Counter({decision: row["records"] for decision, row in counted.items()})
        if not set(counts) - {"rejected"}:
            order = ("source", F.length("place"), "place")
            problems = documents.orderBy(*order).select("source", "place", "reason").limit(_SHOWN).collect()
            raise nothing_readable(self.settings, [tuple(row) for row in problems])
        lost = find_losses(counted.get("rejected"), documents, self.source)
        changes = find_changes(counts, lost, documents, current, replaces=self._replaces)
        if self.settings.run.allow_moved:
            return changes
        return replace(changes, reread=find_reread(self.store, self.source, self.settings, changes.overlap))

    @property
    def _replaces(self) -> bool:
        run = self.settings.run
        return run.mode == "replace" and run.limit is None and run.sample is None

    def _count(self, documents: DataFrame, chunks: DataFrame, current: DataFrame, changes: Changes) -> Draft:
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
            documents=changes.planned,
            **counts,
        )
        return Draft(
            store=self.store,
            key=self.key,
            run_id=self.run_id,
            command=self._command,
            fingerprint=self.source.fingerprint,
            bucket_size=self.bucket_size,
            changes=changes,
            plan=plan,
            langs=langs,
            documents=documents,
            chunks=chunks,
            requests=requests.where(to_ask),
            removed=lacking(documents, current).where(REMOVED) if changes.removed else None,
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
