"""Which lines are taken of those that there are, so that no relation and no length is drowned.

Lines are drawn one after another, so that the first `k` of a draw are the draw of `k`: learning curves nest.

- Each relation gets one line first, the rarest first. From then on the next line is one of the relation that has the
  fewest by now, measured by the square root of how many lines hold it: a relation four times as frequent gets twice as
  many lines. So rare relations are learnt, and the model still learns which ones are frequent.
- The lines of a relation come by lot, in turn from each class of length (`LENGTHS`).
- A line of several relations counts for each of them. One of which every relation has `per_relation` lines already is
  left out.
- Lines with an empty answer come between them, by lot, so that they are the wanted share all along.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain, zip_longest
from math import floor, sqrt

from triplelake.corpus.tokens import estimate_tokens
from triplelake.training.lines import MadeLine

LENGTHS = (32, 64, 128)
"""Estimated tokens of a text at which one class of length ends."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A draw.

    Args:
        lines: in the order in which they were drawn.
        capped: lines that were left out since all of their relations have enough.
        too_empty: lines with an empty answer beyond their share.
        not_drawn: others that were not wanted.
    """

    lines: tuple[MadeLine, ...]
    capped: int = 0
    too_empty: int = 0
    not_drawn: int = 0


def length_class(text: str) -> str:
    """The class of length of a text: `≤32`, `≤64`, `≤128` or `>128` estimated tokens."""
    rank = bisect_left(LENGTHS, estimate_tokens(text))
    return f"≤{LENGTHS[rank]}" if rank < len(LENGTHS) else f">{LENGTHS[-1]}"


def draw(lines: Sequence[MadeLine], *, n: int | None, per_relation: int | None, empty: float, seed: int) -> Drawn:
    """Draw lines; equal for equal arguments, in whatever order the lines come.

    Args:
        n: lines to draw; None for all.
        per_relation: lines of a relation from which on it gets no more.
        empty: share of the drawn lines whose answer may be empty.
    """
    silent = by_lot((each for each in lines if not each.line.facts), seed)
    most = len(lines) if n is None else n
    taken: list[MadeLine] = []
    quiet = 0
    stating = _balanced([each for each in lines if each.line.facts], per_relation, seed)
    for each in stating:
        if len(taken) >= most:
            break
        taken.append(each)
        if quiet < len(silent) and len(taken) < most and quiet + 1 <= floor(empty * (len(taken) + 1)):
            taken.append(silent[quiet])
            quiet += 1
    with_facts = len(lines) - len(silent)
    left = with_facts - (len(taken) - quiet)
    is_full = len(taken) >= most
    return Drawn(
        tuple(taken),
        capped=0 if is_full else left,
        too_empty=0 if is_full else len(silent) - quiet,
        not_drawn=left + len(silent) - quiet if is_full else 0,
    )


def by_lot(lines: Iterable[MadeLine], seed: int) -> list[MadeLine]:
    """Lines in an order that depends on their texts and the seed alone."""
    return sorted(lines, key=lambda each: lot(each.line.id, seed))


def lot(name: str, seed: int) -> bytes:
    """Where something comes in an order by lot."""
    return sha256(f"{seed} {name}".encode()).digest()


def _balanced(lines: Sequence[MadeLine], per_relation: int | None, seed: int) -> Iterator[MadeLine]:
    frequency = Counter(relation for each in lines for relation in each.relations)
    queues = {relation: _by_length(each, seed) for relation, each in _of_relations(lines).items()}
    taken: Counter[str] = Counter()
    seen: set[str] = set()
    # A relation's place only grows, so that an old one that is met is put back with today's.
    heap = [(0.0, count, relation) for relation, count in frequency.items()]
    heapq.heapify(heap)
    while heap:
        place, count, relation = heapq.heappop(heap)
        if per_relation is not None and taken[relation] >= per_relation:
            continue
        today = taken[relation] / sqrt(count)
        if today > place:
            heapq.heappush(heap, (today, count, relation))
            continue
        found = next((each for each in queues[relation] if each.line.id not in seen), None)
        if found is None:
            continue
        seen.add(found.line.id)
        taken.update(found.relations)
        yield found
        heapq.heappush(heap, (taken[relation] / sqrt(count), count, relation))


def _of_relations(lines: Sequence[MadeLine]) -> dict[str, list[MadeLine]]:
    found: dict[str, list[MadeLine]] = defaultdict(list)
    for each in lines:
        for relation in each.relations:
            found[relation].append(each)
    return found


def _by_length(lines: Sequence[MadeLine], seed: int) -> Iterator[MadeLine]:
    classes: dict[str, list[MadeLine]] = defaultdict(list)
    for each in by_lot(lines, seed):
        classes[length_class(each.line.text)].append(each)
    turns = zip_longest(*(classes[name] for name in sorted(classes)))
    return (each for each in chain.from_iterable(turns) if each is not None)
