"""Where a surface occurs in a text: verbatim, or after folding width, case and script."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property, lru_cache

import regex

from triplelake.forms import visible, visible_places
from triplelake.readings import Reading
from triplelake.text import fold, unit_bounds

Interval = tuple[int, int]
"""Code points `[start, end)`."""

_NOWHERE = -1
_CLUSTER = regex.compile(r"\X")


class SearchedText:
    """A text that is searched for several surfaces; what the search needs is made once, when first needed."""

    def __init__(self, text: str | Reading) -> None:
        self._reading = Reading(text) if isinstance(text, str) else text
        self._text = self._reading.text

    def exact(self, surface: str) -> list[Interval]:
        """Occurrences of a non-empty surface that start and end at unit bounds, in order.

        They are verbatim but for line ends inside a wrapped paragraph: `join_lines` of the interval is the surface.
        """
        size = len(surface)
        return [
            self._reading.interval(start, start + size)
            for start in _find_all(self._text, surface)
            if start in self._bounds and start + size in self._bounds
        ]

    def folded(self, surface: str) -> list[Interval]:
        """Occurrences of what has the same folded form as the surface, as intervals of the original text."""
        needle = _fold(surface)[0]
        if not needle:
            return []
        text, offsets = self._folded
        found = [
            (self._bound(offsets.get(start), last=True), self._bound(offsets.get(start + len(needle)), last=False))
            for start in _find_all(text, needle)
        ]
        return [self._reading.interval(start, end) for start, end in found if start != _NOWHERE and end != _NOWHERE]

    def _bound(self, place: int | None, *, last: bool) -> int:
        """The unit bound of the original text at a place of what is visible in it.

        What nobody sees may stand there. An occurrence leaves it out as far as units allow: a variation selector
        belongs to the character before it.
        """
        if place is None:
            return _NOWHERE
        low = self._places[place - 1] + 1 if place else 0
        bounds = [offset for offset in range(low, self._places[place] + 1) if offset in self._bounds]
        return bounds[-1 if last else 0] if bounds else _NOWHERE

    @cached_property
    def _bounds(self) -> frozenset[int]:
        bounds = set(unit_bounds(self._text))
        if self._reading.cut_start:
            bounds.discard(0)
        if self._reading.cut_end:
            bounds.discard(len(self._text))
        return frozenset(bounds)

    @cached_property
    def _places(self) -> list[int]:
        return visible_places(self._text)

    @cached_property
    def _folded(self) -> tuple[str, dict[int, int]]:
        return _fold(self._text)


def _find_all(text: str, surface: str) -> Iterator[int]:
    """Starts of all occurrences, overlapping ones too."""
    start = text.find(surface)
    while start >= 0:
        yield start
        start = text.find(surface, start + 1)


def _fold(text: str) -> tuple[str, dict[int, int]]:
    """The folded form of a text, and from each place in it where a grapheme starts or ends the offset in what is
    visible of the text.

    Grapheme by grapheme, since folding changes lengths.
    """
    pieces: list[str] = []
    offsets: dict[int, int] = {}
    length = 0
    after_space = True
    shown = visible(text)
    for match in _CLUSTER.finditer(shown):
        # The last original offset of a place wins: a surface starts after the white space before it.
        # Where one ends before white space, the run's first code point is still the only one there.
        cluster = match.group()
        piece = ("" if after_space else " ") if cluster.isspace() else _folded_cluster(cluster)
        offsets[length] = match.start()
        pieces.append(piece)
        length += len(piece)
        after_space = cluster.isspace()
    offsets[length] = len(shown)
    folded = "".join(pieces)
    if folded.endswith(" "):
        del offsets[length]
        folded = folded[:-1]
    return folded, offsets


@lru_cache(maxsize=1 << 14)
def _folded_cluster(cluster: str) -> str:
    return "".join(fold(cluster).split())
