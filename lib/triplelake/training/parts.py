"""Lines in two parts, to train on and to stop by, of which neither holds what the other one or an evaluation holds.

1. What is near a text that is kept apart is left out of both parts.
2. Documents are drawn by lot for the dev part. It is not balanced: F1 on it is that on texts as they come.
3. What is near a text of the dev part is left out of the part to train on.
4. The part to train on is drawn as `triplelake.training.draw` says.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import floor

from triplelake.errors import InputError
from triplelake.training.draw import draw, lot
from triplelake.training.lines import MadeLine
from triplelake.training.near import NearDuplicates

NEAR_APART = "a near-duplicate of a text that is kept apart"
NEAR_DEV = "a near-duplicate of a text of the dev part"
TOO_EMPTY = "an empty answer beyond their share (--empty)"
CAPPED = "all of its relations have enough texts (--per-relation)"
NOT_DRAWN = "not drawn (--n)"


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many lines are wanted, and which.

    Args:
        n: lines of both parts together; None for all.
        dev: share of them that goes into the dev part, or their number from 1 on.
        empty: share of lines with an empty answer at most, in each part.
        per_relation: lines of a relation to train on from which on it gets no more; None for no bound.
        seed: of all that is drawn.
    """

    n: int | None = None
    dev: float = 0.1
    empty: float = 0.1
    per_relation: int | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts, and how many texts were left out of them, by the reason why."""

    train: tuple[MadeLine, ...]
    dev: tuple[MadeLine, ...]
    left_out: Counter[str] = field(default_factory=Counter)


def split(lines: Sequence[MadeLine], apart: Iterable[str], wanted: Wanted) -> Parts:
    """The two parts.

    Args:
        lines: each text once.
        apart: texts that an evaluation is kept for.

    Raises:
        InputError: nothing with facts is left to train on, or all of it is of one document.
    """
    left_out: Counter[str] = Counter()
    kept_apart = NearDuplicates(apart)
    usable = [each for each in lines if not kept_apart.has_near(each.line.text)]
    left_out[NEAR_APART] = len(lines) - len(usable)
    dev, others = _dev(usable, wanted, left_out)
    held = NearDuplicates(each.line.text for each in dev)
    pool = [each for each in others if not held.has_near(each.line.text)]
    left_out[NEAR_DEV] = len(others) - len(pool)
    drawn = draw(
        pool,
        n=None if wanted.n is None else max(0, wanted.n - len(dev)),
        per_relation=wanted.per_relation,
        empty=wanted.empty,
        seed=wanted.seed,
    )
    left_out[CAPPED] = drawn.capped
    left_out[TOO_EMPTY] += drawn.too_empty
    left_out[NOT_DRAWN] = drawn.not_drawn
    if not any(each.relations for each in drawn.lines):
        told = "; ".join(f"{count:,}: {reason}" for reason, count in left_out.items() if count)
        raise InputError(
            "training data",
            f"no text with facts is left to train on, of {len(lines):,} ({told or 'there are none with facts'})",
            "Name more gold or sheets; or keep fewer texts apart (--apart, --dev).",
        )
    return Parts(drawn.lines, tuple(dev), +left_out)


def _dev(lines: Sequence[MadeLine], wanted: Wanted, left_out: Counter[str]) -> tuple[list[MadeLine], list[MadeLine]]:
    """The dev part, and the lines of the other documents."""
    stating = sum(bool(each.relations) for each in lines)
    usable = min(len(lines), floor(stating / (1 - wanted.empty)) if wanted.empty < 1 else len(lines))
    total = usable if wanted.n is None else min(wanted.n, usable)
    size = int(wanted.dev) if wanted.dev >= 1 else max(1, round(wanted.dev * total)) if wanted.dev else 0
    if not size or not lines:
        return [], list(lines)
    documents: dict[str, list[MadeLine]] = defaultdict(list)
    for each in lines:
        documents[each.document].append(each)
    if len(documents) == 1:
        raise InputError(
            "training data",
            f"all of its {len(lines):,} texts are of one document, which cannot be in both parts",
            "Name texts of other documents; or do without a dev part: --dev 0.",
        )
    order = sorted(documents, key=lambda each: lot(each, wanted.seed))
    chosen: set[str] = set()
    found = 0
    for name in order:
        if found + len(documents[name]) <= size:
            chosen.add(name)
            found += len(documents[name])
    if not chosen:
        # Every document is larger than the dev part was to be.
        chosen = {min(order, key=lambda each: len(documents[each]))}
    dev = [each for document in order if document in chosen for each in documents[document]]
    kept = list(draw(dev, n=None, per_relation=None, empty=wanted.empty, seed=wanted.seed).lines)
    left_out[TOO_EMPTY] += len(dev) - len(kept)
    return kept, [each for each in lines if each.document not in chosen]
