"""How full the job keeps a pool: its goodput, from the first question to the last commit, over what a bare client gets.

    python tests/benchmarks/pool.py --pools 1x4 4x8 64x16 --json OUT
    python tests/benchmarks/pool.py --real FILE --limit 150

After the job the bare client (`closed_loop.py`) puts the very questions of the job, in the job's order, to the same
servers, with as many in flight at each, and does nothing else: its goodput is the ceiling. `NxS` are N fake servers of
S slots, whose requests take a second, give or take a quarter; 6 seconds from 512 slots on, which is what two cores can
serve. `real` is the embedded llama.cpp server over a corpus, on a core of its own, as a server has its own machine: the
job and the bare client have the others.

The last columns tell where the job's slot-seconds went that no request used: `ramp` until every slot was first taken,
`tail` from the last moment at which all were until the last answer, `gaps` in between, and `commit` after the last
answer. The bare client has a ramp and a tail of its own, so these can add up to more than what the job lacks.

With `--trouble` four servers of 8 slots are asked twice: by the bare client while all are well, and by the job while
one refuses a tenth of its requests, one hangs after its tenth, one dies and returns after 10 seconds, and all refuse
2 % of the texts for good. Its line tells what the two that neither hang nor die answered per second, over what two of
four servers gave the bare client.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from closed_loop import ask_all
from passages import passages, write_corpus
from simulated import ONE_CHUNK, FakePool, Watched, bodies, fake_pool, method_of, open_spark, rule, settings, watch

from triplelake.config import EmbeddedSettings, Settings
from triplelake.pool.client import LlamaServer
from triplelake.pool.embedded import EmbeddedServer
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.shares import total_slots
from triplelake.types import Request

_CHARACTERS = 120
_BIG_POOL = 512
_POISON = ("13篇。", "57篇。")
"""One or the other is in every 50th passage."""

_TASKS = 40
"""At a time: 17 fill 1,024 slots, in each of two lanes."""


@dataclass(frozen=True, slots=True)
class Idle:
    """Parts of all slot-seconds in which no request used a slot."""

    ramp: float
    gaps: float
    tail: float
    commit: float


@dataclass(frozen=True, slots=True)
class Goodput:
    """One pool: requests per second of the bare client and of the job, and where the job's slots were idle."""

    pool: str
    slots: int
    requests: int
    ceiling: float
    job: float
    idle: Idle

    @property
    def share(self) -> float:
        """The job's goodput over the ceiling."""
        return self.job / self.ceiling


@dataclass(frozen=True, slots=True)
class Trouble:
    """What became of the requests of a pool in trouble; `healthy_share` of the goodput of the two that are well."""

    requests: int
    poisoned: int
    answered_once: bool
    failed_as_named: bool
    healthy_share: float


@dataclass(frozen=True, slots=True)
class Place:
    """A pool and what it is asked."""

    name: str
    endpoints: tuple[Endpoint, ...]
    chosen: Settings
    fakes: FakePool | None = None

    def measure(self) -> Goodput:
        """The job, and then the bare client."""
        slots = total_slots(self.endpoints)
        with method_of(self.chosen) as method:
            # No round is the first that a slot sees.
            ready = [Request("", text, "", "", "zh-Hans") for text in passages(2 * slots, _CHARACTERS)]
            ask_all(self.endpoints, list(bodies(method, ready)))
            watched = watch(self.chosen)
            asked = watched.lake.query("SELECT * FROM requests ORDER BY bucket, est_tokens DESC, request_id")
            requests = [
                Request(row["request_id"], row["text"], row["title"], row["context"], row["lang"]) for row in asked
            ]
            with closing(LlamaServer(self.endpoints[0], self.chosen.asking.timeout_s)) as first:
                loop = ask_all(self.endpoints, list(bodies(method, requests, first.tokenize)))
        assert watched.run_row
        assert watched.run_row.tally.answered == loop.answers == len(requests)
        assert not watched.run_row.tally.failed
        return Goodput(
            pool=self.name,
            slots=slots,
            requests=len(requests),
            ceiling=loop.answers / loop.seconds,
            job=len(requests) / watched.asked_s,
            idle=idle(watched, slots),
        )


def idle(watched: Watched, slots: int) -> Idle:
    """Where the slots of a run were idle, by its own rows."""
    rows = watched.lake.query("SELECT epoch(finished_at) AS until, latency_ms / 1000 AS took FROM attempts")
    steps: list[tuple[float, int]] = sorted(
        [(row["until"] - row["took"], 1) for row in rows] + [(row["until"], -1) for row in rows],
    )
    busy, spans = 0, []
    for (now, step), (then, _) in pairwise(steps):
        busy += step
        spans.append((now, then, min(busy, slots)))
    full = [(now, then) for now, then, taken in spans if taken == slots] or [(steps[-1][0], steps[-1][0])]
    first, last = full[0][0], full[-1][1]
    commit_s = max(watched.commits().values()) - steps[-1][0]
    whole = slots * (steps[-1][0] - steps[0][0] + commit_s)

    def lost(low: float, high: float) -> float:
        return sum((slots - taken) * (then - now) for now, then, taken in spans if low <= now < high) / whole

    return Idle(
        ramp=lost(0, first), gaps=lost(first, last), tail=lost(last, float("inf")), commit=slots * commit_s / whole
    )


@contextmanager
def simulated(name: str, seconds: float, folder: Path) -> Iterator[Place]:
    """`NxS` fake servers, with work for so many seconds."""
    servers, slots = map(int, name.split("x"))
    latency_s = 6.0 if servers * slots >= _BIG_POOL else 1.0
    count = round(servers * slots * seconds / latency_s)
    corpus = write_corpus(folder / f"{name}.jsonl", range(count), _CHARACTERS)
    with fake_pool(servers, slots, latency_s=latency_s, spread=0.25) as pool:
        more = {**ONE_CHUNK, "input": (str(corpus),), "output": str(folder / name)}
        yield Place(name, pool.endpoints, settings(pool.setting, **more), pool)


