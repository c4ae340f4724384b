"""What stands between two marks that belong together: titles, quotations, and brackets inside a word."""

from __future__ import annotations

from collections.abc import Sequence

import regex

_CLOSER = {
    **{"《": "》", "〈": "〉", "“": "”", "「": "」", "『": "』", "(": ")", "（": "）", "〔": "〕", "[": "]"},
    **{"【": "】", "〖": "〗", "<": ">》"},
}
TITLE_MARKS = frozenset("《〈")
QUOTATION_MARKS = frozenset("“「『")
STRAIGHT = '"'
_HAN = regex.compile(r"\p{Han}")
_ROUND = frozenset("(（〔")
_CLOSERS = frozenset("".join(_CLOSER.values()))

# Without these a text is its own JSON and cannot spell a control token, whatever else it holds.
_UNSAFE = regex.compile(r'["\\<>|\[\]{}＜＞｜\p{Cc}\p{Cs}\p{Zl}\p{Zp}]')
# In square brackets stand locants and ring fusions (`苯并[a]芘`), which no control token looks like.
_LOCANTS = regex.compile(r"(?=.*[A-Za-z.])(?:[A-Za-z](?![A-Za-z])|[\d,.'′-])+")
_LOCANT_BRACKETS = regex.compile(rf"\[{_LOCANTS.pattern.replace('.*', '[^]]*')}\]")


def pairs(pieces: Sequence[str]) -> dict[int, int]:
    """Where each opening mark that is closed is closed; pairs nest and do not go over a line end."""
    closed: dict[int, int] = {}
    open_: list[int] = []
    for at, unit in enumerate(pieces):
        if unit == STRAIGHT:
            # It closes what the last one opened; one after a letter or a digit (5") opens nothing.
            opened = next((depth for depth, start in enumerate(open_) if pieces[start] == STRAIGHT), None)
            if opened is not None:
                closed[open_[opened]] = at
                del open_[opened:]
            elif at == 0 or not pieces[at - 1][-1].isalnum() or _HAN.match(pieces[at - 1]):
                open_.append(at)
        elif unit in _CLOSER:
            open_.append(at)
        elif unit in _CLOSERS:
            for depth in range(len(open_) - 1, -1, -1):
                if unit in _CLOSER.get(pieces[open_[depth]], ""):
                    closed[open_[depth]] = at
                    del open_[depth:]
                    break
        elif unit[0] in "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029":
            open_.clear()
    return closed


def is_safe(text: str) -> bool:
    """Whether nothing of a text could end a string of JSON or spell a control token."""
    return not _UNSAFE.search(text)


def is_bracketed(mark: str, content: str) -> bool:
    """Whether what stands between round or square brackets may belong to a word."""
    if mark == "[":
        return _LOCANTS.fullmatch(content) is not None
    plain = _LOCANT_BRACKETS.sub("", content)
    return mark in _ROUND and is_safe(plain) and content == content.strip() != ""


def unmarked(surface: str) -> str:
    """A title without the marks around it, where these enclose all of it."""
    if len(surface) > 2 and surface[0] in TITLE_MARKS and surface[-1] == _CLOSER[surface[0]]:
        inner = surface[1:-1]
        if surface[0] not in inner and surface[-1] not in inner and inner.strip() == inner:
            return inner
    return surface
