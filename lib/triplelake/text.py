"""What every room must agree on about text: its units, its language, its comparison key."""

from __future__ import annotations

import unicodedata
from functools import cache

import opencc
import regex

from triplelake.forms import character_forms, typed, visible
from triplelake.types import Lang

# A unit is what a span may start or end at, never inside: a run of digits, a run of letters of a
# script that writes words (with its combining marks), else one grapheme cluster.
_SCRIPTS_WITHOUT_WORDS = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_UNIT = regex.compile(rf"(?V1)\p{{Nd}}+|(?:[\p{{L}}--[{_SCRIPTS_WITHOUT_WORDS}]]\p{{M}}*)+|\X")
_HAN = regex.compile(r"\p{Han}")
_WORD = regex.compile(r"(?V1)(?:[\p{L}--\p{Han}]\p{M}*)+")


def units(text: str) -> list[str]:
    """Cut text into its smallest spans; `"".join(units(text)) == text`."""
    return [match.group() for match in _UNIT.finditer(text)]


def unit_bounds(text: str) -> list[int]:
    """Offsets at which a span may start or end, ascending, 0 and `len(text)` included."""
    return [0, *(match.end() for match in _UNIT.finditer(text))]


def detect_language(text: str) -> Lang:
    """The language to ask a text in.

    Chinese where Han characters are at least a third as many as words of other scripts (a Chinese
    sentence full of English names stays Chinese); Traditional where more characters change under
    Traditional→Simplified than under Simplified→Traditional.
    """
    han = _HAN.findall(text)
    if not han or len(han) * 3 < len(_WORD.findall(text)):
        return "en"
    joined = "".join(han)
    return "zh-Hant" if _changed(joined, "t2s") > _changed(joined, "s2t") else "zh-Hans"


def comparison_key(text: str) -> str:
    """What all writings of one name share: what is folded, with single spaces and none around it."""
    return " ".join(fold(text).split())


def fold(text: str) -> str:
    """A text without case, width, script and what nobody sees; one form for each character and mark.

    White space stays as it is. Fold grapheme clusters of what is visible one by one and you have the same.
    """
    if text.isascii() and text.isprintable():
        return text.casefold().replace("`", "'")
    folded = unicodedata.normalize("NFKC", typed(visible(text))).casefold()
    # Case folding may take a character apart that NFKC had put together.
    folded = unicodedata.normalize("NFKC", folded)
    forms = character_forms().get
    return "".join(map(forms, folded, folded))


def _changed(text: str, direction: str) -> int:
    return sum(a != b for a, b in zip(text, _converter(direction).convert(text), strict=False))


@cache
def _converter(direction: str) -> opencc.OpenCC:
    return opencc.OpenCC(direction)
