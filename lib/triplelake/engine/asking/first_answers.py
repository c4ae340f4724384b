"""A look at the first answers: a run that finds nothing is noticed after twenty of them, not after a million."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pyspark.sql import functions as F

from triplelake.codes import Code
from triplelake.engine.asking.tally import Tally
from triplelake.errors import TooManyFailures
from triplelake.tables.schemas import ATTEMPTS, REQUESTS
from triplelake.tables.store import Store

ENOUGH = 20
"""The run judges itself by so many good answers; fewer tell nothing."""

_MOST_EMPTY = 0.8
_MOST_CUT = 0.2
_SHOWN = 3

Kind = Literal["empty", "cut"]

_CAUSES: dict[Kind, str] = {
    "empty": (
        "the texts state none of the ontology's relations (try --ontology none), or the model is too weak, or it is "
        "asked in another form than it was trained on (--profile)"
    ),
    "cut": (
        "the model does not know where to end, because it is asked in another form than it was trained on (--profile), "
        "or repeats itself; or answer.max_tokens is too small for texts so dense"
    ),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """One of the answers in question."""

    request_id: str
    text: str
    completion: str


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What is wrong with the first answers.

    Args:
        share: of `answers`.
        seen: some of them.
    """

    kind: Kind
    share: float
    answers: int
    seen: tuple[Seen, ...]

    @property
    def summary(self) -> str:
        """What was seen, in a sentence."""
        what = "empty" if self.kind == "empty" else "cut at the limit of their length"
        return f"{self.share:.0%} of the first {self.answers:,} answers are {what}"

    @property
    def cause(self) -> str:
        """What it mostly comes from."""
        return _CAUSES[self.kind]

    @property
    def error(self) -> TooManyFailures:
        """For a run that is to stop."""
        remedy = f"Likely, {self.cause}. What was answered is kept. To go on all the same: --set run.on_suspicious=warn"
        return TooManyFailures("answers", f"{self.summary}; run.on_suspicious is `stop`", remedy)


def suspicion(tally: Tally, store: Store, plan_id: str) -> Suspicion | None:
    """Judge what was answered so far; None if that looks well, or is too little to tell."""
    good = tally.answered - tally.failed
    if good < ENOUGH:
        return None
    kinds: tuple[tuple[Kind, int, float], ...] = (("cut", tally.cut, _MOST_CUT), ("empty", tally.empty, _MOST_EMPTY))
    for kind, count, most in kinds:
        if count > most * good:
            return Suspicion(kind, count / good, good, _some(kind, store, plan_id))
    return None


def _some(kind: Kind, store: Store, plan_id: str) -> tuple[Seen, ...]:
    wanted = F.col("status") == "empty" if kind == "empty" else F.col("error_code") == Code.TRUNCATED.value
    # One version, since other waves append to the table meanwhile.
    answers = store.read_now(ATTEMPTS).where((F.col("plan_id") == plan_id) & wanted).limit(_SHOWN)
    requests = store.read(REQUESTS).where(F.col("plan_id") == plan_id).select("request_id", "text")
    rows = answers.join(requests, "request_id").select("request_id", "text", "completion").collect()
    return tuple(Seen(row["request_id"], row["text"], row["completion"] or "") for row in rows)
