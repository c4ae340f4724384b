"""A plan on its way into the tables.

It is written as `documents` (planned, rejected, removed) → `chunks` → `requests` → `plans`. The row in
`plans` comes last: a plan without it never began, and the next run makes a new one over the same documents.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from triplelake.engine.planning.changes import PLANNED, Changes
from triplelake.engine.planning.chunker import Numberer
from triplelake.engine.planning.plan import Plan
from triplelake.tables.schemas import CHUNKS, DOCUMENTS, PLANS, REQUESTS, VERSION_COLUMNS
from triplelake.tables.states import in_state, state_column
from triplelake.tables.store import Store
from triplelake.types import Lang

_MAX_PARTITIONS = 2000


@dataclass(frozen=True)
class Draft:
    """A plan that is counted but not yet written.

    Args:
        store: the output.
        key: the extraction key.
        run_id: who plans.
        command, fingerprint: hash of the command and of its input, by which a later run finds the plan.
        bucket_size: requests per bucket.
        changes: what the input changes of what is current.
        plan: the counts.
        langs: requests to ask, by language.
        documents, chunks, requests: what it will write.
        removed: the current documents that are to be removed, if any.
    """

    store: Store
    key: str
    run_id: str
    command: str
    fingerprint: str
    bucket_size: int
    changes: Changes
    plan: Plan
    langs: Mapping[Lang, int]
    documents: DataFrame
    chunks: DataFrame
    requests: DataFrame
    removed: DataFrame | None

    @property
    def asked(self) -> frozenset[Lang]:
        """The languages that are asked in."""
        return frozenset(lang for lang, requests in self.langs.items() if requests)

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

    def write_probe(self, count: int, seed: int) -> str:
        """Write some of the requests, drawn by a seed, as a work list without a plan, and return the id it goes by.

        Their answers count for every plan with the same key, and no run goes on with the list.
        """
        drawn = self.requests.orderBy(F.xxhash64("request_id", F.lit(seed))).limit(count)
        plan = replace(self.plan, plan_id=uuid.uuid4().hex, requests=min(count, self.plan.requests))
        replace(self, requests=drawn, plan=plan)._write_requests()
        return plan.plan_id

    def _write_states(self) -> int:
        there = self.store.read(DOCUMENTS)
        cut = self.chunks.groupBy(*VERSION_COLUMNS).agg(
            F.min_by("lang", "ordinal").alias("lang"), F.count(F.lit(1)).cast("int").alias("chunks")
        )
        states = self.documents.where(PLANNED).join(cut, VERSION_COLUMNS).withColumn("state", state_column("planned"))
        rejected = self._rejected(there) if self.changes.rejected else None
        if rejected is not None:
            states = states.unionByName(rejected, allowMissingColumns=True)
        states = states.withColumns({"failed": _null("int"), "derivation": _null("string")})
        if self.removed is not None:
            removed = self.removed.withColumn("state", state_column("removed"))
            states = states.unionByName(removed, allowMissingColumns=True)
        # Records that cannot be read are mostly those of the last time: only they have to be looked at first.
        if self.removed is not None or self.plan.documents or (rejected is not None and not rejected.isEmpty()):
            stamped = states.withColumns(
                {
                    "extraction_key": F.lit(self.key),
                    "plan_id": F.lit(self.plan.plan_id),
                    "run_id": F.lit(self.run_id),
                    "state_at": F.current_timestamp(),
                }
            )
            self.store.append(DOCUMENTS, stamped, run_id=self.run_id)
        return self.changes.removed

    def _rejected(self, there: DataFrame) -> DataFrame:
        """Records that cannot be read and are not listed yet."""
        seen = there.where(in_state("rejected") & (F.col("extraction_key") == self.key))
        return (
            self.documents.where(F.col("reason").isNotNull())
            .join(seen.select("source", "place", "reason"), ["source", "place", "reason"], "left_anti")
            .withColumns({"state": state_column("rejected"), "lang": _null("string"), "chunks": _null("int")})
        )

    def _write_chunks(self) -> None:
        # A plan that was abandoned may have written a document's chunks already, all in one commit.
        there = self.store.read(CHUNKS).where(F.col("extraction_key") == self.key).select(*VERSION_COLUMNS).distinct()
        self.store.append(CHUNKS, self.chunks.join(there, VERSION_COLUMNS, "left_anti"), run_id=self.run_id)

    def _write_requests(self) -> None:
        if not self.plan.requests:
            return
        size = self.bucket_size
        partitions = min(_MAX_PARTITIONS, -(-self.plan.requests // (8 * size)))
        order = ["lang", "_order"]
        numbered = (
            self.requests.withColumn("plan_id", F.lit(self.plan.plan_id))
            .withColumn("bucket", F.lit(0).cast("long"))
            .repartitionByRange(partitions, *order)
            .sortWithinPartitions(*order)
            .select(*REQUESTS.names)
            .mapInArrow(Numberer(size), schema=REQUESTS.spark)
        )
        self.store.append(REQUESTS, numbered, run_id=self.run_id)

    def _seal(self) -> None:
        row = {
            **{field.name: getattr(self.plan, field.name) for field in fields(Plan)},
            "extraction_key": self.key,
            "command_hash": self.command,
            "input_fingerprint": self.fingerprint,
            "run_id": self.run_id,
            "planned_at": datetime.now(UTC),
        }
        self.store.append_row(PLANS, row, run_id=self.run_id)


def _null(kind: str) -> Column:
    return F.lit(None).cast(kind)
