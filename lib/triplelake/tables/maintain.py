"""What keeps tables small and quick to read: finished work lists dropped, small files packed, old files removed.

Nothing here takes part in a run, and nothing changes what a table says: all of it is for a holder of the lease, between
two runs. The tables stay readable as `Store` made them: since deletion vectors are off, DELETE writes files anew.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from triplelake.tables.schemas import (
    ATTEMPTS,
    CHUNKS,
    DOCUMENTS,
    EXTRACTION_COLUMNS,
    PLANS,
    REQUESTS,
    RUNS,
    TRIPLES,
    Table,
)
from triplelake.tables.store import Store

PACKED = (DOCUMENTS, CHUNKS, PLANS, ATTEMPTS, TRIPLES, RUNS)
"""Not `requests`: its files are cut by bucket, so that a wave reads one of many, and they go as a whole."""

SAFE_RETENTION_DAYS = 7
"""What Delta keeps by default: a reader that began earlier than this, on an older version, loses its files."""

_FULL_FILE = 1 << 30
_FEW_FILES = 8
_RETENTION = "delta.deletedFileRetentionDuration"
_RETENTION_CHECK = "spark.databricks.delta.retentionDurationCheck.enabled"
_VACUUM_LOGGING = "spark.databricks.delta.vacuum.logging.enabled"
_USER_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
_PARALLEL_DELETE = "spark.databricks.delta.vacuum.parallelDelete.enabled"
_LISTING_TASKS = "spark.sql.sources.parallelPartitionDiscovery.parallelism"


@dataclass(frozen=True, slots=True)
class Size:
    """Files and bytes; of a table, those of its newest version."""

    files: int
    bytes: int

    def __add__(self, other: Size) -> Size:
        return Size(self.files + other.files, self.bytes + other.bytes)

    @property
    def gains(self) -> bool:
        """Whether packing pays: at least twice the files that these bytes fill, and more than a few."""
        return self.files >= max(_FEW_FILES, 2 * math.ceil(self.bytes / _FULL_FILE))


@dataclass(frozen=True, slots=True)
class WorkList:
    """The rows of a plan in `requests`; `needed` while a run may go on with the plan."""

    plan_id: str
    rows: int
    needed: bool


def size_of(store: Store, table: Table) -> Size:
    row = store.spark.sql(f"DESCRIBE DETAIL {store.sql_name(table)}").collect()[0]
    return Size(row["numFiles"], row["sizeInBytes"])


def work_lists(store: Store) -> list[WorkList]:
    """The plans that have rows in `requests`."""
    needed = _open_plans(store).join(store.read(PLANS), "plan_id", "left_semi").withColumn("needed", F.lit(True))
    rows = store.read(REQUESTS).groupBy("plan_id").agg(F.count(F.lit(1)).alias("rows"))
    found = rows.join(needed, "plan_id", "left").select("plan_id", "rows", F.coalesce("needed", F.lit(False)))
    return [WorkList(*row) for row in found.collect()]


def drop_work_lists(store: Store, plan_ids: list[str]) -> None:
    """Delete the rows of plans from `requests`."""
    listed = ", ".join(f"'{plan_id}'" for plan_id in plan_ids)
    store.change(f"DELETE FROM {store.sql_name(REQUESTS)} WHERE plan_id IN ({listed})")


def pack(store: Store, table: Table) -> None:
    """Write small files together, and cluster a table that has clustering columns."""
    store.change(f"OPTIMIZE {store.sql_name(table)}")


def retain(store: Store, table: Table, days: int) -> None:
    """Have a table keep files that long which it does not need any more, from now on and for every tool.

    By its property, because VACUUM itself takes no other time than that (Delta ignores its RETAIN, but for 0).
    """
    rows = store.spark.sql(f"SHOW TBLPROPERTIES {store.sql_name(table)}").collect()
    wanted = f"interval {days} days"
    if {row["key"]: row["value"] for row in rows}.get(_RETENTION) != wanted:
        store.change(f"ALTER TABLE {store.sql_name(table)} SET TBLPROPERTIES ('{_RETENTION}' = '{wanted}')")


def removable(store: Store, table: Table, *, at_once: bool) -> int:
    """How many files a table does not need any more, those of writes that never ended included.

    Args:
        at_once: also those that it is to keep for a while.
    """
    return store.spark.sql(f"{_vacuum(store, table, at_once=at_once)} DRY RUN").count()


def remove(store: Store, table: Table, *, at_once: bool) -> Size:
    """Delete those files."""
    store.change(_vacuum(store, table, at_once=at_once)).collect()
    history = store.spark.sql(f"DESCRIBE HISTORY {store.sql_name(table)} LIMIT 20")
    newest = history.where("operation = 'VACUUM START'").orderBy(F.desc("version")).first()
    metrics = newest["operationMetrics"] if newest else {}
    return Size(int(metrics.get("numFilesToDelete", 0)), int(metrics.get("sizeOfDataToDelete", 0)))


@contextmanager
def as_run(store: Store, run_id: str) -> Iterator[None]:
    """Have the commits of the block name their run, as those of `Store.append` do, and VACUUM tell what it removes."""
    chosen = {
        _USER_METADATA: json.dumps({"run_id": run_id}),
        _VACUUM_LOGGING: "true",
        # Delta's own check refuses to remove files at once. The settings have decided before whether that is allowed.
        _RETENTION_CHECK: "false",
        # Without it the driver removes one file after the other.
        _PARALLEL_DELETE: "true",
        # Spark's 10,000 are for a table of as many folders; each of ours is one, and a task costs milliseconds.
        _LISTING_TASKS: "8",
    }
    conf = store.spark.conf
    before: dict[str, str | None] = {name: conf.get(name, None) for name in chosen}
    for name, value in chosen.items():
        conf.set(name, value)
    try:
        yield
    finally:
        for name, earlier in before.items():
            conf.unset(name) if earlier is None else conf.set(name, earlier)


def _open_plans(store: Store) -> DataFrame:
    """Plans of which a document is not published: not by themselves, and not by a later plan over the same version.

    A plan that was given up is often overtaken: its input grew before the next run, which planned anew. Published
    means that every chunk is answered, so who goes on with it has nothing to ask.
    """
    documents = store.read(DOCUMENTS)
    planned = documents.where("state = 'planned'").alias("planned")
    published = documents.where("state = 'published'").alias("published")
    same_version = [_equal(name) for name in EXTRACTION_COLUMNS]
    later = _equal("plan_id") | (F.col("published.sequence") > F.col("planned.sequence"))
    return planned.join(published, [*same_version, later], "left_anti").select("plan_id").distinct()


def _equal(name: str) -> Column:
    return F.col(f"planned.{name}") == F.col(f"published.{name}")


def _vacuum(store: Store, table: Table, *, at_once: bool) -> str:
    return f"VACUUM {store.sql_name(table)}{' RETAIN 0 HOURS' if at_once else ''}"
