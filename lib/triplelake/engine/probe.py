"""What a run will take, by a few of its real questions: hours, tokens, GPU-hours and money, each with an interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from triplelake.config import AskingSettings
from triplelake.evaluate.bootstrap import Interval, intervals


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
    # `intervals` gives none for a single question: its own figure is both ends.
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
