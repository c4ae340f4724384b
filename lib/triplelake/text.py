"""What every room must agree on about text: its units, its language, its comparison key."""

from __future__ import annotations

import unicodedata
from functools import cache

import opencc
import regex

from triplelake.forms import character_forms, typed, visible
from triplelake.types import Lang

# A unit is what a span may start or end at, never inside: a number with its sign, a run of letters of a
# script that writes words (with its combining marks), else one grapheme cluster.
_SCRIPTS_WITHOUT_WORDS = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_WORD_LETTER = rf"[\p{{L}}--[{_SCRIPTS_WITHOUT_WORDS}]]"
# A number and what carries its value. A date (2003.5.1) and a version keep their parts apart.
_DIGITS = r"(?:\p{Nd}{1,3}(?:,\p{Nd}{3})++(?!\p{Nd})|\p{Nd}++)"
_FRACTION = r"(?:(?<!(?:^|[^\p{Nd},])\p{Nd}{4})(?<!\p{Nd}\.\p{Nd}+)\.\p{Nd}++(?!\.?\p{Nd}))?+"
_NUMBER = rf"(?:{_DIGITS}{_FRACTION}|(?<![\p{{L}}\p{{N}}\p{{M}}.])\.\p{{Nd}}++)[%％‰‱]?"
# A hyphen after a number, its unit or a word is a range's or a name's (3-5, 2003年-2005年, COVID-19), no sign.
_UNIT_OF_A_NUMBER = r"年月日号號时時点點分秒周週天岁歲度万萬亿億千百元人米次个個名家层層楼樓届屆级級倍页頁回集期"
_NO_RANGE = (
    rf"(?<!\p{{Nd}}[ ]?[{_UNIT_OF_A_NUMBER}]\p{{Han}}?)"
    rf"(?<![\p{{Nd}}%％‰°℃℉)）\]】〕\-−–~～+.]|{_WORD_LETTER}|\p{{Nd}} )"
)
_SIGN = rf"{_NO_RANGE}[-−－﹣–+＋~～∼≈≃≅][ ]?(?<![-–+~] )"
# `>` at the end of a tag compares nothing, nor does that of an arrow.
_LARGER = r"(?<!<[!-;=?-~]{0,40})(?<![-=>])>=?"
_COMPARISON = rf"(?:(?<!<)<=?|{_LARGER}|[＜＞]＝?|[≤≥≦≧⩽⩾≮≯≪≫±∓])[ ]?"
# The look ahead keeps the rest from being tried at every character.
_SIGNED = rf"(?=[\p{{Nd}}.<>＜＞≤≥≦≧⩽⩾≮≯≪≫±∓\-−－﹣–+＋~～∼≈≃≅])(?:{_COMPARISON}[-−－+＋]?|{_SIGN})?{_NUMBER}"
# Most of a Chinese text: an ideograph that nothing can join, told without trying the rest at it.
_PLAIN_HAN = r"[㐀-䶿一-鿿](?=[㐀-䶿一-鿿，。、])"
_UNIT = regex.compile(
    rf"(?V1){_PLAIN_HAN}|{_SIGNED}"
    rf"|(?:(?<![\p{{L}}\p{{N}}\p{{M}}.])\.(?=[A-Za-z]))?(?:{_WORD_LETTER}\p{{M}}*)+|\X"
)
_IS_NUMBER = regex.compile(r"(?V1)[^\p{L}\p{N}\p{P}]{0,2}[ ]?[\p{P}\p{S}]?\.?\p{Nd}[\p{Nd}.,]*[%％‰‱]?")
_HAN = regex.compile(r"\p{Han}")
_WORD = regex.compile(r"(?V1)(?:[\p{L}--\p{Han}]\p{M}*)+")


def units(text: str) -> list[str]:
    """Cut text into its smallest spans; `"".join(units(text)) == text`."""
    found: list[str] = _UNIT.findall(text)
    return found


def unit_bounds(text: str) -> list[int]:
    """Offsets at which a span may start or end, ascending, 0 and `len(text)` included."""
    return [0, *(match.end() for match in _UNIT.finditer(text))]


def is_number(unit: str) -> bool:
    """Whether a unit is a number, its sign or comparison mark included."""
    return _IS_NUMBER.fullmatch(unit) is not None


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