def keep_a_core_free() -> int:
    """The core; this process and what it starts from now on have the others."""
    core, *others = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, others)
    return core


@contextmanager
def real(corpus: Path, limit: int, slots: int, core: int, folder: Path) -> Iterator[Place]:
    """The embedded server over a corpus, on a core of its own."""
    others = os.sched_getaffinity(0)
    # A process keeps the cores on which it was started.
    os.sched_setaffinity(0, {core})
    with EmbeddedServer(EmbeddedSettings(slots=slots)) as server:
        os.sched_setaffinity(0, others)
        url, key = server.endpoint.url, server.endpoint.api_key
        chosen = settings(url, key, input=(str(corpus),), output=str(folder / "real"), run__limit=limit, profile="auto")
        yield Place("real", (Endpoint(url, key, slots),), chosen)


def in_trouble(seconds: float, folder: Path) -> Trouble:
    """Four servers of which two do badly."""
    with simulated("4x8", seconds, folder) as place:
        pool = place.fakes
        assert pool
        chosen = place.chosen
        count = round(total_slots(place.endpoints) * seconds)
        with method_of(chosen) as method:
            requests = [Request("", text, "", "", "zh-Hans") for text in passages(count, _CHARACTERS)]
            ceiling = ask_all(place.endpoints, list(bodies(method, requests)))
        pool.forget()
        poison = [rule("bad_request", contains=each) for each in _POISON]
        pool.script(*poison, rule("unavailable", probability=0.1, seed=1), server=0)
        pool.script(*poison, server=1)
        pool.script(*poison, rule("hang", requests=(10,)), server=2)
        pool.script(*poison, rule("die", requests=(50,), for_s=10.0), server=3)
        asking = chosen.asking.model_copy(update={"timeout_s": 5.0})
        watched = watch(chosen.model_copy(update={"asking": asking}))
        assert watched.run_row
        rows = watched.lake.query(
            "SELECT c.text, a.status, a.error_code FROM attempts a JOIN chunks c USING (request_id)"
        )
        poisoned = [any(each in row["text"] for each in _POISON) for row in rows]
        return Trouble(
            requests=len(rows),
            answered_once=len(rows) == len({row["text"] for row in rows}) == count,
            failed_as_named=all(
                (row["status"], row["error_code"]) == ("failed", "bad_request") if bad else row["status"] != "failed"
                for row, bad in zip(rows, poisoned, strict=True)
            ),
            poisoned=sum(poisoned),
            healthy_share=sum(pool.counts(number).outcomes["200"] for number in (0, 1))
            / watched.asked_s
            / (ceiling.answers / ceiling.seconds / 2),
        )


def report(found: Goodput) -> None:
    """A line of the table, and where the rest went."""
    idle = found.idle
    print(
        f"| {found.pool:<6} | {found.slots:5} | {found.requests:8} | {found.ceiling:9.2f} | {found.job:9.2f} "
        f"| {found.share:5.3f} | {idle.ramp:5.1%} | {idle.gaps:5.1%} | {idle.tail:5.1%} | {idle.commit:5.1%} |",
        flush=True,
    )


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--pools", nargs="*", default=["1x4", "4x8", "64x16"], metavar="NxS", help="fake servers x slots"
    )
    parser.add_argument("--seconds", type=float, default=90.0, help="of work for each fake pool (default: 90)")
    parser.add_argument("--real", type=Path, metavar="FILE", help="ask the embedded server about this corpus instead")
    parser.add_argument("--limit", type=int, default=150, help="documents of that corpus (default: 150)")
    parser.add_argument("--slots", type=int, default=4, help="of the embedded server (default: 4)")
    parser.add_argument("--rounds", type=int, default=1, help="of each pool (default: 1)")
    parser.add_argument("--trouble", action="store_true", help="four servers of which two do badly, too")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the results here too")
    options = parser.parse_args()
    found = []
    names = ["real"] if options.real else options.pools
    server_core = keep_a_core_free() if options.real else None
    spark = open_spark(_TASKS)
    print("| pool   | slots | requests | ceiling/s |   job/s | share |  ramp |  gaps |  tail | commit |")
    print("|---" * 10 + "|", flush=True)
    for name in names * options.rounds:
        with tempfile.TemporaryDirectory() as folder, _place(name, options, server_core, Path(folder)) as place:
            found.append(place.measure())
            report(found[-1])
    lines = [{**asdict(each), "share": each.share} for each in found]
    if options.trouble:
        with tempfile.TemporaryDirectory() as folder:
            trouble = in_trouble(options.seconds, Path(folder))
        lines.append(asdict(trouble))
        print(
            f"\n4x8 in trouble: {trouble.requests} requests, {trouble.poisoned} of them refused for good; "
            f"one row each: {_said(trouble.answered_once)}; right answer or named failure: "
            f"{_said(trouble.failed_as_named)}; goodput of the healthy servers over their share: "
            f"{trouble.healthy_share:.3f}"
        )
    spark.stop()
    if options.json:
        options.json.write_text(json.dumps(lines, indent=2) + "\n", encoding="utf-8")


def _said(holds: bool) -> str:
    return "yes" if holds else "NO"


def _place(
    name: str, options: argparse.Namespace, server_core: int | None, folder: Path
) -> AbstractContextManager[Place]:
    if server_core is not None:
        return real(options.real, options.limit, options.slots, server_core, folder)
    return simulated(name, options.seconds, folder)


if __name__ == "__main__":
    main()
