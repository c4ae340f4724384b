"""What each unit of a text may do in an entity: see `triplelake.prompt.grammar.spans` for the rules in words."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache

import regex

from triplelake.text import is_number

STOP_CHARS = '"\\<>[]{}()|＂＼＜＞｜。！？!?；;，、：…⋯—―｡､\u3000'
"""Characters that no entity ever holds, besides those of `_STOP_CATEGORIES` and the sentence ends of other scripts."""

_STOP_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp", "Ps", "Pe", "Pi", "Pf"})
_EDGE_CATEGORIES = frozenset({"Sc", "So", "Co", "Cn"})
_EDGE_CHARS = frozenset("%％‰‱#＃+＋⁺⁻₊₋∞")
_ELIDED = frozenset({"n", "til", "em", "cause", "round", "bout", "tis", "twas", "nam"})
_TITLE_UNITS = 20
_SENTENCE_END = regex.compile(r"\p{Sentence_Terminal}")
_DOTTED = regex.compile(r"\.[\p{L}\p{M}]+")
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


def kinds(pieces: Sequence[str]) -> list[Kind]:
    """The kind of each unit of a text, the ambiguous ones told by their neighbours."""
    found = [_kind(unit) for unit in pieces]
    for at, kind in enumerate(found):
        if kind is Kind.NEEDS_NEIGHBOURS:
            found[at] = Kind.INNER if _belongs_to_a_name(pieces, found, at) else Kind.STOP
    _join_subtitle(pieces, found)
    return found


def _join_subtitle(pieces: Sequence[str], found: list[Kind]) -> None:
    """Let a dash of two parts stand in what a text begins with: a title and its subtitle (网王——阳光满院)."""
    for at in range(1, min(len(pieces) - 2, _TITLE_UNITS)):
        if pieces[at] == pieces[at + 1] == "—" and found[at - 1] is found[at + 2] is Kind.EDGE:
            found[at] = found[at + 1] = Kind.INNER
            return
        if found[at] is Kind.STOP:
            return


def _belongs_to_a_name(pieces: Sequence[str], found: Sequence[Kind], at: int) -> bool:
    mark = pieces[at]
    if mark in "'’" and _is_elision(pieces, at):
        return True
    if at == 0 or at + 1 == len(pieces) or found[at - 1] is not Kind.EDGE:
        return False
    before, after = pieces[at - 1], pieces[at + 1]
    if found[at + 1] is Kind.EDGE:
        if mark == "，":  # 1，000 and nothing else
            return before.isdecimal() and after.isdecimal() and len(before) < 4 and len(after) == 3
        return mark not in ",:：" or (before[-1].isdecimal() and after[0].isdecimal())
    if after != " " or at + 2 == len(pieces) or found[at + 2] is not Kind.EDGE:
        return False
    if mark == ".":
        return _ABBREVIATION.fullmatch(before) is not None
    following = pieces[at + 2][0]
    if mark in "'’":  # The Lamplighters' Strike; before a small letter it may as well end a quotation
        return before[-1] in "sS" and following.isupper()
    return mark in ",:" and (following.isupper() or following.isdecimal())


def _is_elision(pieces: Sequence[str], at: int) -> bool:
    """Whether an apostrophe stands for letters left out at an end of a word: Rock 'n' Roll, Summer '68, Rollin' on."""
    before = pieces[at - 1] if at else ""
    after = pieces[at + 1] if at + 1 < len(pieces) else ""
    if before == " ":
        return after.casefold() in _ELIDED or (len(after) == 2 and after.isdecimal())
    ends_here = not after or not after[0].isalnum()
    return ends_here and (before.casefold() == "n" or (len(before) > 3 and before.endswith("in")))


@lru_cache(maxsize=1 << 15)
def _kind(unit: str) -> Kind:
    if is_number(unit) or _DOTTED.fullmatch(unit):
        return Kind.EDGE
    if unit in {".", "．", ",", "，", ":", "：", "'", "’"}:
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
