"""What an entity may be made of: the units of a request, with what may not be crossed or stand at an edge.

An entity is a run of units (`triplelake.text.units`) of the chunk, the title or the context. It holds no *stop*,
and begins and ends with an *edge*. The rules go by characters, not by language, since Chinese texts quote English:

- Stops: sentence ends, line breaks, control characters, quotation marks and brackets of every script, `"`, `\\`, `<`,
  `>`, `|`, dashes of clause length, the Chinese comma and its kin. Without `"`, `\\` and control characters an entity
  is its own JSON; without `<`, `[` and `|` it cannot spell a control token (`</s>`, `<|im_end|>`, `[INST]`), which
  a grammar would match by its text and the server would then drop from the output.
- `.` `,` `:` and the apostrophe are stops too, except where they belong to a name or a number: between two edges
  (`3.14`, `1,000`, `D.C`, `O'Brien`), after an initial or an abbreviation that ends no sentence (`J. K. Rowling`,
  `St. Louis`), for comma and colon before a capital or a digit (`Portland, Oregon`, `July 4, 1776`,
  `Star Trek: Picard`), and for the apostrophe of a plural before a capital (`The Boys' Own Paper`).
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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import regex

from triplelake.prompt.grammar.groups import QUOTATION_MARKS, STRAIGHT, TITLE_MARKS, is_bracketed, is_safe, pairs
from triplelake.prompt.grammar.kinds import Kind, kinds
from triplelake.readings import readings
from triplelake.text import units
from triplelake.types import Request

__all__ = ["Kind", "Material", "Place", "kinds", "material", "rows"]

_BEGINNERS = frozenset(".@＠")
_ENDERS = frozenset("′″")
_QUOTED = QUOTATION_MARKS | {STRAIGHT}
_TIES = frozenset("-‐‑–·,′")
_CLOSING = frozenset(")）]〕")
_HAN = regex.compile(r"\p{Han}")


class Place(NamedTuple):
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

    def holds(self, entity: str) -> bool:
        """Whether a text is an entity of it, so that a grounded answer can say it."""
        for start, reach in enumerate(self.reaches):
            first = self.units[start]
            if not reach or first is None or not entity.startswith(first):
                continue
            said = ""
            for at in range(start, reach):
                said += self.units[at] or ""
                if said == entity and self.ends[at]:
                    return True
                if not entity.startswith(said):
                    break
        return False


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
    texts, begins, ends = zip(*row, strict=True)
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
