"""Tables of an earlier schema version brought to today's, in place.

Each step is one commit of one table and leaves alone what is done already, so an upgrade that was killed goes on with
the same command. `documents` comes last: until its one commit every view of the earlier version reads as before. Of the
others `plans`, which no view reads, is rewritten, and the rest only gain columns. Nothing is asked, no row is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from triplelake.errors import OutputError
from triplelake.tables.schemas import DOCUMENTS, PLANS, SCHEMA_VERSION, SEQUENCE, TABLES, Table
from triplelake.tables.store import Store, quoted

OLDEST = 2
"""The earliest schema version that can be upgraded."""

_RENAMED = {DOCUMENTS.name: ("at", "state_at"), PLANS.name: ("at", "planned_at")}
"""Columns of version 2 with another name today. Delta renames none without a newer reader, so they are rewritten."""


def upgradable(store: Store) -> bool:
    """Whether some table is of an earlier version, and all are of one that can be upgraded.

    Raises:
        OutputError: a table is missing, not ours, or of a version that is not known here.
    """
    versions = {table.name: store.schema_version(table) for table in TABLES}
    for name, version in versions.items():
        if version is None or not OLDEST <= version <= SCHEMA_VERSION:
            found = "is missing or not one of triplelake" if version is None else f"has schema version {version}"
            raise OutputError(
                store.output,
                f"cannot be upgraded: its table `{name}` {found}",
                f"Versions {OLDEST} to {SCHEMA_VERSION} are known here; check --output.",
            )
    return any(version != SCHEMA_VERSION for version in versions.values())


def steps(store: Store, run_id: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """What is left to do, in order: words for a person, and the step itself, to be run before the next is asked for."""
    rewritten = [table for table in TABLES if table.name in _RENAMED]
    for table in sorted(TABLES, key=lambda table: (table in rewritten, table is DOCUMENTS)):
        there = store.spark.read.table(store.sql_name(table)).columns
        if table in rewritten:
            if _RENAMED[table.name][0] in there:
                yield f"{table.name}: rewritten", partial(_rewrite, store, table, run_id)
        elif missing := [name for name in table.names if name not in there]:
            yield f"{table.name}: {', '.join(missing)} added", partial(_add, store, table, missing)
    for table in TABLES:
        if store.schema_version(table) != SCHEMA_VERSION:
            yield f"{table.name}: schema version {SCHEMA_VERSION}", partial(store.set_schema_version, table)


def _add(store: Store, table: Table, missing: list[str]) -> None:
    """Null in the rows that are there: they were written before all others."""
    fields = {field.name: field.dataType.simpleString() for field in table.spark}
    comments = {column.name: column.comment for column in table.columns}
    added = []
    for name in missing:
        before = table.names[table.names.index(name) - 1]
        added.append(f"`{name}` {fields[name]} COMMENT {quoted(comments[name])} AFTER `{before}`")
    store.change(f"ALTER TABLE {store.sql_name(table)} ADD COLUMNS ({', '.join(added)})")


def _rewrite(store: Store, table: Table, run_id: str) -> None:
    old, new = _RENAMED[table.name]
    rows = store.read_now(table)
    # The rows of a commit have one time in common, so there are as many times as there were commits.
    ranks = rows.select(old).distinct().withColumn(SEQUENCE, F.dense_rank().over(Window.orderBy(old)).cast("long"))
    frame = rows.join(F.broadcast(ranks), old, "left").withColumnRenamed(old, new)
    store.replace(table, _commented(frame, table), run_id=run_id)


def _commented(frame: DataFrame, table: Table) -> DataFrame:
    return frame.select(*(F.col(c.name).alias(c.name, metadata={"comment": c.comment}) for c in table.columns))
