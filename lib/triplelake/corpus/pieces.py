"""A paragraph as the pieces that chunks are packed from: sentences, and parts of sentences that are too long."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import regex

from triplelake.corpus.sentences import sentence_ends
from triplelake.corpus.tokens import token_parts
from triplelake.text import unit_bounds

_NOT_JOINED = r"(?![\p{M}\p{Grapheme_Extend}\u200D])"
_CLOSERS = r"[”’\"'」』）)】\]》〉]*"

# Where a sentence that is too long is cut, best first; a piece that is still too long is cut at the
# next. Not before a few characters: a text of nothing but commas should not cost an object for each.
_FEW = r"(?s:.{12,}?)"
_CUTS = (
    regex.compile(rf"{_FEW}(?:[。！？；…｡．]+{_CLOSERS}\s*|[.!?;]+{_CLOSERS}\s+){_NOT_JOINED}"),
    regex.compile(rf"{_FEW}(?:[，、：—–]+{_CLOSERS}\s*|[,:]+{_CLOSERS}(?:\s+|(?=\p{{Han}}))){_NOT_JOINED}"),
    regex.compile(rf"{_FEW}\s+{_NOT_JOINED}"),
)
_BOUNDARIES = (
    regex.compile(rf"(?:[。！？；…｡．]+{_CLOSERS}\s*|[.!?;]+{_CLOSERS}\s+){_NOT_JOINED}"),
    regex.compile(rf"(?:[，、：—–]+{_CLOSERS}\s*|[,:]+{_CLOSERS}(?:\s+|(?=\p{{Han}}))){_NOT_JOINED}"),
    regex.compile(rf"\s+{_NOT_JOINED}"),
)
_IN_WORD = regex.compile(r"[\p{L}\p{N}\p{M}]")
UNIT_RANK = 1 + len(_CUTS)
_GRAPHEME = regex.compile(r"\X")
_AROUND = 32  # characters before and after a stretch that its units may depend on
_DENSEST = 40  # token parts of the dearest character
_CHEAPEST_IN_UNIT = 5  # token parts of the cheapest character that a unit of several can hold


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text up to `end`; it begins where the one before it ends.

    Args:
        parts: its size in `token_parts`.
        rank: how good its end is for a cut: 0 a sentence's end, then worse with each number.
    """

    end: int
    parts: int
    rank: int


def pieces(text: str, start: int, end: int, *, longest: int, target: int) -> Iterator[Piece]:
    """The pieces of the paragraph `text[start:end]`: its sentences, none over `longest` token parts.

    A unit (`triplelake.text.units`) is cut only if it is over `longest` by itself, and then between
    graphemes if these allow it. What is cut for its length comes in pieces well below `target`.
    """
    here = start
    for sentence_end in sentence_ends(text, here, end):
        yield from _cut(text, here, Piece(sentence_end, _parts(text, here, sentence_end), 0), 0, longest, target)
        here = sentence_end


def unit_start(text: str, start: int, end: int, budget: int) -> int:
    """The first unit bound from which `text[start:end]` fits into `budget` token parts; `end` if none."""
    bounds = _bounds(text, start, end)
    return bounds[bisect_left(bounds, -budget, key=lambda bound: -token_parts(text[bound:end]))]


def context_start(text: str, start: int, end: int, budget: int) -> int:
    """Where a context that ends at `end` begins, so that it fits into `budget` and with no part of a name.

    At the first end of a sentence or clause or the first space that leaves room. Without one there is no context,
    except where `end` itself was cut inside a word: then the context shows that it was, and is all of a word.
    """
    first = unit_start(text, start, end, budget)
    bounds = _bounds(text, start, end)
    for boundary in _BOUNDARIES:
        found = boundary.search(text, max(start, first - 1), end)
        # A point may stand inside a unit: 3．5.
        while found and (found.end() < first or (found.end() < end and found.end() not in bounds)):
            found = boundary.search(text, found.end(), end)
        if found and found.end() < end:
            return found.end()
    if end < len(text) and _IN_WORD.match(text[end - 1]) and _IN_WORD.match(text[end]):
        begin = max(first, min(end - 1, _last_break(text, first, end)))
        return bounds[bisect_right(bounds, begin) - 1]
    return end


