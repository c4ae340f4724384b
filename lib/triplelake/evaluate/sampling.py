"""Which triples of a sample people judge, where there are more than a sheet holds, and what each one stands for.

A triple whose confidence is near 0 or 1 tells little: it mostly turns out as was expected. So the triples are put into
strata by confidence, and each stratum gets rows in proportion to its triples and to the standard deviation of being
right or wrong that its confidence foresees, √(p (1 − p)): for a given number of rows the share of right ones then has
the least variance (Neyman 1934), and the fit of a calibration sees most of where right and wrong are mixed. What it is
weighed with stays unbiased however wrong the confidence is (Horvitz and Thompson 1952).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import ceil, sqrt

from triplelake.triples.identity import stable_hash

_MOST_STRATA = 10
_ROWS_OF_A_STRATUM = 10
"""On average. With fewer, a stratum's own precision could not be told."""
_LEAST = 0.5
"""Of the rows that a plain draw would give to a stratum, it gets so many at least: no row stands for more than twice as
many triples as there. So a confidence that is off, as that of a calibration for other texts may be, costs little."""


def drawn(confidences: Mapping[str, float | None], rows: int, seed: int) -> dict[str, float]:
    """Draw triples to judge; equal for equal arguments, in whatever order the triples come.

    Without any confidence this is a plain draw.

    Args:
        confidences: by triple id; None where it is not known.
        rows: triples to draw; all where there are no more.
        seed: another one draws others.

    Returns:
        Of each drawn triple, by its id, how many triples it stands for: 1 / the probability of being drawn. They sum to
        the number of triples.
    """
    weights: dict[str, float] = {}
    strata = _strata(confidences, rows, seed)
    for stratum, size in zip(strata, _allocated(strata, confidences, rows), strict=True):
        for triple_id in sorted(stratum, key=lambda each: _place(each, seed))[:size]:
            weights[triple_id] = len(stratum) / size
    return weights


def _strata(confidences: Mapping[str, float | None], rows: int, seed: int) -> list[list[str]]:
    """Strata of about equally many triples, the least sure first, and one of those without a confidence."""
    known = {triple_id: value for triple_id, value in confidences.items() if value is not None}
    unknown = [triple_id for triple_id in confidences if triple_id not in known]
    many = min(_MOST_STRATA, rows // _ROWS_OF_A_STRATUM, len(known))
    if many < 2 or rows >= len(confidences):
        return [[*confidences]] if confidences else []
    # Equal confidences go to a stratum by lot, so that no triple is in one for the order in which it came.
    ordered = sorted(known, key=lambda each: (known[each], _place(each, seed)))
    ends = [rank * len(ordered) // many for rank in range(many + 1)]
    strata = [ordered[low:high] for low, high in pairwise(ends)]
    return [*strata, unknown] if unknown else strata


def _allocated(strata: Sequence[Sequence[str]], confidences: Mapping[str, float | None], rows: int) -> Sequence[int]:
    """Rows of each stratum.

    Row after row goes to the stratum where it lowers the variance most: the optimum in whole numbers (Wright 2012).
    """
    triples = len(confidences)
    if rows >= triples:
        return [len(stratum) for stratum in strata]
    spreads = [len(stratum) * _deviation([confidences[each] for each in stratum]) for stratum in strata]
    sizes = [ceil(_LEAST * rows * len(stratum) / triples) for stratum in strata]
    for _ in range(rows - sum(sizes)):
        open = [rank for rank, stratum in enumerate(strata) if sizes[rank] < len(stratum)]
        # Of equal ones the first: without any confidence it is the only one.
        gains = {rank: spreads[rank] / sqrt(sizes[rank] * (sizes[rank] + 1)) for rank in open}
        sizes[max(open, key=gains.__getitem__)] += 1
    return sizes


def _deviation(confidences: Sequence[float | None]) -> float:
    """The standard deviation of being right that is foreseen; the largest where nothing is."""
    known = [value for value in confidences if value is not None]
    mean = sum(known) / len(known) if known else 0.5
    return sqrt(mean * (1 - mean))


def _place(triple_id: str, seed: int) -> str:
    return stable_hash("sheet", str(seed), triple_id)
