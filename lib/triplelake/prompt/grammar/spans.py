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
- Edges: letters, digits, a number with its sign or comparison mark (`-5`, `≥90%`), currency and other pictorial
  symbols, emoji, `%`, `#`, `+`.
- What is left (space, hyphen, `·`, `&`, `/` …) may stand inside only.
- A pair of marks is one unit where it belongs to a word: brackets and quotation marks next to one (`Ca(OH)2`,
  `华星（集团）公司`), a title that opens it (`《财经》杂志`). What stands between the marks of a title, or of a
  quotation where the ontology has works, is an entity as a whole, whatever it holds but what could break out.
- Line ends inside a wrapped paragraph are joined (`triplelake.readings`); where the program cut a word, nothing begins
  or ends.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import regex

from triplelake.prompt.grammar.groups import QUOTATION_MARKS, STRAIGHT, TITLE_MARKS, is_bracketed, is_safe, pairs
from triplelake.readings import readings
from triplelake.text import is_number, units
from triplelake.types import Request

STOP_CHARS = '"\\<>[]{}()|＂＼＜＞｜。！？!?；;，、：…⋯—―｡､\u3000'
"""Characters that no entity ever holds, besides those of `_STOP_CATEGORIES` and the sentence ends of other scripts."""

_STOP_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp", "Ps", "Pe", "Pi", "Pf"})
_EDGE_CATEGORIES = frozenset({"Sc", "So", "Co", "Cn"})
_EDGE_CHARS = frozenset("%％‰‱#＃+＋⁺⁻₊₋∞")
_BEGINNERS = frozenset(".@＠")
_ENDERS = frozenset("′″")
_QUOTED = QUOTATION_MARKS | {STRAIGHT}
_ELIDED = frozenset({"n", "til", "em", "cause", "round", "bout", "tis", "twas", "nam"})
_TITLE_UNITS = 20
_TIES = frozenset("-‐‑–·,′")
_CLOSING = frozenset(")）]〕")
_HAN = regex.compile(r"\p{Han}")
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


@dataclass(frozen=True, slots=True)
class Place:
    """A unit in a row, or several that belong together; `text` is None where no entity goes on.

    Args:
        begins, ends: whether an entity may begin or end with it.
    """

    text: str | None
    begins: bool = False
    ends: bool = False


_STOP = Place(None)


@dataclass(frozen=True, slots=True)
class Material:
    """The units of a request in one row, the sources kept apart by stops.

    Args:
        units: the units; a stop is None, so that no text is left where none may be admitted.
        begins, ends: per unit, whether an entity may begin or end with it.
        reaches: per unit, where the longest entity that begins with it ends (exclusive); 0 where none begins.
        words: how many edges the chunk itself has: characters in Chinese, words in English.
        max_chars: code points of an entity at most.
    """

    units: tuple[str | None, ...]
    begins: tuple[bool, ...]
    ends: tuple[bool, ...]
    reaches: tuple[int, ...]
    words: int
    max_chars: int


def material(request: Request, max_chars: int, *, quoted: bool = False) -> Material:
    """The units of chunk, title and context of which a subject or object may be made.

    Args:
        quoted: what stands between quotation marks may be an entity as a whole, as what stands in 《》 always may.
    """
    row: list[Place] = []
    words = 0
    for source, reading in readings(request).items():
        pieces = units(reading.text)
        told = kinds(pieces)
        if source == "chunk":
            words = sum(kind is Kind.EDGE for kind in told)
        places = rows(pieces, told, max_chars, quoted=quoted, cut_start=reading.cut_start, cut_end=reading.cut_end)
        row += places
    begins, ends = tuple(place.begins for place in row), tuple(place.ends for place in row)
    texts = tuple(place.text for place in row)
    return Material(texts, begins, ends, tuple(_reaches(texts, begins, ends, max_chars)), words, max_chars)


