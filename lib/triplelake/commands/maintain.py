"""The maintenance of an output, from its settings to its row in `runs`."""

from __future__ import annotations

from functools import partial

from rich.console import Console

from triplelake.commands import maintain_messages, messages
from triplelake.config import MaintainSettings, Settings
from triplelake.engine.run_row import RunRow
from triplelake.errors import UsageError
from triplelake.spark import cancel_all, cancellable, open_session, versions
from triplelake.tables import maintain as upkeep
from triplelake.tables.lease import Lease
from triplelake.tables.maintain import PACKED, SAFE_RETENTION_DAYS, Size
from triplelake.tables.schemas import TABLES
from triplelake.tables.store import Store
from triplelake.tables.upgrade import steps, upgradable
from triplelake.tables.views import create_views


def maintain(settings: Settings, console: Console, *, dry_run: bool = False) -> RunRow:
    """Drop finished work lists, pack small files, remove old ones; or with `dry_run` only say what that would be.

    Raises:
        UsageError: no output was named, or files that readers may still need would be removed.
        OutputError: a run is alive, or these are not our tables.
    """
    if settings.output is None:
        raise UsageError("--output", "is missing", "Name the path, or catalog.schema, of the tables.")
    _check_retention(settings.maintain)
    spark = open_session("triplelake maintain")
    store = Store(spark, settings.output)
    store.require()
    run_row = RunRow("maintain", settings)
    run_row.versions = versions(spark)
    job = _Job(settings.maintain, console, store, Lease(store, run_row.run_id, partial(messages.waiting, console)))
    with upkeep.as_run(store, run_row.run_id):
        if dry_run:
            job.preview()
            return run_row
        with run_row.recorded(store, job.lease):
            job.run()
    return run_row


def upgrade(settings: Settings, console: Console, *, dry_run: bool = False) -> RunRow:
    """Bring tables of an earlier schema version to today's; or with `dry_run` only say what there is to do.

    Raises:
        UsageError: no output was named.
        OutputError: a run is alive, or these are no tables that can be upgraded.
    """
    if settings.output is None:
        raise UsageError("--output", "is missing", "Name the path, or catalog.schema, of the tables.")
    spark = open_session("triplelake upgrade")
    store = Store(spark, settings.output)
    run_row = RunRow("upgrade", settings)
    run_row.versions = versions(spark)
    if not upgradable(store):
        maintain_messages.upgraded(console, [])
        return run_row
    if dry_run:
        maintain_messages.upgraded(console, [words for words, _ in steps(store, run_row.run_id)], dry_run=True)
        return run_row
    lease = Lease(store, run_row.run_id, partial(messages.waiting, console))
    with run_row.recorded(store, lease):
        lease.take()
        done = []
        for words, step in steps(store, run_row.run_id):
            step()
            done.append(words)
        create_views(store)
        maintain_messages.upgraded(console, done)
    return run_row


def _check_retention(settings: MaintainSettings) -> None:
    days = settings.retain_days
    if days is not None and days < SAFE_RETENTION_DAYS and not settings.allow_short_retention:
        raise UsageError(
            f"--retain-days {days}",
            f"is less than the {SAFE_RETENTION_DAYS} days that Delta keeps for readers of older versions",
            "Where nobody reads these tables meanwhile, nor goes back to an older version: --allow-short-retention.",
        )


class _Job:
    """One maintenance of tables that are there."""

    def __init__(self, settings: MaintainSettings, console: Console, store: Store, lease: Lease) -> None:
        self._settings = settings
        self._console = console
        self._store = store
        self.lease = lease

    def preview(self) -> None:
        """Say what there is to do."""
        maintain_messages.tables(self._console, self._store, self._size())
        self._drop(dry_run=True)
        self._pack(dry_run=True)
        self._remove(dry_run=True)

    def run(self) -> None:
        """Do it, each step a commit of its own."""
        self.lease.take()
        before = self._size()
        maintain_messages.tables(self._console, self._store, before)
        try:
            with cancellable(self._store.spark):
                self._drop()
                self._pack()
                self._remove()
        except KeyboardInterrupt:
            cancel_all(self._store.spark)
            raise
        # Other engines read these tables: what came out must be as readable as what went in.
        self._store.require()
        maintain_messages.maintained(self._console, before, self._size())

    def _size(self) -> Size:
        return sum((upkeep.size_of(self._store, table) for table in TABLES), Size(0, 0))

    def _drop(self, *, dry_run: bool = False) -> None:
        lists = upkeep.work_lists(self._store)
        finished = [each.plan_id for each in lists if not each.needed]
        if finished and not dry_run:
            upkeep.drop_work_lists(self._store, finished)
        maintain_messages.work_lists(self._console, lists, dry_run=dry_run)

    def _pack(self, *, dry_run: bool = False) -> None:
        for table in PACKED:
            before = upkeep.size_of(self._store, table)
            if not before.gains:
                continue
            if not dry_run:
                upkeep.pack(self._store, table)
            maintain_messages.packed(
                self._console, table, before, None if dry_run else upkeep.size_of(self._store, table)
            )

    def _remove(self, *, dry_run: bool = False) -> None:
        days = self._settings.retain_days
        for table in TABLES:
            if days and not dry_run:
                upkeep.retain(self._store, table, days)
            # A look first: VACUUM leaves two commits behind also where there is nothing to remove.
            files = upkeep.removable(self._store, table, at_once=days == 0)
            if files and not dry_run:
                maintain_messages.removed(self._console, table, upkeep.remove(self._store, table, at_once=days == 0))
            elif files:
                maintain_messages.removable(self._console, table, files, days)
