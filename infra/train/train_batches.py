"""Which texts are read together: of like length, in an order by lot."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

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
    groups = max(1, round(whole / batch / _GROUP))
    bounds = [rank * (whole // batch) // groups * batch for rank in range(groups + 1)]
    for start, end in pairwise(bounds):
        group = sorted(places[start:end], key=lambda place: lengths[place])
        batches += [group[each : each + batch] for each in range(0, len(group), batch)]
    chance.shuffle(batches)
    return [place for each in batches for place in each] + places[whole:]
