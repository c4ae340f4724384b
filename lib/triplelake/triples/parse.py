"""Reading an answer: `[["subject","relation","object"],…]` or the same as objects, and nothing else.

It is read whatever form it was asked in, so that stored answers need not remember theirs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import NoReturn

import regex

from triplelake.codes import Code

_STRING = r'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*+"'
_SPACE = r"[ \t\r\n]*+"
_OPENING = regex.compile(rf"{_SPACE}\[{_SPACE}")
_SEPARATOR = f"{_SPACE},{_SPACE}"
_ARRAY = regex.compile(rf"\[{_SPACE}({_STRING}){_SEPARATOR}({_STRING}){_SEPARATOR}({_STRING}){_SPACE}\]{_SPACE}")
_MEMBERS = _SEPARATOR.join(rf'"{key}"{_SPACE}:{_SPACE}({_STRING})' for key in ("subject", "relation", "object"))
_OBJECT = regex.compile(rf"\{{{_SPACE}{_MEMBERS}{_SPACE}\}}{_SPACE}")
_COMMA = regex.compile(rf",{_SPACE}")
_CLOSING = regex.compile(rf"\]{_SPACE}\Z")
# What may come after each part: the grammar of both forms.
_FOLLOWING = {
    _OPENING: (_ARRAY, _OBJECT, _CLOSING),
    _ARRAY: (_COMMA, _CLOSING),
    _OBJECT: (_COMMA, _CLOSING),
    _COMMA: (_ARRAY, _OBJECT),
}
_SURROGATE = regex.compile(r"[\uD800-\uDFFF]")


class AnswerError(Exception):
    """An answer that cannot be used as it is; the request is then asked again or fails with the code.

    Args:
        code: `empty_answer`, `invalid_json`, `not_triples`, `unfinished`, `ungrounded`, `unknown_predicate`.
        message: what is wrong and where, for a person.
    """

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


@dataclass(frozen=True, slots=True)
class ParsedAnswer:
    """The triples of an answer, as written; `complete` is False where its tail was cut off."""

    items: tuple[tuple[str, str, str], ...]
    complete: bool


def parse_answer(text: str, *, truncated: bool) -> ParsedAnswer:
    """Read an answer.

    Args:
        text: the decoded text; white space around it does not matter.
        truncated: the server stopped before the answer ended. Only then may the answer end early,
            and only where more text could still make it whole; the whole triples before are kept.

    Raises:
        AnswerError: `empty_answer`, `unfinished` (ends early although not truncated), `invalid_json`,
            `not_triples` (JSON, but no list of triples).
    """
    if not truncated and not text.strip():
        raise AnswerError(Code.EMPTY_ANSWER, "the server decoded nothing")
    items: list[tuple[str, str, str]] = []
    place = 0
    expected: tuple[regex.Pattern[str], ...] = (_OPENING,)
    while match := next((found for part in expected if (found := part.match(text, place))), None):
        if match.re is _CLOSING:
            return ParsedAnswer(tuple(items), complete=True)
        if match.re in (_ARRAY, _OBJECT):
            items.append((_decode(match[1]), _decode(match[2]), _decode(match[3])))
        place, expected = match.end(), _FOLLOWING[match.re]
    if not any(part.fullmatch(text, place, partial=True) for part in expected):
        _refuse(text, place)
    if not truncated:
        raise AnswerError(Code.UNFINISHED, f"the answer ends within {_excerpt(text, place)}")
    return ParsedAnswer(tuple(items), complete=False)


def _refuse(text: str, place: int) -> NoReturn:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        raise AnswerError(Code.INVALID_JSON, f"not JSON from character {place}: {_excerpt(text, place)}") from None
    raise AnswerError(Code.NOT_TRIPLES, f"JSON, but no list of triples: {_excerpt(text, place)}")


def _decode(literal: str) -> str:
    value: str = json.loads(literal)
    if _SURROGATE.search(value):
        raise AnswerError(Code.INVALID_JSON, f"half of a surrogate pair in {_excerpt(literal, 0)}")
    return value


def _excerpt(text: str, place: int) -> str:
    return repr(text[place : place + 40])
