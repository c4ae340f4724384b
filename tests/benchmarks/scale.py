"""How a run grows with its requests: time, memory, files; time to resume, and a thousand new documents on many known.

    python tests/benchmarks/scale.py --requests 10000 100000 --json OUT

Each document is one request, and fake servers answer at once, so that what is seen is the job itself. For each size it
runs three times over one output: the whole corpus; the same command once more, which finds its plan finished; and the
corpus with `--new` more documents. Memory is the most that was resident of the driver's Python, of its JVM and of all
Python workers together, looked at twice a second. `files per wave` are the files of `requests` that hold a bucket of
the wave, by their statistics in the log: what Delta reads for it. A wave is what the pool does in a given time, so they
are compared for 1,000 requests of a wave.

The exit code is 1 if anything is asked twice or not at all, or if memory or files per wave grow with the sizes.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import mean

import psutil
import pyarrow as pa
from passages import write_corpus
from simulated import ONE_CHUNK, FakePool, Lake, fake_pool, open_spark, settings, watch
from verdict import print_checks

from triplelake.tables.schemas import TABLES
from triplelake.ticker import Ticker

_SERVERS, _SLOTS = 8, 64
_CHARACTERS = 120
_LOOK_S = 0.5
_MB = 2**20
_FLAT = 1.35
"""What may be more, as a ratio, in the larger of two sizes: samples of memory, and waves, are never the same."""


@dataclass(frozen=True, slots=True)
class Step:
    """One run.

    Args:
        requests: documents of the corpus, each of which is one.
        asked: questions that came to the servers.
        seconds: by phase, as `Watched.seconds`, and `ask`.
        memory_mb: the most that was resident, by what.
        waves, files_per_wave: of the asking.
        files: of each table at the end.
    """

    requests: int
    what: str
    asked: int
    seconds: Mapping[str, float]
    memory_mb: Mapping[str, int]
    waves: int
    files_per_wave: float
    files: Mapping[str, int]


class Memory:
    """The most that was resident while it looked."""

    def __init__(self) -> None:
        self.peak_mb = {"driver": 0, "jvm": 0, "workers": 0}

    @contextmanager
    def watched(self) -> Iterator[Mapping[str, int]]:
        with Ticker(self._look, _LOOK_S, "memory"):
            yield self.peak_mb

    def _look(self) -> None:
        now = dict.fromkeys(self.peak_mb, 0)
        me = psutil.Process()
        now["driver"] = me.memory_info().rss
        for child in me.children(recursive=True):
            try:
                words = child.cmdline()
                kind = "jvm" if "java" in words[0] else "workers" if "pyspark.worker" in words else None
                if kind:
                    now[kind] += child.memory_info().rss
            except (psutil.Error, IndexError):
                continue
        for kind, size in now.items():
            self.peak_mb[kind] = max(self.peak_mb[kind], size // _MB)


class Series:
    """Runs over one growing corpus and one output."""

    def __init__(self, folder: Path, pool: FakePool) -> None:
        self._folder = folder
        self._pool = pool
        self._documents = 0

    def grow(self, count: int) -> None:
        """Add documents, in a file of their own."""
        numbers = range(self._documents, self._documents + count)
        (self._folder / "corpus").mkdir(exist_ok=True)
        write_corpus(self._folder / "corpus" / f"{numbers.start}.jsonl", numbers, _CHARACTERS)
        self._documents += count

    def run(self, what: str) -> Step:
        """The job over all of it."""
        self._pool.forget()
        corpus, output = str(self._folder / "corpus"), str(self._folder / "kg")
        chosen = settings(self._pool.setting, input=(corpus,), output=output, **ONE_CHUNK)
        with Memory().watched() as memory_mb:
            watched = watch(chosen)
        assert watched.run_row
        asked = watched.run_row.tally
        assert asked.failed == 0
        # Elsewhere, because what a query takes would be taken for the driver's own memory.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as elsewhere:
            waves, files = elsewhere.submit(files_per_wave, watched.output, watched.run_row.plan_id or "").result()
        return Step(
            requests=self._documents,
            what=what,
            asked=self._pool.counts(texts=False).received,
            seconds={**watched.seconds, "ask": asked.seconds},
            memory_mb=dict(memory_mb),
            waves=waves,
            files_per_wave=files,
            files={table.name: len(watched.lake.delta(table.name).file_uris()) for table in TABLES},
        )


def files_per_wave(output: Path, plan_id: str) -> tuple[int, float]:
    """Waves of a plan, and how many files of `requests` hold the buckets of one."""
    lake = Lake(output)
    actions = pa.table(lake.delta("requests").get_add_actions(flatten=True)).to_pylist()
    bounds = [(each["min.bucket"], each["max.bucket"], each["min.plan_id"], each["max.plan_id"]) for each in actions]
    waves = lake.query(
        f"""SELECT a.wave, min(r.bucket) AS low, max(r.bucket) AS high
        FROM attempts a JOIN requests r USING (plan_id, request_id)
        WHERE a.plan_id = '{plan_id}' GROUP BY a.wave"""
    )
    read = [
        sum(
            low <= wave["high"] and high >= wave["low"] and first <= plan_id <= last
            for low, high, first, last in bounds
        )
        for wave in waves
    ]
    return len(waves), mean(read) if read else 0.0


def report(step: Step) -> None:
    """A line of the table."""
    seconds = [f"{step.seconds.get(phase, 0.0):7.1f}" for phase in ("all", "plan", "ask", "publish")]
    memory = [f"{step.memory_mb[kind]:6}" for kind in ("driver", "jvm", "workers")]
    files = [f"{step.files[name]:5}" for name in ("requests", "attempts", "documents", "chunks", "triples")]
    cells = [f"{step.requests:8}", f"{step.what:<8}", f"{step.asked:8}", *seconds, *memory]
    cells += [f"{step.waves:5}", f"{step.files_per_wave:5.1f}", *files]
    print(f"| {' | '.join(cells)} |", flush=True)


def verdict(steps: Sequence[Step]) -> int:
    """Print what holds; 1 if anything does not."""
    runs = {what: [step for step in steps if step.what == what] for what in ("first", "again", "new")}

    def flat(measure: Callable[[Step], float]) -> bool:
        return all(measure(large) <= _FLAT * measure(small) for small, large in pairwise(runs["first"]))

    return print_checks(
        {
            "the memory of every kind of process was seen": all(
                min(step.memory_mb.values()) > 0 for step in runs["first"]
            ),
            "each request was asked once": all(step.asked == step.requests for step in runs["first"]),
            "a finished plan asks nothing": not any(step.asked for step in runs["again"]),
            "new documents ask for themselves alone": all(
                new.asked == new.requests - first.requests
                for first, new in zip(runs["first"], runs["new"], strict=True)
            ),
            "memory of Python is flat": flat(lambda step: step.memory_mb["driver"] + step.memory_mb["workers"]),
            "files for 1,000 requests of a wave do not grow": flat(
                lambda step: step.files_per_wave * step.waves / step.requests
            ),
        }
    )


def main() -> int:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, nargs="+", default=[10_000, 100_000], help="sizes (default: 10k, 100k)")
    parser.add_argument("--new", type=int, default=1000, help="documents that come to those known (default: 1000)")
    parser.add_argument("--tasks", type=int, default=4, help="of Spark at a time (default: 4)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the results here too")
    options = parser.parse_args()
    spark = open_spark(options.tasks)
    steps = []
    print("| requests | run | asked | s: all | plan | ask | publish | MB: driver | JVM | workers | waves ", end="")
    print("| files per wave | files: requests | attempts | documents | chunks | triples |")
    print("|---" * 17 + "|", flush=True)
    for count in options.requests:
        with tempfile.TemporaryDirectory() as name, fake_pool(_SERVERS, _SLOTS) as pool:
            series = Series(Path(name), pool)
            series.grow(count)
            for what in ("first", "again", "new"):
                if what == "new":
                    series.grow(options.new)
                steps.append(series.run(what))
                report(steps[-1])
    spark.stop()
    if options.json:
        options.json.write_text(json.dumps([asdict(step) for step in steps], indent=2) + "\n", encoding="utf-8")
    return verdict(steps)


if __name__ == "__main__":
    sys.exit(main())
