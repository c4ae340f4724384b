"""Where a surface occurs in a text: verbatim, or after folding width, case and script."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import cached_property

import regex

from triplelake.text import comparison_key, unit_bounds

Interval = tuple[int, int]
"""Code points `[start, end)`."""

_NOWHERE = -1
_CLUSTER = regex.compile(r"\X")


class SearchedText:
    """A text that is searched for several surfaces; what the search needs is made once, when first needed."""

    def __init__(self, text: str) -> None:
        self._text = text

    def exact(self, surface: str) -> list[Interval]:
        """Verbatim occurrences of a non-empty surface that start and end at unit bounds, in order."""
        size = len(surface)
        return [
            (start, start + size)
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
            (offsets.get(start, _NOWHERE), offsets.get(start + len(needle), _NOWHERE))
            for start in _find_all(text, needle)
        ]
        return [(start, end) for start, end in found if start in self._bounds and end in self._bounds]

    @cached_property
    def _bounds(self) -> frozenset[int]:
        return frozenset(unit_bounds(self._text))

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
    """The folded form of a text, and from each place in it where a grapheme starts or ends the original offset.

    NFKC and case folding go grapheme by grapheme, since both change lengths. Traditional→Simplified goes
    over the whole, since it is decided by words (計畫 → 计划, but 畫 → 画); it keeps lengths, and in a text
    where it should not, the script stays unfolded: offsets come first.
    """
    pieces: list[str] = []
    offsets: dict[int, int] = {}
    length = 0
    after_space = True
    for match in _CLUSTER.finditer(text):
        # The last original offset of a place wins: a surface starts after the white space before it.
        # Where one ends before white space, the run's first code point is still the only one there.
        cluster = match.group()
        if cluster.isspace():
            piece = "" if after_space else " "
        else:
            piece = "".join(unicodedata.normalize("NFKC", cluster).casefold().split())
        offsets[length] = match.start()
        pieces.append(piece)
        length += len(piece)
        after_space = cluster.isspace()
    offsets[length] = len(text)
    folded = "".join(pieces)
    if folded.endswith(" "):
        del offsets[length]
        folded = folded[:-1]
    simplified = comparison_key(folded)
    return (simplified if len(simplified) == len(folded) else folded), offsets
