"""What a person sees while a run goes on: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from triplelake.engine.waves import Tally, WaveResult

_PLAIN_EVERY_S = 10.0


class Reporter:
    """Shows the tally of a run after each wave; a context manager around the asking.

    Args:
        console: where to write.
        total: requests to answer.
    """

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._total = total
        self._last_line = 0.0
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
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def wave(self, result: WaveResult, tally: Tally) -> None:
        """Show the state after a committed wave."""
        text = rates(tally, self._total)
        self._bar.update(self._task, completed=tally.answered, rates=text)
        now = time.monotonic()
        if not self._console.is_terminal and (now - self._last_line >= _PLAIN_EVERY_S or tally.answered >= self._total):
            self._last_line = now
            self._console.print(f"{tally.answered}/{self._total} answered, {text}", highlight=False)


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
