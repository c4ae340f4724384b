"""One form for each character that is written in several: what makes two writings of a name one key.

The forms of Han characters come from OpenCC, character by character: its phrases turn 鍾 into 钟 in one name
and into 锺 in another, so a key made of them depends on what stands beside a character.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import chain

import opencc
import regex

_INVISIBLE = regex.compile(r"(?V1)[[\p{Default_Ignorable_Code_Point}\p{Cc}\uFFF9-\uFFFC]--\s]+")
"""What shows nothing and parts no words. White space stays, since it parts them."""

# NFKC would make these something else: a space with an accent, two single marks.
_BEFORE_NFKC = {"´": "'", "″": '"', "‶": '"'}

_MARKS: Mapping[str, str] = {
    "·": "•∙⋅・‧⸱ꞏ",
    "'": "‘’‚‛′‵`ʹʻʼˈꞌ",
    '"': "“”„‟「」『』",
    "-": "‐‒–—―−⁃˗",
    "~": "〜∼",
    ":": "∶",
    "〇": "○◯",
}
"""Marks that people type for one another, by the one that stands for all. NFKC has folded widths before."""

_RADICALS = (
    "⺁厂⺇几⺒巳⺝月⺠民⺬示⺯糸⺸羊⺻聿⺼月⻁虎⻄西⻅见⻆角⻉贝⻋车⻑長⻒長⻓长⻔门⻘青⻙韦⻚页⻛风⻜飞⻝食⻞食"
    "⻢马⻣骨⻤鬼⻥鱼⻦鸟⻧卤⻨麦⻩黄⻪黾⻬齐⻮齿⻰龙⻱龜"
)
"""Radicals that text taken out of a PDF holds instead of the characters, each before its character.

NFKC leaves them as they are, other than those of Kangxi.
"""

_HAN_RANGES = (range(0x3005, 0xD800), range(0xF900, 0xFB00), range(0x20000, 0x32400))
_VARIANTS = ("tw2t", "hk2t", "t2s")

_JOINED = ("钟锺", "了瞭", "借藉", "复覆", "沉沈", "划画", "里哩", "巨钜", "径迳", "苏甦", "具俱", "仿彷", "余馀")
_JOINED_TOO = ("宁甯", "咨谘", "托讬", "线缐", "面麺", "曲麹", "恶𫫇")
"""Characters that are one in some words, and of which no two names are known that differ by them alone.

OpenCC tells them apart by phrases (瞭解 is 了解, 瞭望 is 瞭望; 計畫 is 计划, 動畫 is 动画), which a name is seldom in.
Left apart, because both are parts of names of their own: 炼 and 链 (項鍊), 坏 and 坯, 哲 and 喆, 坤 and 堃, 像 and 象.
"""


def visible(text: str) -> str:
    """A text without what nobody sees: default-ignorable code points and control characters.

    So an emoji is the same with and without a variation selector, a family joined by U+200D the same as its
    members side by side, and the flags made of tags (England, Scotland, Wales) are all the black flag.
    """
    return _INVISIBLE.sub("", text)


def visible_places(text: str) -> list[int]:
    """The offsets of the characters that `visible` leaves, and the text's length."""
    places: list[int] = []
    end = 0
    for match in _INVISIBLE.finditer(text):
        places.extend(range(end, match.start()))
        end = match.end()
    return [*places, *range(end, len(text)), len(text)]


def typed(text: str) -> str:
    """A text with those marks replaced that NFKC would take apart."""
    for mark, plain in _BEFORE_NFKC.items():
        text = text.replace(mark, plain)
    return text


@cache
def character_forms() -> Mapping[str, str]:
    """The form that stands for a character, for every character that is not its own form.

    A character and what OpenCC makes of it alone, from the forms of Taiwan and Hong Kong and from Traditional to
    Simplified, are one; so are those joined through a third. Simplified, and the most common, stands for all.
    """
    han = regex.findall(r"\p{Han}", "".join(map(chr, _code_points())))
    alone = "\n".join(han)
    made = {config: zip(han, opencc.OpenCC(config).convert(alone).split("\n"), strict=True) for config in _VARIANTS}
    changed = {config: {one: other for one, other in pairs if one != other} for config, pairs in made.items()}
    joined = [(pair[1], pair[0]) for pair in (*_JOINED, *_JOINED_TOO)]
    seldom = {*changed["t2s"], *(one for one, _ in joined)}
    forms: dict[str, str] = {}
    for group in _groups(chain(*(pairs.items() for pairs in changed.values()), joined)):
        first = min(group, key=lambda each: (each in seldom, not _is_common(each), each))
        forms |= {each: first for each in group if each != first}
    for mark, others in _MARKS.items():
        forms |= dict.fromkeys(others, mark)
    for radical, character in zip(_RADICALS[::2], _RADICALS[1::2], strict=True):
        forms[radical] = forms.get(character, character)
    return forms


@cache
def forms_digest() -> str:
    """Hash of all forms: another version of OpenCC may have others, and then entities have other ids."""
    return hashlib.sha256(repr(sorted(character_forms().items())).encode()).hexdigest()


def _code_points() -> Iterable[int]:
    return (code for each in _HAN_RANGES for code in each)


def _groups(pairs: Iterable[tuple[str, str]]) -> Iterable[set[str]]:
    """The characters that pairs connect, directly or through others."""
    group_of: dict[str, set[str]] = {}
    for one, other in pairs:
        group = group_of.get(one, {one}) | group_of.get(other, {other})
        group_of |= dict.fromkeys(group, group)
    return {id(group): group for group in group_of.values()}.values()


def _is_common(character: str) -> bool:
    """Whether the smallest set of Simplified characters has it."""
    try:
        return bool(character.encode("gb2312"))
    except UnicodeEncodeError:
        return False
