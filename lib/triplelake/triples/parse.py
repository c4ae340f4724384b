"""Reading an answer: triples in one of the forms of `triplelake.prompt.answer_form`, and nothing else.

It is read whatever form it was asked in, so that stored answers need not remember theirs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, NoReturn, TypeAlias

import regex

from triplelake.codes import Code

_STRING = r'("(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*+")'
_SPACE = r"[ \t\r\n]*+"
# The grammar of all forms: each part (S is a string; white space may stand where there is a space, and behind), and
# which parts may follow it.
_PARTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "list": (r" \[", ("array", "object", "end of list")),
    "array": (r"\[ S , S , S \]", ("next", "end of list")),
    "object": (r'\{ "subject" : S , "relation" : S , "object" : S \}', ("next", "end of list")),
    "next": (r",", ("array", "object")),
    "end of list": (r"\]", ()),
    "groups": (r" \{", ("subject", "relation of pairs", "end of groups")),
    "end of groups": (r"\}", ()),
    # {"subject":{"relation":["object","object"],"relation":["object"]},"subject":…}
    "subject": (r"S : \{", ("relation",)),
    "relation": (r"S : \[", ("item",)),
    "item": (r"S", ("next item", "end of items")),
    "next item": (r",", ("item",)),
    "end of items": (r"\]", ("next relation", "end of subject")),
    "next relation": (r",", ("relation",)),
    "end of subject": (r"\}", ("next subject", "end of groups")),
    "next subject": (r",", ("subject",)),
    # {"relation":[["subject","object"],["subject","object"]],"relation":…}
    "relation of pairs": (r"S : \[", ("pair",)),
    "pair": (r"\[ S , S \]", ("next pair", "end of pairs")),
    "next pair": (r",", ("pair",)),
    "end of pairs": (r"\]", ("next relation of pairs", "end of groups")),
    "next relation of pairs": (r",", ("relation of pairs",)),
}
_PATTERNS = {
    name: regex.compile(part.replace(" ", _SPACE).replace("S", _STRING) + _SPACE + ("" if following else r"\Z"))
    for name, (part, following) in _PARTS.items()
}
_FIRST = ("list", "groups")
_SURROGATE = regex.compile(r"[\uD800-\uDFFF]")


Place: TypeAlias = tuple[int, int]


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
    """The triples of an answer, as written.

    Args:
        complete: False where the answer's tail was cut off.
        places: of each triple, where subject, relation and object stand in the answer, without their quotation marks:
            `[start, end)` in characters. Triples of one group share what is said once.
    """

    items: tuple[tuple[str, str, str], ...]
    complete: bool
    places: tuple[tuple[Place, Place, Place], ...]


class _String(NamedTuple):
    """A string of an answer and where it stands there."""

    text: str
    start: int
    end: int


_Strings: TypeAlias = tuple[_String, _String, _String]
_NOTHING = _String("", 0, 0)


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
    strings: list[_Strings] = []
    subject = relation = _NOTHING
    place = 0
    expected: tuple[str, ...] = _FIRST
    while expected:
        found = next(((name, read) for name in expected if (read := _PATTERNS[name].match(text, place))), None)
        if found is None:
            break
        part, read = found
        said = [
            _String(_decode(read[group]), read.start(group) + 1, read.end(group) - 1)
            for group in range(1, read.re.groups + 1)
        ]
        match part:
            case "array" | "object":
                strings.append((said[0], said[1], said[2]))
            case "subject":
                subject = said[0]
            case "relation" | "relation of pairs":
                relation = said[0]
            case "item":
                strings.append((subject, relation, said[0]))
            case "pair":
                strings.append((said[0], relation, said[1]))
        place, expected = read.end(), _PARTS[part][1]
    else:
        return _parsed(strings, complete=True)
    if not any(_PATTERNS[name].fullmatch(text, place, partial=True) for name in expected):
        _refuse(text, place)
    if not truncated:
        raise AnswerError(Code.UNFINISHED, f"the answer ends within {_excerpt(text, place)}")
    return _parsed(strings, complete=False)


def _parsed(strings: Sequence[_Strings], *, complete: bool) -> ParsedAnswer:
    items = tuple((subject.text, relation.text, obj.text) for subject, relation, obj in strings)
    places = tuple(
        ((subject.start, subject.end), (relation.start, relation.end), (obj.start, obj.end))
        for subject, relation, obj in strings
    )
    return ParsedAnswer(items, complete, places)


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
