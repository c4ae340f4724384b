"""Which texts are read together: of like length, in an order by lot."""

from __future__ import annotations

import random
from collections.abc import Sequence

_GROUP = 24
"""Batches that are sorted together: more are padded less, fewer are drawn more freely."""


def order(lengths: Sequence[int], batch: int, seed: int, epoch: int) -> list[int]:
    """The places of all texts, so that each `batch` of neighbours has texts of like length.

    The batches themselves come by lot. The last one may be smaller than the others and comes last, so that no other
    batch is torn by it.
    """
    chance = random.Random(f"{seed} {epoch}")
    places = list(range(len(lengths)))
    chance.shuffle(places)
    whole = len(places) - len(places) % batch
    batches: list[list[int]] = []
    for start in range(0, whole, batch * _GROUP):
        group = sorted(places[start : min(whole, start + batch * _GROUP)], key=lambda place: lengths[place])
        batches += [group[each : each + batch] for each in range(0, len(group), batch)]
    chance.shuffle(batches)
    return [place for each in batches for place in each] + places[whole:]


def padded(lengths: Sequence[int], batch: int) -> int:
    """Tokens that are computed where each batch of neighbours is as wide as its longest text."""
    parts = (lengths[start : start + batch] for start in range(0, len(lengths), batch))
    return sum(len(part) * max(part) for part in parts)
