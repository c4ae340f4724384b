"""One run over fake servers on a cluster of two executors, with drivers and executors killed by `kill -9` on the way.

    python tests/benchmarks/kill_many.py --requests 20000 --kills 20 --seed 1

Every second kill, in random order, is of the driver with all that it started, after which the same command is started
again; the others are of one executor. Each comes a random moment after a random number of questions. At the end the
triples are compared, row for row, with those of a run that was left alone.

`open` are the requests that were asked and not committed when the kill came, `again` how often these were asked from
then until the next kill. A driver takes along what its two waves had asked, an executor what its tasks had: `others`
are the open requests of the other executor, known by the connections that it had, and none is to be asked again:
`other again` counts how often they were.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from fake.pool import FakePool
from harness.deadline import wait_until
from harness.jobs import Job, own_spark
from harness.lake import Lake, check_offsets, check_unique
from passages import write_corpus
from simulated import API_KEY, ONE_CHUNK
from verdict import passes, print_checks

_SERVERS, _SLOTS = 8, 16
_CHARACTERS = 120
_CLUSTER = (
    "spark.master=local-cluster[2,4,1024]",
    "spark.executor.memory=1g",
    "spark.stage.maxConsecutiveAttempts=32",  # as infra/spark/cluster.conf has it
)
_WITHIN_S = 5.0
_LONGEST_S = 3600.0
_OF_THE_RUN = ("run_id", "extracted_at")


@dataclass(frozen=True, slots=True)
class Kill:
    """What a kill met: how often each text had been asked, of those that were committed and of those that were not.

    Args:
        others: those of `open` that an executor had asked which was left alone.
    """

    what: str
    committed: Counter[str]
    open: Counter[str]
    others: frozenset[str]

    def again(self, asked: Counter[str]) -> int:
        """How often its open requests were asked again since."""
        return sum(asked[text] - count for text, count in self.open.items())

    def again_of_others(self, asked: Counter[str]) -> int:
        """How often those of the executor that was left alone were."""
        return sum(asked[text] - self.open[text] for text in self.others)


class Run:
    """A command over one output, started as often as needed."""

    def __init__(self, folder: Path, corpus: Path, pool: FakePool, output: str) -> None:
        self._folder = folder
        self._pool = pool
        self._spark = folder / "spark"
        self.lake = Lake(folder / output)
        self._words = ["jobs/extract.py", "--input", corpus, "--output", folder / output, "--profile", "base"]
        chosen = {name.replace("__", "."): value for name, value in ONE_CHUNK.items()}
        # Short waves, so that most kills find some that are committed.
        chosen |= {"pool": pool.setting, "run.wave_s": 5, "run.preflight": False}
        self._words += [word for name, value in chosen.items() for word in ("--set", f"{name}={value}")]

    def start(self) -> Job:
        return Job(self._words, self._folder, api_key=API_KEY, spark=_CLUSTER, spark_home=self._spark)

    def finish(self, job: Job) -> None:
        ended = job.wait(_LONGEST_S)
        if ended.code:
            raise SystemExit(ended.text)

    def committed(self) -> set[str]:
        """Texts whose answer stands in `attempts`."""
        if self.lake.version("attempts") < 0:
            return set()
        rows = self.lake.query("SELECT c.text FROM attempts a JOIN chunks c USING (request_id)")
        return {row["text"] for row in rows}

    def asked(self) -> Counter[str]:
        return self._pool.counts().asked

    def triples(self) -> Counter[str]:
        """All triples, but for what names the run and the moment."""
        rows = self.lake.rows("triples")
        return Counter(repr({name: each for name, each in row.items() if name not in _OF_THE_RUN}) for row in rows)


def disturb(run: Run, pool: FakePool, requests: int, kills: int, chance: random.Random) -> list[tuple[Kill, int, int]]:
    """Let the run go through its kills and then to its end; each with what was asked again until the next, and what of
    that an executor had asked which was left alone.
    """
    kinds = ["driver", "executor"] * (kills // 2)
    chance.shuffle(kinds)
    done: list[tuple[Kill, int, int]] = []
    last: Kill | None = None
    job = run.start()

    def settle() -> None:
        if last:
            asked = run.asked()
            done.append((last, last.again(asked), last.again_of_others(asked)))
            kill, again, again_of_others = done[-1]
            counts = (len(kill.committed), len(kill.open), again, len(kill.others), again_of_others)
            print(f"| {kill.what:<8} | {' | '.join(f'{count:11}' for count in counts)} |", flush=True)

    for left, kind in zip(range(len(kinds), 0, -1), kinds, strict=True):
        share = max(1, 2 * (requests - len(run.committed())) // (left + 1))
        _wait_for_questions(job, pool, chance.randint(1, share), chance.uniform(0, _WITHIN_S))
        if not job.runs:
            break
        settle()
        others: Set[tuple[int, int]] = frozenset()
        if kind == "driver":
            job.kill()
        else:
            victim, *rest = job.executors
            others = {line for pid in rest for line in _lines_of(pid)}
            os.kill(victim, signal.SIGKILL)
        lines = pool.lines()
        there, asked = run.committed(), run.asked()
        last = Kill(
            kind,
            committed=Counter({text: count for text, count in asked.items() if text in there}),
            open=Counter({text: count for text, count in asked.items() if text not in there}),
            others=frozenset(text for text, asked_on in lines.items() if asked_on & others and text not in there),
        )
        if kind == "driver":
            job = run.start()
    run.finish(job)
    settle()
    return done


def _lines_of(executor: int) -> set[tuple[int, int]]:
    """All connections that it and the Python workers below it have: the other side's port and their own."""
    processes = [psutil.Process(executor), *psutil.Process(executor).children(recursive=True)]
    lines = [each for process in processes for each in process.net_connections("tcp") if each.raddr]
    return {(each.raddr.port, each.laddr.port) for each in lines}


