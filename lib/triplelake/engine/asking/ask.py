"""The middle of a run: waves over the open requests, with the desk, the look at the servers and the progress beside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from pyspark.sql import functions as F
from rich.console import Console

from triplelake.config import Settings
from triplelake.engine.asking import messages
from triplelake.engine.asking.buckets import Bucket
from triplelake.engine.asking.budget import Budget
from triplelake.engine.asking.first_answers import ENOUGH, suspicion
from triplelake.engine.asking.known import try_known
from triplelake.engine.asking.open_pool import OpenPool
from triplelake.engine.asking.preflight import preflight
from triplelake.engine.asking.progress import Reporter
from triplelake.engine.asking.tally import Tally, WaveResult
from triplelake.engine.asking.task import Assignment
from triplelake.engine.asking.waves import Fleet, Waves
from triplelake.pool.desk import Desk
from triplelake.pool.desk_http import DeskServer
from triplelake.pool.endpoints import Endpoint, load_pool
from triplelake.pool.reports import TaskCounts
from triplelake.pool.roster import Roster
from triplelake.pool.sampler import Sample, Sampler
from triplelake.pool.shares import split_shares, tasks_for, total_slots
from triplelake.pool.survey import Away
from triplelake.spark import driver_host, parallelism
from triplelake.tables.schemas import DOCUMENTS
from triplelake.tables.states import in_state
from triplelake.tables.store import Store
from triplelake.ticker import Ticker

_LOOK_S = 5.0


@dataclass(frozen=True)
class Asking:
    """Asks the open requests of one plan.

    Args:
        settings: of the run.
        pool: the pool, and what it is asked with.
        store: the output.
        console: where progress is shown.
        plan_id, run_id: what is asked and by whom.
        budget: what the run may use up.
    """

    settings: Settings
    pool: OpenPool
    store: Store
    console: Console
    plan_id: str
    run_id: str
    budget: Budget

    def run(
        self, buckets: Sequence[Bucket], tally: Tally, committed: Callable[[], None], check: Callable[[], None]
    ) -> str | None:
        """Ask until nothing is open, or the budget is used up.

        Args:
            tally: where the committed waves are added up, also if this raises.
            committed: told after each commit.
            check: raises where this run may not write any more; asked twice a second.

        Returns:
            As `Waves.run`.

        Raises:
            PoolError: a server does not answer a known sentence, or the model finds nothing in known texts.
            PoolError, TooManyFailures, KeyboardInterrupt: as `Waves.run`.
        """
        away: Sequence[Away] = ()
        if self.settings.run.preflight:
            langs = {bucket.lang for bucket in buckets}
            away = preflight(self.pool, langs)
            messages.answering(self.console, len(self.pool.survey.endpoints) - len(away), langs)
            fresh = langs - self._published_in()
            if fresh and self.pool.profile.is_tuned:
                messages.known_left_out(self.console)
            elif fresh:
                messages.known(self.console, try_known(self.pool, fresh, away))
        reporter = Reporter(self.console, sum(bucket.open for bucket in buckets))
        with self._desk() as server:
            desk = server.desk if server else None
            tell = partial(messages.pool_changed, self.console)
            roster = Roster(self.pool.survey, self._named, tell, desk.change if desk else lambda _: None)
            roster.set_aside(away)

            def on_sample(url: str, sample: Sample) -> None:
                if desk and sample.state == "up":
                    desk.observe(url, sample.deferred)

            def on_tick(live: TaskCounts) -> None:
                check()
                reporter.tick(tally, live, sampler.load)

            judged = False

            def on_wave(result: WaveResult) -> None:
                nonlocal judged
                reporter.wave(tally)
                committed()
                if not judged and tally.answered - tally.failed >= ENOUGH:
                    judged = True
                    self._judge(tally)

            # The roster waits for servers that do not answer, which must not hold up the looks at those that do.
            looks = Ticker(roster.look, _LOOK_S, "roster")
            with Sampler(lambda: roster.endpoints, on_sample) as sampler, looks, reporter:
                waves = Waves(
                    store=self.store,
                    template=self._template(server),
                    settings=self.settings.run,
                    fleet=lambda: self._fleet(roster.endpoints),
                    check_pool=roster.recheck,
                    on_wave=on_wave,
                    on_tick=on_tick,
                    on_stop=reporter.stopping,
                    run_id=self.run_id,
                    desk=desk,
                    tally=tally,
                    budget=self.budget,
                )
                return waves.run(buckets)

    def _published_in(self) -> set[str]:
        """The languages in which the output holds documents that were asked about in the same way."""
        mine = (F.col("extraction_key") == self.pool.key) & in_state("published")
        return {row["lang"] for row in self.store.read(DOCUMENTS).where(mine).select("lang").distinct().collect()}

    def _judge(self, tally: Tally) -> None:
        """Look at the first answers of the run.

        Raises:
            TooManyFailures: hardly one has a triple, or many were cut, and the run is to stop then.
        """
        found = suspicion(tally, self.store, self.plan_id)
        if found is None:
            return
        messages.suspicious(self.console, found, self.store.output)
        if self.settings.run.on_suspicious == "stop":
            raise found.error

    @contextmanager
    def _desk(self) -> Iterator[DeskServer | None]:
        """The desk where tasks get their windows; None where executors cannot be told an address of the driver."""
        host = driver_host(self.store.spark) if self.settings.run.desk else None
        if host is None:
            yield None
            return
        with DeskServer(Desk(self.pool.survey.endpoints), host) as server:
            yield server

    def _fleet(self, endpoints: tuple[Endpoint, ...]) -> Fleet:
        """As few tasks as fill the servers, and no more than can run beside those of the other lanes."""
        beside = max(1, parallelism(self.store.spark) // self.settings.run.lanes)
        return Fleet(
            endpoints=endpoints,
            slots=total_slots(endpoints),
            tasks=min(tasks_for(endpoints), beside),
            share=partial(
                split_shares,
                endpoints,
                requests_per_s=self.settings.asking.requests_per_s,
                tokens_per_s=self.settings.asking.tokens_per_s,
                lanes=self.settings.run.lanes,
            ),
        )

    @property
    def _named(self) -> Callable[[], Sequence[Endpoint]] | None:
        """The servers that the setting names now, in a pool file or by their URLs; None for the embedded one."""
        settings = self.settings
        if settings.pool == "embedded":
            return None
        return lambda: load_pool(settings.pool, settings.api_key, settings.asking.ca_file)

    def _template(self, server: DeskServer | None) -> Assignment:
        return Assignment(
            plan_id=self.plan_id,
            wave=0,
            key=self.pool.key,
            shares=(),
            endpoints=(),
            desk=server.address if server else None,
            asking=self.settings.asking,
            method=self.pool.method,
        )
