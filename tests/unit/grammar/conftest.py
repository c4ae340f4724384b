"""What grammars are checked with: a reader of GBNF, and all entities of a request found the long way."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from triplelake.prompt.grammar.spans import kinds, rows
from triplelake.readings import readings
from triplelake.text import units
from triplelake.types import Request

Known = dict[tuple[str, int], set[int]]
"""Where the texts of a rule that begin at an offset end."""


@dataclass(frozen=True)
class Piece:
    """A part of a sequence, `least` to `most` times: a literal, a class of characters, a rule or a group."""

    kind: str
    value: str | list[list[Piece]] | tuple[bool, list[tuple[int, int]]]
    least: int = 1
    most: int = 1


@dataclass
class Gbnf:
    """A grammar, read from its text.

    The reader goes by llama.cpp's own (`src/llama-grammar.cpp`): a line break ends a rule, except after `::=`, after
    `|` and inside parentheses.
    """

    source: str
    rules: dict[str, list[list[Piece]]] = field(default_factory=dict)
    at: int = 0

    def __post_init__(self) -> None:
        assert "\0" not in self.source
        self._space(True)
        while self.at < len(self.source):
            name = self._name()
            self._space(False)
            self._expect("::=")
            self._space(True)
            assert name not in self.rules, f"two rules {name}"
            self.rules[name] = self._alternatives(nested=False)
            assert self.at == len(self.source) or self.source[self.at] == "\n", self.source[self.at :][:40]
            self._space(True)
        named = {piece.value for ways in self.rules.values() for piece in _all_pieces(ways) if piece.kind == "rule"}
        assert named <= self.rules.keys()
        assert self.rules.keys() - named == {"root"}, "a rule that nothing uses"

    def sample(self, rng: random.Random) -> str:
        """A random text of the grammar."""
        return self._sample_ways(self.rules["root"], rng)

    def admits(self, text: str) -> bool:
        """Whether the whole text is of the grammar."""
        return len(text) in self._ends_of_rule("root", text, 0, {})

    def language(self, name: str) -> set[str]:
        """All texts of a rule without classes and repetitions."""
        return {text for way in self.rules[name] for text in self._language_of(way)}

    def _language_of(self, way: list[Piece]) -> set[str]:
        texts = {""}
        for piece in way:
            more = {str(piece.value)} if piece.kind == "text" else self.language(str(piece.value))
            texts = {begun + ended for begun in texts for ended in more}
        return texts

    def _sample_ways(self, ways: list[list[Piece]], rng: random.Random) -> str:
        return "".join(
            self._sample_piece(piece, rng)
            for piece in rng.choice(ways)
            for _ in range(rng.randint(piece.least, piece.most))
        )

    def _sample_piece(self, piece: Piece, rng: random.Random) -> str:
        match piece.kind, piece.value:
            case "text", str(text):
                return text
            case "rule", str(name):
                return self._sample_ways(self.rules[name], rng)
            case "group", list(ways):
                return self._sample_ways(ways, rng)
            case _:
                assert isinstance(piece.value, tuple)
                negated, ranges = piece.value
                if not negated:
                    return chr(rng.randint(*rng.choice(ranges)))
                while any(
                    low <= (code := rng.choice((rng.randint(0, 0x2FF), 0x4E00, 0x1F600))) <= high
                    for low, high in ranges
                ):
                    pass
                return chr(code)

    def _ends_of_rule(self, name: str, text: str, start: int, known: Known) -> set[int]:
        key = (name, start)
        if key not in known:
            known[key] = self._ends_of_ways(self.rules[name], text, start, known)
        return known[key]

    def _ends_of_ways(self, ways: list[list[Piece]], text: str, start: int, known: Known) -> set[int]:
        found: set[int] = set()
        for way in ways:
            here = {start}
            for piece in way:
                reached = here if piece.least == 0 else set()
                for turn in range(1, piece.most + 1):
                    here = {end for at in here for end in self._ends_of_piece(piece, text, at, known)}
                    if turn >= piece.least:
                        reached = reached | here
                    if not here:
                        break
                here = reached
            found |= here
        return found

    def _ends_of_piece(self, piece: Piece, text: str, at: int, known: Known) -> set[int]:
        match piece.kind, piece.value:
            case "text", str(literal):
                return {at + len(literal)} if text.startswith(literal, at) else set()
            case "rule", str(name):
                return self._ends_of_rule(name, text, at, known)
            case "group", list(ways):
                return self._ends_of_ways(ways, text, at, known)
            case _:
                assert isinstance(piece.value, tuple)
                negated, ranges = piece.value
                inside = at < len(text) and _in_ranges(ord(text[at]), ranges)
                return {at + 1} if at < len(text) and inside != negated else set()

    def _alternatives(self, nested: bool) -> list[list[Piece]]:
        ways = [self._sequence(nested)]
        while self.source.startswith("|", self.at):
            self.at += 1
            self._space(True)
            ways.append(self._sequence(nested))
        return ways

    def _sequence(self, nested: bool) -> list[Piece]:
        pieces: list[Piece] = []
        while self.at < len(self.source):
            char = self.source[self.at]
            if char == '"':
                self.at += 1
                pieces.append(Piece("text", "".join(self._chars('"'))))
            elif char == "[":
                self.at += 1
                pieces.append(Piece("class", self._class()))
            elif char == "(":
                self.at += 1
                self._space(True)
                ways = self._alternatives(nested=True)
                self._expect(")")
                pieces.append(Piece("group", ways))
            elif char.isascii() and (char.isalnum() or char == "-"):
                pieces.append(Piece("rule", self._name()))
            elif char in "?{":
                least, most = self._repetition()
                pieces[-1] = Piece(pieces[-1].kind, pieces[-1].value, least, most)
            else:
                break
            self._space(nested)
        return pieces

    def _repetition(self) -> tuple[int, int]:
        if self.source[self.at] == "?":
            self.at += 1
            return 0, 1
        end = self.source.index("}", self.at)
        least, most = map(int, self.source[self.at + 1 : end].split(","))
        self.at = end + 1
        return least, most

    def _class(self) -> tuple[bool, list[tuple[int, int]]]:
        negated = self.source[self.at] == "^"
        self.at += negated
        ranges = []
        while self.source[self.at] != "]":
            low = high = ord(self._char())
            if self.source[self.at] == "-" and self.source[self.at + 1] != "]":
                self.at += 1
                high = ord(self._char())
            ranges.append((low, high))
        self.at += 1
        return negated, ranges

    def _chars(self, end: str) -> list[str]:
        chars = []
        while self.source[self.at] != end:
            chars.append(self._char())
        self.at += 1
        return chars

    def _char(self) -> str:
        char = self.source[self.at]
        self.at += 1
        if char != "\\":
            return char
        escape = self.source[self.at]
        self.at += 1
        digits = {"x": 2, "u": 4, "U": 8}.get(escape, 0)
        if digits:
            self.at += digits
            return chr(int(self.source[self.at - digits : self.at], 16))
        assert escape in '\\"[]tnr', f"unknown escape \\{escape}"
        return {"t": "\t", "n": "\n", "r": "\r"}.get(escape, escape)

    def _name(self) -> str:
        found = re.compile("[a-zA-Z0-9-]+").match(self.source, self.at)
        assert found, f"expecting a name at {self.source[self.at :][:40]!r}"
        self.at = found.end()
        return found.group()

    def _space(self, newlines: bool) -> None:
        while self.at < len(self.source) and self.source[self.at] in (" \t\r\n#" if newlines else " \t#"):
            if self.source[self.at] == "#":
                self.at = self.source.index("\n", self.at)
            else:
                self.at += 1

    def _expect(self, text: str) -> None:
        assert self.source.startswith(text, self.at), f"expecting {text} at {self.source[self.at :][:40]!r}"
        self.at += len(text)


def _in_ranges(code: int, ranges: list[tuple[int, int]]) -> bool:
    return any(low <= code <= high for low, high in ranges)


def _all_pieces(ways: list[list[Piece]]) -> list[Piece]:
    found = []
    for way in ways:
        for piece in way:
            found.append(piece)
            if isinstance(piece.value, list):
                found += _all_pieces(piece.value)
    return found


@pytest.fixture(scope="session")
def read_gbnf() -> type[Gbnf]:
    """`read_gbnf(grammar)` reads a grammar; the result has `sample`, `admits` and `language`."""
    return Gbnf


@pytest.fixture(scope="session")
def entities_of() -> Callable[[Request, int], set[str]]:
    """`entities_of(request, max_chars)`: every entity that the rules of `spans` allow, by trying all spans."""

    def entities(request: Request, max_chars: int) -> set[str]:
        found = set()
        for reading in readings(request).values():
            pieces = units(reading.text)
            ends = {"cut_start": reading.cut_start, "cut_end": reading.cut_end}
            places = rows(pieces, kinds(pieces), max_chars, quoted=True, **ends)
            for start, first in enumerate(places):
                surface = ""
                for last in places[start:] if first.begins else ():
                    if last.text is None or len(surface + last.text) > max_chars:
                        break
                    surface += last.text
                    if last.ends:
                        found.add(surface)
        return found

    return entities