def _wait_for_questions(job: Job, pool: FakePool, count: int, pause_s: float) -> None:
    """Wait until so many more questions have come, and a moment longer; or until the job ends."""
    until = pool.counts(texts=False).received + count
    wait_until(lambda: pool.counts(texts=False).received >= until or not job.runs, "the questions to kill after")
    end = time.monotonic() + pause_s
    wait_until(lambda: time.monotonic() >= end or not job.runs, "the moment to kill at")


def verdict(sound: Run, run: Run, done: Sequence[tuple[Kill, int, int]], requests: int, kills: int) -> int:
    """Print what holds; 1 if anything does not."""
    waves = run.lake.query("SELECT wave, count(*) AS size FROM attempts GROUP BY wave ORDER BY size DESC")
    two_waves = sum(wave["size"] for wave in waves[:2])
    asked = run.asked()
    checks = {
        "every kill met the run": len(done) == kills,
        "each request is answered once": len(run.lake.rows("attempts")) == requests == len(run.committed()),
        "nothing is there twice": passes(lambda: check_unique(run.lake)),
        "offsets give back every surface": passes(lambda: check_offsets(run.lake)),
        "the triples are those of the run left alone": run.triples() == sound.triples(),
        "nothing committed was asked again": all(
            asked[text] == count for kill, _, _ in done for text, count in kill.committed.items()
        ),
        "a driver took along two waves at most": all(
            len(kill.open) <= two_waves for kill, _, _ in done if kill.what == "driver"
        ),
        "an executor took along what its own tasks had asked": not any(
            again for kill, _, again in done if kill.what == "executor"
        ),
        "of executors that were left alone, open requests were seen": any(kill.others for kill, _, _ in done),
    }
    print(f"\n{len(done)} kills; {asked.total()} questions for {requests} requests; the two largest waves: {two_waves}")
    return print_checks(checks)


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=20, help="half of the driver, half of an executor")
    parser.add_argument("--seed", type=int, default=1, help="of their order and moments")
    parser.add_argument("--latency", type=float, default=1.0, help="seconds of a request")
    options = parser.parse_args(argv)
    speed = {"latency_s": options.latency, "spread": 0.5}
    with (
        tempfile.TemporaryDirectory() as name,
        FakePool(_SERVERS, slots=_SLOTS, api_key=API_KEY, **speed) as pool,
    ):
        folder = Path(name)
        corpus = write_corpus(folder / "corpus.jsonl", range(options.requests), _CHARACTERS)
        own_spark(folder / "spark")
        sound = Run(folder, corpus, pool, "sound")
        sound.finish(sound.start())
        pool.forget()
        run = Run(folder, corpus, pool, "kg")
        heads = ("committed", "open", "again", "others", "other again")
        print(f"| killed   | {' | '.join(f'{head:>11}' for head in heads)} |\n{'|---' * 6}|", flush=True)
        done = disturb(run, pool, options.requests, options.kills, random.Random(options.seed))
        return verdict(sound, run, done, options.requests, options.kills)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
