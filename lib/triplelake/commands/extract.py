"""The extraction job from its settings to its row in `runs`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from pyspark.sql import DataFrame, SparkSession
from rich.console import Console

from triplelake.commands import confidence_messages, extract_messages, messages, plan_messages, probe_messages
from triplelake.commands.confidence import sift, tell_unlooked
from triplelake.commands.idle import idle_settings
from triplelake.commands.review_sheet import leave_review
from triplelake.commands.suggest_ontology import suggest
from triplelake.config import Settings
from triplelake.corpus.inputs import find_input
from triplelake.engine.asking.ask import Asking
from triplelake.engine.asking.buckets import Bucket, new_buckets, open_buckets
from triplelake.engine.asking.budget import Budget, budget_of, check_budget
from triplelake.engine.asking.open_pool import OpenPool, open_pool, read_prompt_files
from triplelake.engine.asking.tally import check_failures
from triplelake.engine.earlier_runs import answers_by_key, changes, newest_key
from triplelake.engine.planning.plan import Plan
from triplelake.engine.planning.planner import Planner
from triplelake.engine.planning.source import Source, open_source
from triplelake.engine.publishing import BackgroundPublisher
from triplelake.engine.run_row import RunRow
from triplelake.errors import BudgetSpent, UsageError
from triplelake.evaluate.calibration_file import check_confidence
from triplelake.spark import open_session, versions
from triplelake.tables.lease import Lease
from triplelake.tables.outputs import check_output
from triplelake.tables.publish import Publisher
from triplelake.tables.schemas import RUNS, Table
from triplelake.tables.store import Store
from triplelake.tables.views import create_views

_REQUESTS_PER_SLOT_IN_A_BUCKET = 8


def extract(
    settings: Settings,
    console: Console,
    *,
    dry_run: bool = False,
    probe: int = 0,
    frame: DataFrame | None = None,
    spark: SparkSession | None = None,
) -> RunRow:
    """Run the job: read, plan, ask, publish; or with `dry_run` only say what it would do.

    Args:
        frame: the input, in place of the table that the settings name.
        spark: the session of a program that calls.
        probe: with `dry_run`, questions to ask all the same, so that what it would take is measured.

    Raises:
        BudgetSpent: a budget ended it, and `budget.success` does not call that a success.
        TriplelakeError: whatever ended it early; everything committed is kept, and the run is in `runs`.
    """
    if settings.output is None:
        raise UsageError("--output", "is missing", "Name a path, or catalog.schema, for the tables.")
    # What can be known without Spark comes first, so that a mistake is answered within a second.
    check_output(settings.output)
    check_budget(settings)
    prompt_files = read_prompt_files(settings)
    found = find_input(settings)
    messages.idle(console, idle_settings(settings, found.format, probing=probe > 0))
    run_row = RunRow("probe" if probe else "extract", settings)
    with open_pool(settings, prompt_files) as pool:
        extract_messages.opened(console, pool)
        if pool.calibrated is not None:
            confidence_messages.confidence(console, pool.calibrated, pool.key)
            confidence_messages.calibration(console, pool.calibrated, settings.asking.second_look)
        check_confidence(settings, pool.calibrated)
        budget = budget_of(settings, len(pool.survey.endpoints), run_row.started_at)
        spark = open_session("triplelake extract", spark)
        store = Store(spark, settings.output)
        missing = store.check()
        source = open_source(spark, settings, found, frame)
        extract_messages.source(console, source)
        run_row.extraction_key = pool.key
        run_row.versions = {**versions(spark), **pool.versions}
        lease = Lease(store, run_row.run_id, partial(messages.waiting, console))
        job = _Job(settings, console, store, source, pool, run_row, missing, lease, budget)
        if probe:
            with run_row.recorded(store, lease):
                job.preview(probe)
            return run_row
        if dry_run:
            job.preview()
            return run_row
        with run_row.recorded(store, lease):
            job.run()
    messages.summary(console, store, run_row)
    if prompt_files.ontology is None and (suggested := suggest(store)):
        extract_messages.suggested(console, *suggested)
    if settings.run.sample:
        drawn = source.documents(settings.run.limit, settings.run.sample, settings.run.seed)
        leave_review(store, drawn, prompt_files, settings.run, console)
    if run_row.spent is not None:
        if not settings.budget.success:
            raise run_row.spent
        extract_messages.spent(console, run_row.spent)
    return run_row


class _Job:
    """One extraction with its pool open and its tables there."""

    def __init__(
        self,
        settings: Settings,
        console: Console,
        store: Store,
        source: Source,
        pool: OpenPool,
        run_row: RunRow,
        missing: Sequence[Table],
        lease: Lease,
        budget: Budget,
    ) -> None:
        self._settings = settings
        self._console = console
        self._store = store
        self._pool = pool
        self._run_row = run_row
        self._missing = missing
        self._lease = lease
        self._budget = budget
        self._sifted = False
        size = max(1, min(settings.run.bucket_size, pool.slots * _REQUESTS_PER_SLOT_IN_A_BUCKET))
        self._planner = Planner(store, source, settings, pool.key, run_row.run_id, size)

    def preview(self, probe: int = 0) -> None:
        """Say what a run would do; with a probe ask some of its questions first."""
        if probe and RUNS not in self._missing:
            self._lease.take()
        self._tell_changes()
        with self._planner.draft() as draft:
            plan_messages.draft(self._console, draft)
            extract_messages.notes(self._console, self._pool, draft.asked)
            if probe:
                self._make_tables()
            if not probe or not draft.plan.requests:
                extract_messages.estimate(self._console, self._store, self._pool, draft)
                extract_messages.bounds(self._console, self._budget)
                if self._pool.second_look:
                    confidence_messages.without_looks(self._console)
                return
            plan_id = draft.write_probe(probe, self._settings.run.seed)
            requests = draft.plan.requests
        # A probe asks as many questions as it is told to.
        self._ask(plan_id, new_buckets(self._store, plan_id), Budget(), committed=lambda: None)
        probe_messages.tell(
            self._console,
            self._store,
            plan_id,
            requests=requests,
            slots=self._pool.slots,
            servers=len(self._pool.survey.endpoints),
            settings=self._settings,
        )

    def run(self) -> None:
        """Ask what is open, publish what is complete, and say what of it counts as a fact.

        A bound on confidence holds from the start, also of a run that ends early; one on precision is known at the end.
        """
        self._extract()
        if not self._sifted:
            sift(self._store, self._settings, self._console)
        tell_unlooked(self._store, self._pool.calibrated, self._console)

    def _extract(self) -> None:
        if RUNS not in self._missing:
            self._lease.take()
        plan = self._planner.find()
        resumes = plan is not None and self._publisher(plan).unsettled()
        if plan and resumes:
            extract_messages.resumed(self._console, plan)
        elif plan and not self._settings.run.retry_failed:
            extract_messages.covered(self._console)
            return
        else:
            plan = self._plan_anew()
        if plan is None:
            return
        if self._settings.run.precision is None:
            sift(self._store, self._settings, self._console)
            self._sifted = True
        run_row = self._run_row
        run_row.plan_id = plan.plan_id
        run_row.chunks, run_row.requests, run_row.reused = plan.chunks, plan.requests, plan.reused
        publisher = self._publisher(plan)
        ended_by: str | None = None
        with BackgroundPublisher(publisher) as published:
            buckets = (open_buckets if resumes else new_buckets)(self._store, plan.plan_id)
            if buckets:
                extract_messages.bounds(self._console, self._budget)
                ended_by = self._ask(plan.plan_id, buckets, self._budget, published.wake)
        run_row.documents, run_row.triples = published.documents, published.triples
        check_failures(run_row.tally, self._settings.run.max_failure_rate)
        if ended_by is not None:
            run_row.spent = self._what_is_left(ended_by, plan)

    def _what_is_left(self, ended_by: str, plan: Plan) -> BudgetSpent | None:
        left = sum(bucket.open for bucket in open_buckets(self._store, plan.plan_id))
        if not left:
            return None
        reason = f"ended the run: {self._run_row.tally.answered:,} requests were asked, {left:,} are left"
        return BudgetSpent(ended_by, reason, "What was asked is kept and published; the same command goes on.")

    def _ask(
        self, plan_id: str, buckets: Sequence[Bucket], budget: Budget, committed: Callable[[], None]
    ) -> str | None:
        asking = Asking(self._settings, self._pool, self._store, self._console, plan_id, self._run_row.run_id, budget)
        return asking.run(buckets, self._run_row.tally, committed, self._lease.check)

    def _tell_changes(self) -> None:
        """Say why answers that are there are not used, if they were asked with other settings."""
        if RUNS in self._missing:
            return
        newest = newest_key(self._store)
        if newest is not None and newest != self._pool.key:
            lines = changes(self._store, newest, self._settings, self._pool.versions)
            extract_messages.changed(self._console, lines, answers_by_key(self._store), self._pool.key)

    def _plan_anew(self) -> Plan | None:
        self._tell_changes()
        with self._planner.draft() as draft:
            plan_messages.draft(self._console, draft)
            extract_messages.notes(self._console, self._pool, draft.asked)
            self._make_tables()
            self._run_row.removed = draft.write()
            self._run_row.rejected = draft.changes.rejected
            self._run_row.lost_lines = draft.changes.lost.lines
            return draft.plan if draft.plan.documents else None

    def _make_tables(self) -> None:
        """Not before something is to be written: an input that holds nothing leaves no tables behind."""
        if RUNS in self._missing:
            # Beside it lies the lease. The others come under that: where a store lets a commit be overwritten (S3), two
            # first runs would make each of them twice.
            self._store.create([RUNS])
            self._lease.take()
        self._store.create([table for table in self._missing if table is not RUNS])
        create_views(self._store)

    def _publisher(self, plan: Plan) -> Publisher:
        return Publisher(
            self._store,
            plan.plan_id,
            self._pool.key,
            self._run_row.run_id,
            self._pool.prompt_files.ontology,
            self._settings.answer,
            self._pool.calibrated.calibration if self._pool.calibrated else None,
            self._lease.check,
        )