def rows(
    pieces: Sequence[str],
    told: Sequence[Kind],
    max_chars: int,
    *,
    quoted: bool = False,
    cut_start: bool = False,
    cut_end: bool = False,
) -> list[Place]:
    """The places of a text, what stands inside a pair of marks after what stands around it."""
    closed = pairs(pieces)
    laid: list[Place] = []
    waiting = [(0, len(pieces))]
    for first, last in waiting:
        at = first
        while at < last:
            close = closed.get(at)
            if close is None or close >= last:
                laid.append(_place(pieces, told, at, cut_start=cut_start, cut_end=cut_end))
                at += 1
                continue
            waiting.append((at + 1, close))
            content = "".join(pieces[at + 1 : close])
            if pieces[at] in TITLE_MARKS or _is_angled(pieces[at], content) or (quoted and pieces[at] in _QUOTED):
                whole = content.strip()
                if Kind.STOP in told[at + 1 : close] and is_safe(whole) and 0 < len(whole) <= max_chars:
                    laid += [_STOP, Place(whole, True, True), _STOP]
            laid += _group(pieces, told, closed, at, close, content) if len(content) < max_chars else [_STOP]
            at = close + 1
        laid.append(_STOP)
    return laid


def _place(pieces: Sequence[str], told: Sequence[Kind], at: int, *, cut_start: bool, cut_end: bool) -> Place:
    kind = told[at]
    if kind is Kind.STOP:
        return _STOP
    edge = kind is Kind.EDGE
    begins = edge or (pieces[at] in _BEGINNERS and _begins_a_word(pieces, told, at))
    return Place(
        pieces[at],
        begins and not (cut_start and at == 0),
        (edge or pieces[at] in _ENDERS) and not (cut_end and at + 1 == len(pieces)),
    )


def _is_angled(mark: str, content: str) -> bool:
    """Whether a title stands in `<…>`, as some write 〈…〉; a tag has no Han in it."""
    return mark == "<" and _HAN.match(content) is not None


def _begins_a_word(pieces: Sequence[str], told: Sequence[Kind], at: int) -> bool:
    """Whether a mark that is no edge by itself begins a name: `.NET` after Han, `@name`."""
    if at + 1 == len(pieces) or told[at + 1] is not Kind.EDGE:
        return False
    before = pieces[at - 1][-1] if at else " "
    if pieces[at] == ".":
        return _HAN.match(before) is not None and pieces[at + 1][0].isascii()
    return not (before.isalnum() and before.isascii())


def _group(
    pieces: Sequence[str], told: Sequence[Kind], closed: Mapping[int, int], at: int, close: int, content: str
) -> list[Place]:
    """A pair of marks and what it encloses as a part of a longer entity, or the stop that it is."""
    mark = pieces[at]
    text = f"{mark}{content}{pieces[close]}"
    before = at > 0 and (told[at - 1] is Kind.EDGE or pieces[at - 1] in _TIES or pieces[at - 1] in _CLOSING)
    after = close + 1 < len(pieces) and (
        told[close + 1] is Kind.EDGE or pieces[close + 1] in _TIES or close + 1 in closed
    )
    if mark in TITLE_MARKS:
        if not is_safe(content) or content != content.strip() or not content:
            return [_STOP]
        # A title opens an entity (《财经》杂志); what stands before it is not joined to it.
        return [_STOP, Place(text, True, True)] if after else [_STOP, Place(text, True, True), _STOP]
    if mark in ("<", STRAIGHT) or any(
        kind is Kind.STOP and not _nested(closed, at, close, n) for n, kind in enumerate(told[at + 1 : close], at + 1)
    ):
        return [_STOP]
    if not (before or after):
        return [_STOP]
    if mark in QUOTATION_MARKS:
        if is_safe(content) and content == content.strip() != "":
            return [Place(text, after, before)] if before else [_STOP, Place(text, after, False)]
        return [_STOP]
    if is_bracketed(mark, content):
        return [Place(text, after, before)]
    return [_STOP]


def _nested(closed: Mapping[int, int], at: int, close: int, number: int) -> bool:
    """Whether a unit is one of a pair of marks inside the pair from `at` to `close`."""
    return number in closed or any(closed.get(n) == number for n in range(at + 1, number))


def _reaches(row: Sequence[str | None], begins: Sequence[bool], ends: Sequence[bool], max_chars: int) -> list[int]:
    reaches = [0] * len(row)
    end = chars = last_end = 0
    for start, unit in enumerate(row):
        if end < start:
            end, chars = start, 0
        while (upcoming := row[end]) is not None and chars + len(upcoming) <= max_chars:
            chars += len(upcoming)
            end += 1
            if ends[end - 1]:
                last_end = end
        if unit is not None and end > start:
            chars -= len(unit)
            reaches[start] = last_end if begins[start] and last_end > start else 0
    return reaches


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
