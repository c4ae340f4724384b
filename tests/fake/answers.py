"""Answers made from the text asked about, always the same, and such as the grammar admits.

A question is found by the label of its text line. Its answer relates two-character Chinese words, or words with a
capital, of the text by relations that the grammar names. A grammar that is one literal is answered with it; without a
grammar, or with one that is neither, the answer is prose up to the limit.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import regex

from fake.tokens import tokenize

LLGUIDANCE = "%llguidance {}"
"""What a grammar for llguidance begins with."""

_WORD = regex.compile(r"\p{Han}{2}(?!\p{M})|(?<![\p{L}\p{M}])\p{Lu}\p{Ll}{1,30}(?![\p{L}\p{M}])")
_TRIPLES_MAX = 3
_SMALL = 2_000
_LITERAL = r'"(?:[^"\\]|\\.)*"'
_ONLY_LITERALS = re.compile(rf"(?:root\s*::=|start\s*:)((?:\s*{_LITERAL}(?:\{{\d+,\d+\}})?)+)\s*")
_ONE_LITERAL = re.compile(rf"({_LITERAL})(?:\{{\d+,(\d+)\}})?")
_PREDICATES = re.compile(r"^[pP](\d+)(?: ::= |: \()(.*)$", re.MULTILINE)
_OBJECTS = re.compile(r"^[oO](\d+)(?: ::= |: )(.*)$", re.MULTILINE)
_MORE = re.compile(r'\("," triple\)\{0,(\d+)\}')
_FREE = {True: "is related to", False: "相关"}


@dataclass(frozen=True, slots=True)
class Branch:
    """Predicates of a grammar, JSON-escaped as they stand there, and their only objects, if it names them."""

    predicates: tuple[str, ...]
    objects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """What one of the project's grammars admits, besides its entities."""

    branches: tuple[Branch, ...]
    most_triples: int
    is_objects: bool

    def triple(self, subject: str, predicate: str, object_: str) -> str:
        """A triple as the grammar writes it; the predicate is escaped already."""
        if self.is_objects:
            return f'{{"subject":"{subject}","relation":"{predicate}","object":"{object_}"}}'
        return f'["{subject}","{predicate}","{object_}"]'


def text_asked(prompt: str, labels: Sequence[str]) -> str | None:
    """The text that a prompt asks about: the last line that begins with a label, to its end or that of the turn.

    None if there is none.
    """
    found, label = max((prompt.rfind("\n" + label), label) for label in labels)
    if found < 0:
        return None
    return re.split(r"\n|<\|im_end\|>", prompt[found + 1 + len(label) :], maxsplit=1)[0]


def answer(prompt: str, text: str | None, grammar: str, *, most_tokens: int) -> tuple[str, bool]:
    """The answer, and whether it ends by itself.

    Args:
        text: what the prompt asks about; None for a prompt without a question.
        grammar: empty for none.
        most_tokens: of an answer that would not end, no more is needed.
    """
    literal = _literal(grammar, most_tokens) if len(grammar) <= _SMALL else None
    if literal is not None:
        return literal, True
    found = frame(grammar)
    if text is None or found is None:
        return prose(prompt, most_tokens), False
    return triples(text, found), True


def triples(text: str, found: Frame) -> str:
    """An answer to a text, in compact JSON."""
    words = [*dict.fromkeys(_WORD.findall(text))]
    if len(words) < 2:
        return "[]"
    seed = zlib.crc32(text.encode())
    subject = words[seed % len(words)]
    said: list[str] = []
    for turn in range(min(_TRIPLES_MAX, found.most_triples, len(words) - 1)):
        branch = found.branches[(seed + turn) % len(found.branches)]
        predicate = branch.predicates[(seed >> 8) % len(branch.predicates)]
        others = branch.objects or words
        object_ = others[(seed + turn + 1) % len(others)]
        if object_.casefold() != subject.casefold():
            said.append(found.triple(subject, predicate, object_))
    return f"[{','.join(dict.fromkeys(said))}]"


def prose(prompt: str, tokens: int) -> str:
    """So many tokens of text without any form; the same for the same prompt."""
    seed = zlib.crc32(prompt.encode())
    return "".join(f" a{(seed + place) % 90 + 10}" for place in range(tokens))


def frame(grammar: str) -> Frame | None:
    """What one of the project's grammars admits; None for another grammar."""
    # Its rules stand before those of the entities, which may be long.
    ends = [at for mark in ("\ne0 ::=", "\nE: ") if (at := grammar.find(mark)) >= 0]
    return _frame(grammar[: min(ends)]) if ends else None


@lru_cache(maxsize=4096)
def _frame(rules: str) -> Frame | None:
    objects = {number: _literals(names, rules) for number, names in _OBJECTS.findall(rules)}
    found = []
    for number, names in _PREDICATES.findall(rules):
        # In llguidance the rule ends with what parts predicate and object.
        names = names.rpartition(') "')[0] or names
        predicates = _literals(names, rules) if names.startswith('"') else (_FREE["A-Z" in names],)
        found.append(Branch(predicates, objects.get(number, ())))
    more = _MORE.search(rules)
    is_objects = r"{\"subject\":" in rules
    return Frame(tuple(found), 1 + int(more.group(1)) if more else 1, is_objects) if found else None


def _literals(names: str, rules: str) -> tuple[str, ...]:
    return tuple(_unquoted(name, rules) for name in re.findall(_LITERAL, names))


def _unquoted(literal: str, rules: str) -> str:
    if rules.startswith(LLGUIDANCE):
        return str(json.loads(literal))
    return re.sub(r"\\(.)", r"\1", literal[1:-1])


def refused(grammar: str, *, llguidance: bool) -> bool:
    """Whether a server answers 400: an engine that it lacks, or GBNF with an open literal or a rule that is not there.

    Only small grammars are read; llguidance refuses none and then does not constrain.
    """
    if grammar.startswith(LLGUIDANCE):
        return not llguidance
    if "root" not in grammar or "::=" not in grammar:
        return True
    if len(grammar) > _SMALL:
        return False
    bare = re.sub(rf"{_LITERAL}|\[(?:[^\]\\]|\\.)*\]|\{{[\d,]*\}}", " ", grammar)
    rules = set(re.findall(r"^\s*([\w-]+)\s*::=", bare, re.MULTILINE))
    return '"' in bare or not set(re.findall(r"[A-Za-z][\w-]*", bare)) <= rules


def _literal(grammar: str, most_tokens: int) -> str | None:
    """The text of a grammar that admits one, or as many of one character as it admits and are asked for."""
    match = _ONLY_LITERALS.fullmatch(grammar.removeprefix(LLGUIDANCE).strip())
    if match is None:
        return None
    said = ""
    for literal, most in _ONE_LITERAL.findall(match.group(1)):
        said += _unquoted(literal, grammar) * min(int(most or 1), 4 * most_tokens)
    return said


def predicted(content: str) -> int:
    """Tokens of an answer."""
    return len(tokenize(content, special=False))
