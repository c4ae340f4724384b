"""What the client costs: CPU per request in one process, against fake servers that answer at once.

    python tests/benchmarks/overhead.py --requests 4000 --characters 300 --json OUT

The first table takes a task apart: the same questions with everything made before, by threads and by asyncio, and then
as a task of a run asks them, with the static grammar and with the grounded one. The second is the job itself, over few
and over many documents of one request each: what it takes beside the asking, and how much of that 1,000 more requests
bring.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from closed_loop import Body, ask_all
from passages import passages, write_corpus
from simulated import ONE_CHUNK, bodies, fake_answer, fake_pool, method_of, no_tokens, open_spark, settings, watch

from triplelake.config import AnswerSettings, AskingSettings
from triplelake.engine.asking.ladder import Ladder, Method
from triplelake.pool.client import LlamaServer
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.protect import protect
from triplelake.pool.router import Router
from triplelake.pool.shares import split_shares
from triplelake.pool.window import windowed
from triplelake.triples.repeats import Repeats
from triplelake.types import Request

_SERVERS, _SLOTS = 8, 64
_MANY, _FEW = 512, 64
_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU of this process for one request, in milliseconds, and requests per second of the clock."""

    name: str
    cpu_ms: float
    per_s: float


def timed(name: str, count: int, work: Callable[[], object]) -> Cost:
    """The cost of some work that is done for `count` requests."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    cost = Cost(name, 1000 * cpu / count, count / wall)
    print(f"| {cost.name:<52} | {cost.cpu_ms:6.2f} | {cost.per_s:8.0f} |", flush=True)
    return cost


def client_costs(endpoints: Sequence[Endpoint], method: Method, requests: Sequence[Request]) -> Iterator[Cost]:
    """What sending and receiving costs, with every question made before."""
    ready = list(bodies(method, requests))
    count = len(ready)
    yield timed(
        f"asyncio, {_MANY} in flight, questions ready", count, lambda: ask_all(endpoints, ready, in_flight=_MANY)
    )
    for width, pieces in ((_MANY, False), (_FEW, False), (_FEW, True)):
        name = f"threads, {width} in flight, questions ready{', token by token' if pieces else ''}"
        yield timed(name, count, partial(_put_all, endpoints, ready, width, pieces=pieces))


def _put_all(endpoints: Sequence[Endpoint], ready: Sequence[Body], width: int, *, pieces: bool) -> None:
    clients = [LlamaServer(endpoint, _TIMEOUT_S) for endpoint in endpoints]

    def put(numbered: tuple[int, Body]) -> None:
        number, body = numbered
        clients[number % len(clients)].complete(
            body["prompt"],
            grammar=body["grammar"],
            max_tokens=body["n_predict"],
            stop=body["stop"],
            probabilities=True,
            watch=Repeats() if pieces else None,
        )

    _drain(windowed(enumerate(ready), put, width))
    for client in clients:
        client.close()


def task_costs(endpoints: Sequence[Endpoint], method: Method, requests: Sequence[Request]) -> Iterator[Cost]:
    """What a task costs, whole and in its parts."""
    count = len(requests)
    static = replace(method, answer=AnswerSettings(grounding="verify"))
    yield timed(f"task, {_FEW} in flight, static grammar", count, lambda: _task(endpoints, static, requests))
    yield timed(f"task, {_FEW} in flight, grounded grammar", count, lambda: _task(endpoints, method, requests))
    render = method.renderer.render
    yield timed("of it: the prompt", count, lambda: _drain(protect(render(each).parts, no_tokens) for each in requests))
    yield timed(
        "of it: the grammar",
        count,
        lambda: _drain(method.grammar(each) for each in requests),
    )
    said = [fake_answer(body, each.text) for body, each in zip(bodies(method, requests), requests, strict=True)]
    yield timed(
        "of it: parsing and grounding",
        count,
        lambda: _drain(method.read(each, text, truncated=False) for each, text in zip(requests, said, strict=True)),
    )


def _task(endpoints: Sequence[Endpoint], method: Method, requests: Sequence[Request]) -> None:
    shares = split_shares(endpoints, -(-sum(endpoint.slots or 1 for endpoint in endpoints) // _FEW))
    router = Router(shares[0], AskingSettings(), model=method.model)
    ladder = Ladder(method, router)
    for attempt in windowed(requests, ladder.attempt, router.width):
        assert attempt and attempt.status != "failed", attempt
    router.close()


def _drain(items: Iterable[object]) -> None:
    deque(items, maxlen=0)


@dataclass(frozen=True, slots=True)
class JobCost:
    """Seconds of a whole run by what they went into; publishing goes on beside the asking, too."""

    requests: int
    plan_s: float
    commit_s: float
    publish_s: float
    all_s: float


def job_cost(folder: Path, pool: str, requests: int, characters: int) -> JobCost:
    """A run over so many documents of one request each."""
    corpus = write_corpus(folder / f"{requests}.jsonl", range(requests), characters)
    chosen = settings(pool, input=(str(corpus),), output=str(folder / f"kg-{requests}"), **ONE_CHUNK)
    watched = watch(chosen)
    assert watched.run_row and watched.run_row.tally.answered == requests
    seconds = watched.seconds
    return JobCost(requests, seconds["plan"], watched.commit_s, seconds["publish"], seconds["all"])


def print_job_costs(few: JobCost, many: JobCost) -> None:
    """What a request costs beside its asking, and what a run costs anyway."""
    print("\n| the job | plan | commit | publish | all |\n|---|---|---|---|---|")
    names = ("plan_s", "commit_s", "publish_s", "all_s")
    for cost in (few, many):
        print(f"| {cost.requests} requests, s | " + " | ".join(f"{getattr(cost, name):.1f}" for name in names) + " |")
    thousands = (many.requests - few.requests) / 1000
    slopes = [(getattr(many, name) - getattr(few, name)) / thousands for name in names]
    print("| for 1,000 more, s | " + " | ".join(f"{slope:.2f}" for slope in slopes) + " |", flush=True)


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=4000, help="of each line of the first table (default: 4000)")
    parser.add_argument("--characters", type=int, default=300, help="of each text (default: 300)")
    parser.add_argument(
        "--job", type=int, nargs=2, default=(1000, 5000), metavar=("FEW", "MANY"), help="requests of the runs"
    )
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the results here too")
    options = parser.parse_args()
    texts = passages(options.requests, options.characters)
    requests = [Request(f"r{number}", text, "", "", "zh-Hans") for number, text in enumerate(texts)]
    with fake_pool(_SERVERS, _SLOTS) as pool, tempfile.TemporaryDirectory() as name:
        print(f"| {'one process, CPU per request':<52} |     ms | requests/s |\n|---|---|---|")
        with method_of(settings(pool.setting)) as method:
            costs = [*client_costs(pool.endpoints, method, requests), *task_costs(pool.endpoints, method, requests)]
        spark = open_spark(tasks=4)
        # The first run in a JVM pays for it.
        job_cost(Path(name), pool.setting, 50, options.characters)
        few, many = (job_cost(Path(name), pool.setting, count, options.characters) for count in options.job)
        print_job_costs(few, many)
        spark.stop()
    if options.json:
        report = {"characters": options.characters, "costs": [asdict(each) for each in costs]}
        report["job"] = [asdict(few), asdict(many)]
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
