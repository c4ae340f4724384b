"""What a run will take, by a few of its real questions: hours, tokens, GPU-hours and money, each with an interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import functions as F
from rich.console import Console

from triplelake.config import AskingSettings, Settings
from triplelake.console import say
from triplelake.engine.asking.progress import duration
from triplelake.engine.narrate import whole_of_one
from triplelake.evaluate.bootstrap import Interval, intervals
from triplelake.tables.schemas import ATTEMPTS
from triplelake.tables.store import Store


@dataclass(frozen=True, slots=True)
class Asked:
    """What one question took, with the looks at its triples.

    Args:
        began, ended: when it was sent and when its answer was there, seconds; the time of the looks is between them.
        prompt, decoded: tokens.
        requests: the question and the looks.
    """

    began: float
    ended: float
    prompt: int
    decoded: int
    requests: int = 1


@dataclass(frozen=True, slots=True)
class Estimate:
    """What all questions of a run take. By one question an interval has no width, since nothing tells it.

    Args:
        hours: of the whole pool, with every slot busy.
        prompt, decoded: tokens.
        most_busy: of the pool's slots, how many the questions that were asked kept busy at most.
    """

    hours: Interval
    prompt: Interval
    decoded: Interval
    most_busy: int


@dataclass(frozen=True, slots=True)
class _Share:
    """What a question adds, for its mean over resampled ones."""

    questions: int
    slot_s: float
    prompt: int
    decoded: int
    requests: int


def estimate(asked: Sequence[Asked], requests: int, slots: int, asking: AskingSettings) -> Estimate:
    """All of a run by some of its questions, drawn at random.

    A question costs what it keeps of a slot: the time that it waited because all were busy is no cost of its own. That
    is the time during which slots were busy, shared out by how long each took. The limits of `asking` hold, too.

    Args:
        requests: of the whole run.
        slots: of the pool.

    Raises:
        ValueError: nothing was asked.
    """
    busy_s, most_busy = _busy(asked, slots)
    scale = busy_s / max(sum(each.ended - each.began for each in asked), 1e-9)
    shares = [_Share(1, (each.ended - each.began) * scale, each.prompt, each.decoded, each.requests) for each in asked]

    def hours(total: _Share) -> float:
        seconds = [total.slot_s / total.questions / slots]
        if asking.requests_per_s:
            seconds.append(total.requests / total.questions / asking.requests_per_s)
        if asking.tokens_per_s:
            seconds.append((total.prompt + total.decoded) / total.questions / asking.tokens_per_s)
        return requests * max(seconds) / 3600

    figures: dict[str, Callable[[_Share], float]] = {
        "hours": hours,
        "prompt": lambda total: requests * total.prompt / total.questions,
        "decoded": lambda total: requests * total.decoded / total.questions,
    }
    found = intervals(shares, figures)
    # One question tells no more than itself.
    whole = {name: found[name] or Interval(*[figure(shares[0])] * 3) for name, figure in figures.items()}
    return Estimate(whole["hours"], whole["prompt"], whole["decoded"], most_busy)


def _busy(asked: Sequence[Asked], slots: int) -> tuple[float, int]:
    """Seconds of busy slots together, and the most that were busy at once."""
    steps = sorted([(each.began, 1) for each in asked] + [(each.ended, -1) for each in asked])
    total, in_flight, most, since = 0.0, 0, 0, steps[0][0] if steps else 0.0
    for at, change in steps:
        total += min(in_flight, slots) * (at - since)
        in_flight, since = in_flight + change, at
        most = max(most, min(in_flight, slots))
    return total, most


def gpus_of(settings: Settings, servers: int) -> int:
    """GPUs of the pool; 0 where the embedded server works on this machine's processor."""
    return settings.cost.gpus or (0 if settings.pool == "embedded" else servers)


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
        # One that went wrong tells most.
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
    if gpus := gpus_of(settings, servers):
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
