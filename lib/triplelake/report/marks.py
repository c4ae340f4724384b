"""Text cut where marks begin and end, so that marks may overlap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text, and the numbers of the triples that have a subject or an object over all of it."""

    text: str
    marks: tuple[int, ...]


def pieces(text: str, spans: Iterable[tuple[int, int, int]]) -> Iterator[Piece]:
    """The pieces of a text; joined they are the text.

    Args:
        spans: start, end, number of the triple; what lies outside the text is left out.
    """
    inside = [(max(start, 0), min(end, len(text)), number) for start, end, number in spans]
    inside = [span for span in inside if span[0] < span[1]]
    bounds = sorted({0, len(text), *(bound for span in inside for bound in span[:2])})
    for start, end in pairwise(bounds):
        over = sorted({number for first, last, number in inside if first <= start and end <= last})
        yield Piece(text[start:end], tuple(over))
