"""What an entity may be made of: the units of a request, with what may not be crossed or stand at an edge.

An entity is a run of units (`triplelake.text.units`) of the chunk, the title or the context. It holds no *stop*,
and begins and ends with an *edge*. The rules go by characters, not by language, since Chinese texts quote English:

- Stops: sentence ends, line breaks, control characters, quotation marks and brackets of every script, `"`, `\\`, `<`,
  `>`, `|`, dashes of clause length, the Chinese comma and its kin. Without `"`, `\\` and control characters an entity
  is its own JSON; without `<`, `[` and `|` it cannot spell a control token (`</s>`, `<|im_end|>`, `[INST]`), which
  a grammar would match by its text and the server would then drop from the output.
- `.` `,` `:` and the apostrophe are stops too, except where they belong to a name or a number: between two edges
  (`3.14`, `1,000`, `D.C`, `O'Brien`), after an initial or an abbreviation that ends no sentence (`J. K. Rowling`,
  `St. Louis`), and for comma and colon before a capital or a digit (`Portland, Oregon`, `July 4, 1776`,
  `Star Trek: Picard`).
- Edges: letters, digits, currency and other pictorial symbols, emoji, `%`, `#`, `+`.
- What is left (space, hyphen, `·`, `&`, `/` …) may stand inside only.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import regex

from triplelake.text import units
from triplelake.types import Request

STOP_CHARS = '"\\<>[]{}()|＂＼＜＞｜。！？!?；;，、：…⋯—―｡､\u3000'
"""Characters that no entity ever holds, besides those of `_STOP_CATEGORIES` and the sentence ends of other scripts."""

_STOP_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp", "Ps", "Pe", "Pi", "Pf"})
_EDGE_CATEGORIES = frozenset({"Sc", "So", "Co", "Cn"})
_EDGE_CHARS = frozenset("%％‰#＃+＋")
_SENTENCE_END = regex.compile(r"\p{Sentence_Terminal}")
_ABBREVIATION = regex.compile(
    r"Dr|Mrs?|Ms|St|Mt|Ft|Prof|Gen|Col|Lt|Sgt|Capt|Rev|Hon|Sen|Gov|Pres|Bros|Vol|No|ca?|sq"
    r"|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|\p{Lu}"
)


class Kind(IntEnum):
    """What a unit may do in an entity."""

    STOP = 0
    INNER = 1
    EDGE = 2
    NEEDS_NEIGHBOURS = 3


@dataclass(frozen=True, slots=True)
class Material:
    """The units of a request in one row, the sources kept apart by stops.

    Args:
        units: the units; a stop is None, so that no text is left where none may be admitted.
        edges: per unit, whether an entity may begin or end with it.
        reaches: per unit, where the longest entity that begins with it ends (exclusive); 0 where none begins.
        words: how many edges the chunk itself has: characters in Chinese, words in English.
        max_chars: code points of an entity at most.
    """

    units: tuple[str | None, ...]
    edges: tuple[bool, ...]
    reaches: tuple[int, ...]
    words: int
    max_chars: int


def material(request: Request, max_chars: int) -> Material:
    """The units of chunk, title and context of which a subject or object may be made."""
    row: list[str | None] = []
    edges: list[bool] = []
    ends_of_sources = []
    for source in (request.text, request.title, request.context):
        pieces = units(source)
        for unit, kind in zip(pieces, kinds(pieces), strict=True):
            row.append(None if kind is Kind.STOP else unit)
            edges.append(kind is Kind.EDGE)
        row.append(None)
        edges.append(False)
        ends_of_sources.append(len(row))
    words = sum(edges[: ends_of_sources[0]])
    return Material(tuple(row), tuple(edges), tuple(_reaches(row, edges, max_chars)), words, max_chars)


def _reaches(row: Sequence[str | None], edges: Sequence[bool], max_chars: int) -> list[int]:
    reaches = [0] * len(row)
    end = chars = last_edge = 0
    for start, unit in enumerate(row):
        if end < start:
            end, chars = start, 0
        while (upcoming := row[end]) is not None and chars + len(upcoming) <= max_chars:
            chars += len(upcoming)
            end += 1
            if edges[end - 1]:
                last_edge = end
        if unit is not None and end > start:
            chars -= len(unit)
            # A first unit that is an edge and within the limit makes last_edge lie behind it.
            reaches[start] = last_edge if edges[start] else 0
    return reaches


def kinds(pieces: Sequence[str]) -> list[Kind]:
    """The kind of each unit of a text, the ambiguous ones told by their neighbours."""
    found = [_kind(unit) for unit in pieces]
    for at, kind in enumerate(found):
        if kind is Kind.NEEDS_NEIGHBOURS:
            found[at] = Kind.INNER if _belongs_to_a_name(pieces, found, at) else Kind.STOP
    return found


def _belongs_to_a_name(pieces: Sequence[str], found: Sequence[Kind], at: int) -> bool:
    mark = pieces[at]
    if at == 0 or at + 1 == len(pieces) or found[at - 1] is not Kind.EDGE:
        return False
    before, after = pieces[at - 1], pieces[at + 1]
    if found[at + 1] is Kind.EDGE:
        return mark not in ",:" or (before[-1].isdecimal() and after[0].isdecimal())
    if after != " " or at + 2 == len(pieces) or found[at + 2] is not Kind.EDGE:
        return False
    if mark == ".":
        return _ABBREVIATION.fullmatch(before) is not None
    following = pieces[at + 2][0]
    return mark in ",:" and (following.isupper() or following.isdecimal())


@lru_cache(maxsize=1 << 15)
def _kind(unit: str) -> Kind:
    if unit in {".", ",", ":", "'", "’"}:
        return Kind.NEEDS_NEIGHBOURS
    categories = [unicodedata.category(char) for char in unit]
    if any(
        category in _STOP_CATEGORIES or char in STOP_CHARS or _SENTENCE_END.match(char)
        for char, category in zip(unit, categories, strict=True)
    ):
        return Kind.STOP
    edges = [_is_edge(char, category) for char, category in zip(unit, categories, strict=True)]
    if (
        edges[0]
        and edges[-1]
        and all(edge or category == "Cf" for edge, category in zip(edges, categories, strict=True))
    ):
        return Kind.EDGE
    # Edges are told by their first and last code point: a cluster that mixes (`!` with an accent) is not let in.
    return Kind.INNER if len(unit) == 1 else Kind.STOP


def _is_edge(char: str, category: str) -> bool:
    return category[0] in "LMN" or category in _EDGE_CATEGORIES or char in _EDGE_CHARS
