"""Reading an answer: triples in one of the forms of `triplelake.prompt.answer_form`, and nothing else.

It is read whatever form it was asked in, so that stored answers need not remember theirs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, NoReturn, TypeAlias

import regex

from triplelake.codes import Code
from triplelake.prompt.answer_form import LINES

_STRING = r'("(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*+")'
_SPACE = r"[ \t\r\n]*+"
# The grammar of JSON forms: each part (S is a string; white space may stand where there is a space, and behind), and
# which parts may follow it.
_PARTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    # Behind its bracket a line would go on with a letter or a digit (`[a]芘|…`).
    "list": (r" \[(?=[\s\[{\]])", ("array", "object", "end of list")),
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
_SPACES = (" ", "\t", "\r", "\n")
# The grammar of lines, in which space belongs to the strings. Three strings make a line when it is known to be over.
_FIELD = r'((?:[^"\\|\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))++)'
_LINE = rf"{_FIELD}\|{_FIELD}\|{_FIELD}"
_LINES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "line": (rf"{_LINE}\n", ("line", "last line", "end of lines")),
    "last line": (rf"{_LINE}\Z", ()),
    "end of lines": (r"\s*\Z", ()),
    "no line": (rf"\s*(?:{'|'.join(sorted({*LINES.none.values()}))})\s*\Z", ()),
}
_PATTERNS = {
    name: regex.compile(part.replace(" ", _SPACE).replace("S", _STRING) + _SPACE + ("" if following else r"\Z"))
    for name, (part, following) in _PARTS.items()
} | {name: regex.compile(part) for name, (part, _) in _LINES.items()}
_FOLLOWING = {name: following for name, (_, following) in (*_PARTS.items(), *_LINES.items())}
_FIRST = ("list", "groups", "line", "last line", "no line")
_AT_THE_END = frozenset(_LINES) - {"line"}
"""Parts that are none as long as the text may go on."""

_CLOSINGS = {"array": "]", "object": "]", "item": "]}}", "pair": "]}", "line": "", "last line": ""}
"""What ends an answer behind a triple."""

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
        places: of each triple, where subject, relation and object stand in the answer, without what stands around them:
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
            `not_triples` (JSON, but no list of triples; or a line that is no triple).
    """
    if not truncated and not text.strip():
        raise AnswerError(Code.EMPTY_ANSWER, "the server decoded nothing")
    reader = AnswerReader()
    reader.read(text, whole=not truncated)
    if not reader.done and not reader.may_go_on(text):
        _refuse(text, reader)
    if not reader.done and not truncated:
        raise AnswerError(Code.UNFINISHED, f"the answer ends within {_excerpt(text, reader.place)}")
    return reader.parsed


class AnswerReader:
    """Reads an answer while it comes: `read` may be called again when there is more of it.

    Attributes:
        place: where the text goes on that was not understood yet.
        ends: of each triple, where it ends and what would close the answer there.
    """

    def __init__(self) -> None:
        self.place = 0
        self.ends: list[tuple[int, str]] = []
        self._strings: list[_Strings] = []
        self._subject = self._relation = _NOTHING
        self._expected: tuple[str, ...] = _FIRST

    @property
    def done(self) -> bool:
        """Whether the answer is whole."""
        return not self._expected

    @property
    def in_lines(self) -> bool:
        """Whether a line was understood, so that the others are to be lines too."""
        return "line" in self._expected and self.place > 0

    @property
    def items(self) -> list[tuple[str, str, str]]:
        """The triples so far."""
        return [(subject.text, relation.text, obj.text) for subject, relation, obj in self._strings]

    @property
    def parsed(self) -> ParsedAnswer:
        """The triples so far, and where they stand."""
        places = tuple(
            ((subject.start, subject.end), (relation.start, relation.end), (obj.start, obj.end))
            for subject, relation, obj in self._strings
        )
        return ParsedAnswer(tuple(self.items), self.done, places)

    def may_go_on(self, text: str) -> bool:
        """Whether more text could still make it whole."""
        # Without a bar any prose could become the subject of a line.
        names = [name for name in self._expected if name != "line" or self.in_lines or LINES.bar in text]
        return any(_PATTERNS[name].fullmatch(text, self.place, partial=True) for name in names if name != "last line")

    def read(self, text: str, *, whole: bool = False) -> None:
        """Understand as much as is certain.

        Args:
            text: all of the answer so far.
            whole: there will be no more of it, so that a line without a line break is over.

        Raises:
            AnswerError: `invalid_json`.
        """
        while self._expected:
            # Space behind what was understood may have come later; in lines it belongs to what comes.
            while "line" not in self._expected and text[self.place : self.place + 1] in _SPACES:
                self.place += 1
            names = self._expected if whole else [name for name in self._expected if name not in _AT_THE_END]
            found = next(((name, read) for name in names if (read := _PATTERNS[name].match(text, self.place))), None)
            if found is None:
                return
            part, read = found
            said = [_string(read, group, quoted=part not in _LINES) for group in range(1, read.re.groups + 1)]
            match part:
                case "array" | "object" | "line" | "last line":
                    self._strings.append((said[0], said[1], said[2]))
                case "subject":
                    self._subject = said[0]
                case "relation" | "relation of pairs":
                    self._relation = said[0]
                case "item":
                    self._strings.append((self._subject, self._relation, said[0]))
                case "pair":
                    self._strings.append((said[0], self._relation, said[1]))
            self.place, self._expected = read.end(), _FOLLOWING[part]
            if part in _CLOSINGS:
                self.ends.append((said[-1].end if part in _LINES else self.place, _CLOSINGS[part]))


def _string(read: regex.Match[str], group: int, *, quoted: bool) -> _String:
    start, end = read.span(group)
    if quoted:
        return _String(_decode(read[group]), start + 1, end - 1)
    return _String(_decode(f'"{read[group]}"'), start, end)


def _refuse(text: str, reader: AnswerReader) -> NoReturn:
    place = reader.place
    if reader.in_lines:
        raise AnswerError(Code.NOT_TRIPLES, f"no line of a triple from character {place}: {_excerpt(text, place)}")
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
