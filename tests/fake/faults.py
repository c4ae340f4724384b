"""What a server does wrong, and when: a script of rules.

A rule is a fault and its conditions, of which all must hold. The first rule that holds decides.

- Conditions on requests (`requests`, `every`, `probability`, `contains`) look at questions only. Probes of the
  grammar engine, `/props` and the like are hit by a fault of the whole server alone.
- A fault of the server (`SERVER_FAULTS`) without a condition on requests is there from `after_s` to `until_s`, or
  until the rule is released. With one, it begins with the first request that meets it.
- A fault of an answer without a condition on requests meets all of them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from email.utils import formatdate
from typing import Any, Literal

Kind = Literal[
    "refuse",
    "die",
    "hang",
    "loading",
    "unavailable",
    "error",
    "all_slots",
    "too_many",
    "bad_request",
    "overflow",
    "slow",
    "stuck",
    "drop",
    "truncated",
    "invalid",
    "ungrounded",
    "unconstrained",
]
"""Faults:

refuse: no new connections; those that are open go on.
die: connections are reset, all work is lost, the port is closed; then a new server starts, with `model` if given.
hang: /health answers, nothing else does; work stands still.
loading: 503 `Loading model` on every route; on a single question if the rule has a condition on requests.
unavailable, error, bad_request: 503, 500 and 400 at once.
all_slots: every request in a slot fails with 500, and the one that met the rule.
too_many: 429, with `Retry-After` if `retry_after_s` is given, as a date if `as_date`.
overflow: 400 `exceed_context_size_error`.
slow: takes `factor` times as long.
stuck: is never answered, and keeps its slot until its client leaves and is no zombie.
drop: the connection ends in the middle of the body.
truncated, invalid, ungrounded, unconstrained: 200 with an answer cut off, broken as JSON, of words that are not in the
    text, or of prose.
"""

SERVER_FAULTS = frozenset({"refuse", "die", "hang", "loading"})


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens.

    Args:
        retry_after_s, as_date: of `too_many`.
        factor: of `slow`.
        for_s: seconds after which a server is itself again; None waits for `until_s` or the release.
        model: alias of the model that a server has after it died; None keeps it.
    """

    kind: Kind
    retry_after_s: int | None = None
    as_date: bool = False
    factor: float = 1.0
    for_s: float | None = None
    model: str | None = None

    @property
    def retry_after(self) -> str | None:
        """The header's value."""
        if self.retry_after_s is None:
            return None
        return formatdate(time.time() + self.retry_after_s, usegmt=True) if self.as_date else str(self.retry_after_s)


@dataclass(frozen=True, slots=True)
class Rule:
    """A fault and its conditions.

    Args:
        name: to release it by.
        requests: numbers of questions, from 1, counted since the script was given.
        every: each question whose number it divides.
        probability: drawn from `seed`, the text and how often it was asked: the order of questions is of no matter.
        contains: in the text asked about.
        after_s, until_s: seconds since the script was given.
        most: how often it may meet a question.
    """

    fault: Fault
    name: str = ""
    requests: tuple[int, ...] = ()
    every: int = 0
    probability: float = 1.0
    seed: int = 0
    contains: str = ""
    after_s: float = 0.0
    until_s: float | None = None
    most: int | None = None

    @property
    def of_requests(self) -> bool:
        """Whether it has a condition on requests."""
        return bool(self.requests or self.every or self.contains or self.probability < 1 or self.most is not None)

    @property
    def of_server(self) -> bool:
        """Whether it begins and ends by time alone."""
        return self.fault.kind in SERVER_FAULTS and not self.of_requests

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Rule:
        given = {**data, "fault": Fault(**data["fault"]), "requests": tuple(data["requests"])}
        return Rule(**given)


def rule(kind: Kind, name: str = "", **options: Any) -> Rule:
    """A rule in one line: `rule("slow", factor=3, every=10)`."""
    of_fault = {key: options.pop(key) for key in [*options] if key in Fault.__dataclass_fields__}
    return Rule(Fault(kind, **of_fault), name or kind, **options)


@dataclass(slots=True)
class Script:
    """The rules of one server and what they have met since they were given."""

    rules: Sequence[Rule] = ()
    started: float = field(default_factory=time.monotonic)
    met: dict[int, int] = field(default_factory=dict)
    asked: int = 0

    def meet(self, text: str, nth_time: int) -> Fault | None:
        """The fault that a question meets; `nth_time` counts how often its text was asked."""
        self.asked += 1
        for number, each in enumerate(self.rules):
            if not each.of_server and self._holds(each, number, text, nth_time):
                self.met[number] = self.met.get(number, 0) + 1
                return each.fault
        return None

    def release(self, name: str | None) -> list[Rule]:
        """Forget the rules of a name, or all; tells which these were."""
        gone = [each for each in self.rules if name is None or each.name == name]
        # What the others have met is counted by their place, which must stay.
        nothing = Rule(Fault("slow"), probability=0.0)
        self.rules = [nothing if each in gone else each for each in self.rules]
        return gone

    def _holds(self, each: Rule, number: int, text: str, nth_time: int) -> bool:
        since = time.monotonic() - self.started
        if since < each.after_s or (each.until_s is not None and since >= each.until_s):
            return False
        if each.most is not None and self.met.get(number, 0) >= each.most:
            return False
        if each.requests and self.asked not in each.requests:
            return False
        if each.every and self.asked % each.every:
            return False
        if each.contains not in text:
            return False
        return each.probability >= 1 or random.Random(f"{each.seed} {nth_time} {text}").random() < each.probability
