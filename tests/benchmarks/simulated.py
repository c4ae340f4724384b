"""The job over fake servers in this process, and the same questions ready to be put by hand."""

from __future__ import annotations

import io
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from closed_loop import Body
from fake.answers import Question, answer
from fake.faults import rule as rule
from fake.pool import FakePool as FakePool
from harness.lake import Lake as Lake

from triplelake.commands import extract as command
from triplelake.config import Settings, load_settings
from triplelake.engine.asking.ladder import Method
from triplelake.engine.asking.open_pool import open_pool, read_prompt_files
from triplelake.engine.planning.draft import Draft
from triplelake.engine.planning.planner import Planner
from triplelake.engine.run_row import RunRow
from triplelake.pool.client import completion_body
from triplelake.pool.protect import protect
from triplelake.spark import open_session
from triplelake.tables.publish import Publisher
from triplelake.types import Request

API_KEY = "a key of the benchmarks"
ONE_CHUNK: dict[str, Any] = {"chunking__target_tokens": 600, "chunking__max_tokens": 900, "corpus__id_column": "id"}
"""Settings with which a passage of some hundred characters is one request."""


def fake_pool(servers: int, slots: int, **speed: Any) -> FakePool:
    """Fake servers that count questions without keeping their texts."""
    return FakePool(servers=servers, slots=slots, api_key=API_KEY, keep_texts=False, **speed)


def settings(pool: str, api_key: str | None = API_KEY, **more: Any) -> Settings:
    """Of a run; `run__lanes=1` sets `run.lanes`."""
    # Only what a run asks is counted.
    given = {"pool": pool, "api_key": api_key, "profile": "base", "run.preflight": False}
    return load_settings(None, given | {name.replace("__", "."): value for name, value in more.items()}, {})


@contextmanager
def method_of(chosen: Settings) -> Iterator[Method]:
    """How a run with these settings asks."""
    with open_pool(chosen, read_prompt_files(chosen)) as opened:
        yield opened.method


def no_tokens(text: str) -> list[int]:
    """For texts that hold nothing that looks like a special token."""
    raise AssertionError(f"needs the server's tokens: {text!r}")


def bodies(
    method: Method, requests: Iterable[Request], tokenize: Callable[[str], list[int]] = no_tokens
) -> Iterator[Body]:
    """What a task would send for each request."""
    for request in requests:
        yield completion_body(
            protect(method.renderer.render(request).parts, tokenize),
            grammar=method.grammar(request),
            max_tokens=method.answer.max_tokens,
            stop=method.renderer.stop,
        )


def fake_answer(body: Body, text: str) -> str:
    """What a fake server would answer to a question about a text."""
    return answer(body["prompt"], Question(text), body["grammar"], most_tokens=body["n_predict"])[0]


def open_spark(tasks: int) -> SparkSession:
    """A session like the one that `conf/spark-defaults.conf` makes, with so many tasks at a time."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    SparkSession.builder.master(f"local[{tasks},4]").getOrCreate()
    return open_session("triplelake benchmark")


@dataclass
class Watched:
    """A run that was watched.

    Attributes:
        seconds: by phase: `plan` (read, cut, count, write), `publish` (beside the asking, too) and `all`.
        run_row: what it did.
    """

    output: Path
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    run_row: RunRow | None = None

    @property
    def lake(self) -> Lake:
        return Lake(self.output)

    @property
    def asked_s(self) -> float:
        """From the first question to the last commit of answers."""
        [row] = self.lake.query("SELECT min(epoch(finished_at) - latency_ms / 1000) AS first FROM attempts")
        return max(self.commits().values()) - float(row["first"])

    @property
    def commit_s(self) -> float:
        """Of all waves together, from the last answer of each to its commit."""
        rows = self.lake.query("SELECT wave, max(epoch(finished_at)) AS answered FROM attempts GROUP BY wave")
        commits = self.commits()
        return float(sum(commits[row["wave"]] - row["answered"] for row in rows))

    def commits(self) -> dict[int, float]:
        """When each wave was committed, in seconds since 1970."""
        found = {}
        for file in (self.output / "attempts" / "_delta_log").glob("*[0-9].json"):
            actions = map(json.loads, file.read_text(encoding="utf-8").splitlines())
            note = next((each["commitInfo"].get("userMetadata") for each in actions if "commitInfo" in each), None)
            if note:
                found[json.loads(note)["wave"]] = file.stat().st_mtime
        return found


def watch(chosen: Settings) -> Watched:
    """Run the job and watch its phases.

    Raises:
        TriplelakeError: as `extract`.
    """
    assert chosen.output
    watched = Watched(Path(chosen.output))
    with (
        _clock(watched, "plan", Planner, "_count"),
        _clock(watched, "plan", Draft, "write"),
        _clock(watched, "publish", Publisher, "publish"),
        _clock(watched, "all", command, "extract"),
    ):
        watched.run_row = command.extract(chosen, Console(file=io.StringIO(), width=200))
    return watched


@contextmanager
def _clock(watched: Watched, phase: str, owner: object, name: str) -> Iterator[None]:
    """Time all calls of a method as long as the block lasts."""
    original: Callable[..., Any] = getattr(owner, name)

    @wraps(original)
    def timed(*args: Any, **keywords: Any) -> Any:
        began = time.monotonic()
        try:
            return original(*args, **keywords)
        finally:
            watched.seconds[phase] += time.monotonic() - began

    setattr(owner, name, timed)
    try:
        yield
    finally:
        setattr(owner, name, original)
