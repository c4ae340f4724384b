"""What a person sees while a run goes on: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from dataclasses import replace
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from triplelake.engine.asking.tally import Tally
from triplelake.pool.reports import TaskCounts
from triplelake.pool.sampler import Load

_PLAIN_EVERY_S = 10.0


class Reporter:
    """Shows the tally of a run, committed or on its way; a context manager around the asking.

    Args:
        console: where to write.
        total: requests to answer.
    """

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._total = total
        self._began = self._last_line = 0.0
        self._bar = Progress(
            TextColumn("asking"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rates]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("asking", total=total, rates="first wave …")

    def __enter__(self) -> Reporter:
        self._bar.start()
        self._began = self._last_line = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def wave(self, tally: Tally) -> None:
        """Show the state after a committed wave."""
        self._show(tally.answered, rates(tally, self._total), final=tally.answered >= self._total)

    def tick(self, tally: Tally, live: TaskCounts, load: Load | None = None) -> None:
        """Show the state between commits.

        Args:
            live: what the waves in flight have done; not committed yet.
            load: what the servers say of themselves.
        """
        now = replace(tally, seconds=time.monotonic() - self._began)
        for name in ("answered", "failed", "triples", "completion_tokens"):
            setattr(now, name, getattr(tally, name) + getattr(live, name))
        parts = (rates(now, self._total) if now.answered else "", str(load or ""))
        if text := ", ".join(filter(None, parts)):
            self._show(now.answered, text, final=False)

    def stopping(self, budget: str | None) -> None:
        """Say that the run ends as soon as what is in flight is there.

        Args:
            budget: the setting that ends it; None where it is a signal.
        """
        why, then = (f" by {budget}", "") if budget else ("", " A second signal gives it up.")
        self._console.print(
            f"Stopping{why}: what is in flight is answered and kept.{then}", highlight=False, soft_wrap=True
        )

    def _show(self, answered: int, text: str, *, final: bool) -> None:
        self._bar.update(self._task, completed=answered, rates=text)
        now = time.monotonic()
        if not self._console.is_terminal and (final or now - self._last_line >= _PLAIN_EVERY_S):
            self._last_line = now
            self._console.print(f"{answered}/{self._total} answered, {text}", highlight=False, soft_wrap=True)


def rates(tally: Tally, total: int) -> str:
    """The tally in a line: triples, tokens per second, failures, time left."""
    seconds = max(tally.seconds, 1e-9)
    left = (total - tally.answered) * seconds / tally.answered if tally.answered else 0.0
    return (
        f"{tally.triples} triples, {tally.completion_tokens / seconds:.0f} tok/s, "
        f"{tally.failed} failed, {duration(left)} left"
    )


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