def _bounds(text: str, start: int, stop: int) -> list[int]:
    """The unit bounds in `[start, stop]`, as they are in the whole text, and both ends.

    What precedes may make a minus a hyphen, and what follows a point a decimal one.
    """
    lead = max(0, start - _AROUND)
    found = (lead + bound for bound in unit_bounds(text[lead : stop + _AROUND]))
    return sorted({start, stop, *(bound for bound in found if start < bound < stop)})


def _last_break(text: str, first: int, end: int) -> int:
    """The start of the run of letters and digits that ends at `end`, not before `first`."""
    while end > first and _IN_WORD.match(text[end - 1]):
        end -= 1
    return end


def _cut(text: str, start: int, piece: Piece, level: int, longest: int, target: int) -> Iterator[Piece]:
    if piece.parts <= longest:
        yield piece
        return
    if level == len(_CUTS):
        yield from _cut_hard(text, start, piece, longest, target)
        return
    here = start
    for end in _ends(_CUTS[level], text, start, piece.end):
        part = Piece(end, _parts(text, here, end), piece.rank if end == piece.end else level + 1)
        yield from _cut(text, here, part, level + 1, longest, target)
        here = end


def _ends(cut: regex.Pattern[str], text: str, start: int, end: int) -> Iterator[int]:
    here = start
    while (match := cut.match(text, here, end)) and match.end() < end:
        here = match.end()
        yield here
    yield end


def _cut_hard(text: str, start: int, piece: Piece, longest: int, target: int) -> Iterator[Piece]:
    # A few characters at a time, since counting units costs: the packer puts them together again.
    step = max(1, target // 2 // _DENSEST)
    here = start
    while here < piece.end:
        for end, rank in _hard_ends(text, here, piece.end, longest, step):
            yield Piece(end, _parts(text, here, end), piece.rank if end == piece.end else rank)
            here = end


def _hard_ends(text: str, start: int, end: int, longest: int, step: int) -> list[tuple[int, int]]:
    """The next cuts after `start`, with their ranks: one unit bound, or many inside a unit over `longest`."""
    if near := _sure_bounds(text, start, min(start + step, end), end):
        return [(near[-1], UNIT_RANK)]
    reach = min(end, start + longest // _CHEAPEST_IN_UNIT + 2)
    if units := _sure_bounds(text, start, reach, end):
        reach = units[0]
        if _parts(text, start, reach) <= longest:
            return [(reach, UNIT_RANK)]
    if inside := _grapheme_ends(text, start, reach, longest, step * _DENSEST):
        return [(bound, UNIT_RANK + 1) for bound in inside]
    return [(min(start + step, end), UNIT_RANK + 2)]


def _grapheme_ends(text: str, start: int, stop: int, longest: int, size: int) -> list[int]:
    """Ends of runs of graphemes of about `size` token parts; none if the first is over `longest`."""
    ends: list[int] = []
    here = start
    parts = 0
    for match in list(_GRAPHEME.finditer(text, start, stop))[:-1]:  # the last may go on beyond `stop`
        grapheme = token_parts(match.group())
        if grapheme > longest:
            break
        if parts and parts + grapheme > size:
            ends.append(here)
            parts = 0
        parts += grapheme
        here = match.end()
    return [*ends, here] if here > start else ends


def _sure_bounds(text: str, start: int, stop: int, end: int) -> list[int]:
    """The unit bounds in `(start, stop]`; `stop` itself only where the text to cut ends."""
    bounds = _bounds(text, start, stop)[1:]
    return bounds if stop == end else bounds[:-1]


def _parts(text: str, start: int, end: int) -> int:
    return token_parts(text[start:end])
