"""What a probe tells a person: what its questions came to, and what the run will take."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from pyspark.sql import functions as F
from rich.console import Console

from triplelake.config import Settings
from triplelake.console import say
from triplelake.engine.asking.messages import whole_of_one
from triplelake.engine.asking.progress import duration
from triplelake.engine.probe import Asked, estimate
from triplelake.evaluate.bootstrap import Interval
from triplelake.tables.schemas import ATTEMPTS
from triplelake.tables.store import Store


def tell(
    console: Console,
    store: Store,
    plan_id: str,
    *,
    requests: int,
    slots: int,
    servers: int,
    settings: Settings,
) -> None:
    """Say what the questions of a probe came to, and what the run will."""
    mine = store.read(ATTEMPTS).where(F.col("plan_id") == plan_id)
    columns = ("status", "finished_at", "latency_ms", "prompt_tokens", "completion_tokens", "request_id", "error_code")
    rows = mine.select(*columns, F.size("triples").alias("triples"), "looks").orderBy("request_id").collect()
    status = Counter(row["status"] for row in rows)
    triples = sum(max(row["triples"] or 0, 0) for row in rows)
    say(
        console,
        f"Probe:    {len(rows):,} of {requests:,} questions asked: {triples:,} triples, {status['empty']:,} answers "
        f"without one, {status['failed']:,} failed; the run will use these answers",
    )
    for code, count in Counter(row["error_code"] for row in rows if row["status"] == "failed").most_common():
        say(console, f"          {count:,} failed: {code}")
    if rows:
        # A person learns most from an answer that went wrong.
        seen = min(rows, key=lambda row: ("failed", "empty", "ok").index(row["status"]))
        whole_of_one(console, seen["request_id"], store.output)
    good = [row for row in rows if row["status"] != "failed"]
    if not good:
        say(console, "          No answer, no estimate.")
        return
    asked = [
        Asked(
            _seconds(row["finished_at"]) - row["latency_ms"] / 1000,
            _seconds(row["finished_at"]),
            row["prompt_tokens"],
            row["completion_tokens"],
            1 + sum(look is not None for look in row["looks"] or ()),
        )
        for row in good
    ]
    found = estimate(asked, requests, slots, settings.asking)
    say(console, f"Tokens:   {_tokens(found.prompt)} of prompt, {_tokens(found.decoded)} decoded")
    say(console, f"Time:     {_hours(found.hours)} with all {slots} slots busy")
    if gpus := settings.gpus(servers):
        used = _times(found.hours, gpus)
        line = f"{_range(used, '.3g')} GPU-hours with {gpus} GPU{'s' if gpus > 1 else ''}"
        if (price := settings.cost.gpu_hour) is not None:
            line += f"; at {price:g} for each {_range(_times(used, price), '.3g')}"
        say(console, f"Cost:     {line}")
    if len(asked) > 1:
        say(console, "          In brackets where it lies with 95 %, as far as these questions tell.")
    else:
        say(console, "          One answer does not tell how far off this may be: --probe 20 does.")
    if found.most_busy < slots and len(rows) < requests:
        say(
            console,
            f"          They kept {found.most_busy} of the {slots} slots busy. With all of them busy an answer takes "
            f"longer: --probe {2 * slots} measures that.",
        )


def _seconds(at: datetime) -> float:
    return at.timestamp()


def _times(interval: Interval, factor: float) -> Interval:
    return Interval(interval.value * factor, interval.low * factor, interval.high * factor)


def _range(interval: Interval, form: str) -> str:
    if interval.low == interval.high:
        return f"{interval.value:{form}}"
    return f"{interval.value:{form}} ({interval.low:{form}} to {interval.high:{form}})"


def _tokens(interval: Interval) -> str:
    return _range(interval, ",.0f")


def _hours(interval: Interval) -> str:
    if interval.low == interval.high:
        return duration(3600 * interval.value)
    value, low, high = (duration(3600 * each) for each in (interval.value, interval.low, interval.high))
    return f"{value} ({low} to {high})"
