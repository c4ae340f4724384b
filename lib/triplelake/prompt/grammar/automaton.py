"""A deterministic automaton that admits the entities of a material and nothing else.

Within a run no longer than an entity may be, its states are those of the run's suffix automaton (Blumer et al.
1985): the sets of places where the units read so far end, at most two per unit of text. In a longer run the place
where the entity began counts too, since it decides how far the entity may go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from triplelake.prompt.grammar.spans import Material

EXACT_SIZE = 4_000
"""Sum of the distinct longest entities, in units, up to which every entity is admitted.

Only hundreds of characters without any punctuation pass it. There, beginnings close to one another share the end
that they may reach, so that the automaton stays linear in the text; no entity of up to three quarters of the limit
is missed.
"""


class State(NamedTuple):
    """Where each next unit leads to, and whether an entity may end here."""

    final: bool
    moves: tuple[tuple[str, int], ...]


def entity_automaton(material: Material) -> list[State]:
    """The states, the start first. No state is dead; the start has no moves if the material holds no entity."""
    units, ends = material.units, material.ends
    size = len(units) + 1
    # A place is a position in the text and the end that the entity must not pass, packed into one number.
    origin = tuple(start * size + reach for start, reach in enumerate(_affordable(material)) if reach)
    numbers = {(origin, False): 0}
    queue = [origin]
    finals = [False]
    moves: list[tuple[tuple[str, int], ...]] = []
    for places in queue:
        if len(places) == 1:
            # Nine of ten states have one place only, and one way on.
            at, reach = divmod(places[0], size)
            going: tuple[int, ...] = (places[0] + size,) if at + 1 < reach else ()
            ways = [(units[at] or "", (going, ends[at]))]
        else:
            onward: dict[str, list[int]] = {}
            ending = set()
            for place in places:
                at, reach = divmod(place, size)
                unit = units[at] or ""
                further = onward.setdefault(unit, [])
                if ends[at]:
                    ending.add(unit)
                if at + 1 < reach:
                    further.append(place + size)
            ways = [(unit, (tuple(further), unit in ending)) for unit, further in onward.items()]
        targets = []
        for unit, key in ways:
            number = numbers.setdefault(key, len(queue))
            if number == len(queue):
                queue.append(key[0])
                finals.append(key[1])
            targets.append((unit, number))
        moves.append(tuple(targets))
    return list(map(State, finals, moves))


class Parting(NamedTuple):
    """A state that a grammar has a rule for: the start, or one that entities part at or end at.

    Args:
        number: of the state.
        final: whether an entity may end here.
        ways: each text that leads to the next such state, and that state's number; None where nothing can follow.
    """

    number: int
    final: bool
    ways: tuple[tuple[str, int | None], ...]


def partings(states: Sequence[State]) -> Iterator[Parting]:
    """The states that need a rule of their own; the others are written out in the ways that lead through them."""

    def way(unit: str, to: int) -> tuple[str, int | None]:
        final, moves = states[to]
        while not final and len(moves) == 1:
            ((more, to),) = moves
            unit += more
            final, moves = states[to]
        return unit, to if moves else None

    for number, (final, moves) in enumerate(states):
        if number == 0 or (moves and (final or len(moves) > 1)):
            yield Parting(number, final, tuple([way(unit, to) for unit, to in moves]))


def _affordable(material: Material) -> Sequence[int]:
    """The reaches of the material, made coarser where the automaton would be too large."""
    longest: dict[int, int] = {}
    for start, reach in enumerate(material.reaches):
        longest.setdefault(reach, reach - start)
    if sum(longest.values()) <= EXACT_SIZE:
        return material.reaches
    offsets = [0, *accumulate(len(unit or "") for unit in material.units)]
    coarse = []
    held = 0
    for start, reach in enumerate(material.reaches):
        if reach and 4 * (offsets[held] - offsets[start]) < 3 * material.max_chars:
            held = reach
        coarse.append(held if reach else 0)
    return coarse
