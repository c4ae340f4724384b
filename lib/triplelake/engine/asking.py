"""The middle of a run: waves over the open requests, with the desk, the look at the servers and the progress beside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from rich.console import Console

from triplelake.config import Settings
from triplelake.engine.buckets import Bucket
from triplelake.engine.opened import Opened
from triplelake.engine.progress import Reporter
from triplelake.engine.session import driver_host, parallelism
from triplelake.engine.tally import Tally, WaveResult
from triplelake.engine.waves import Waves
from triplelake.engine.worker import Assignment
from triplelake.pool.desk import Desk
from triplelake.pool.desk_http import DeskServer
from triplelake.pool.sampler import Sample, Sampler
from triplelake.pool.shares import Share, split_shares, tasks_for
from triplelake.tables.store import Store


@dataclass(frozen=True)
class Asking:
    """Asks the open requests of one plan.

    Args:
        settings: of the run.
        opened: the question and the pool.
        store: the output.
        console: where progress is shown.
        plan_id, run_id: what is asked and by whom.
    """

    settings: Settings
    opened: Opened
    store: Store
    console: Console
    plan_id: str
    run_id: str

    def run(self, buckets: Sequence[Bucket], tally: Tally, committed: Callable[[], None]) -> None:
        """Ask until nothing is open.

        Args:
            tally: where the committed waves are added up, also if this raises.
            committed: told after each commit.

        Raises:
            PoolError, TooManyFailures, KeyboardInterrupt: as `Waves.run`.
        """
        reporter = Reporter(self.console, sum(bucket.open for bucket in buckets))
        with self._desk() as server:
            desk = server.desk if server else None

            def on_sample(url: str, sample: Sample) -> None:
                if desk and sample.state == "up":
                    desk.observe(url, sample.deferred)

            def on_wave(result: WaveResult) -> None:
                reporter.wave(tally)
                committed()

            with Sampler(self.opened.survey.endpoints, on_sample) as sampler, reporter:
                waves = Waves(
                    store=self.store,
                    template=self._template(server),
                    settings=self.settings.run,
                    share=self._share,
                    tasks=self._tasks,
                    slots=self.opened.slots,
                    check_pool=self.opened.check,
                    on_wave=on_wave,
                    on_tick=lambda live: reporter.tick(tally, live, sampler.load),
                    on_stop=reporter.stopping,
                    run_id=self.run_id,
                    desk=desk,
                    tally=tally,
                )
                waves.run(buckets)

    @contextmanager
    def _desk(self) -> Iterator[DeskServer | None]:
        """The desk where tasks get their windows; None where executors cannot be told an address of the driver."""
        host = driver_host(self.store.spark) if self.settings.run.desk else None
        if host is None:
            yield None
            return
        with DeskServer(Desk(self.opened.survey.endpoints), host) as server:
            yield server

    @property
    def _tasks(self) -> int:
        """Tasks of a full wave: as few as fill the pool, and no more than can run beside those of the other lanes."""
        beside = max(1, parallelism(self.store.spark) // self.settings.run.lanes)
        return min(tasks_for(self.opened.survey.endpoints), beside)

    @property
    def _share(self) -> Callable[[int], Sequence[Share]]:
        """What each task of a wave may ask where no desk says otherwise, by the number of tasks."""
        return partial(
            split_shares,
            self.opened.survey.endpoints,
            requests_per_s=self.settings.asking.requests_per_s,
            tokens_per_s=self.settings.asking.tokens_per_s,
            lanes=self.settings.run.lanes,
        )

    def _template(self, server: DeskServer | None) -> Assignment:
        return Assignment(
            plan_id=self.plan_id,
            wave=0,
            key=self.opened.key,
            shares=(),
            endpoints=tuple(self.opened.survey.endpoints),
            desk=server.address if server else None,
            asking=self.settings.asking,
            answer=self.settings.answer,
            engine=self.opened.survey.engine,
            renderer=self.opened.renderer,
            ontology=self.opened.question.ontology,
            prefix_tokens=self.opened.prefix_tokens,
        )
