"""Answers made from the text asked about, always the same, and such as the grammar admits.

A question is found by the label of its text line, with the lines of title and context above it. Its answer relates
two-character Chinese words, or words with a capital, by relations that the grammar names: the subject is of the text,
and where title or context have words of their own, the first object is one of them, if the grammar lets it be any. A
grammar that is one literal is answered with it; without a
grammar, or with one that is neither, the answer is prose up to the limit.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile

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
_PREDICATES = re.compile(r"^[pP](\d+)(?: ::= |: )(.*)$", re.MULTILINE)
_MEMBERS = re.compile(rf"^m\d+(?: ::= |: )({_LITERAL}) items(\d+) ", re.MULTILINE)
_OBJECTS = re.compile(r"^[oO](\d+)(?: ::= |: )(.*)$", re.MULTILINE)
_MORE = re.compile(r'" [\w" ,\\\]\[]+\)\{0,(\d+)\}')
"""How often a grammar lets triples, groups or items go on, the first that is there."""
_FORMS = {
    "objects": r"{\"subject\":",
    "subjects": '"\\":{"',
    "relations": '\\":[[\\"',
    "lines": ' "|" tail',
    "arrays": "",
}
"""What tells a form in a grammar, the first that is there."""
_LINES = re.compile(rf"^(?:root ::=|start:) \(.* \| ({_LITERAL})\)(?: ({_LITERAL}))?$", re.MULTILINE)
"""Of lines: the word for none, and what stands behind an answer."""
_TRIPLE = {"arrays": '["%s","%s","%s"]', "objects": '{"subject":"%s","relation":"%s","object":"%s"}'}
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
    form: str
    none: str = ""
    end: str = ""

    @property
    def empty(self) -> str:
        if self.form == "lines":
            return self.none + self.end
        return "{}" if self.form in ("subjects", "relations") else "[]"

    def write(self, said: Sequence[tuple[str, str, str]]) -> str:
        """An answer as the grammar writes it; predicates are escaped already."""
        if self.form == "lines":
            return "\n".join(map("|".join, said)) + self.end if said else self.empty
        if self.form in _TRIPLE:
            return "[" + ",".join(_TRIPLE[self.form] % each for each in said) + "]"
        items: dict[str, list[str]] = {name: [] for branch in self.branches for name in branch.predicates}
        for subject, predicate, object_ in said:
            items[predicate].append(f'"{object_}"' if self.form == "subjects" else f'["{subject}","{object_}"]')
        relations = "{" + ",".join(f'"{name}":[{",".join(found)}]' for name, found in items.items() if found) + "}"
        return f'{{"{said[0][0]}":{relations}}}' if self.form == "subjects" and said else relations


@dataclass(frozen=True, slots=True)
class Question:
    """What a prompt asks about: a text, and the lines of title and context above it."""

    text: str
    above: tuple[str, ...] = ()


def question_asked(prompt: str, labels: Sequence[str], labels_above: Sequence[str]) -> Question | None:
    """The question of a prompt: the last line that begins with a label, to its end or that of the turn.

    None if there is none.

    Args:
        labels: what a text's line begins with.
        labels_above: what the lines of title and context begin with.
    """
    found, label = max((prompt.rfind("\n" + label), label) for label in labels)
    if found < 0:
        return None
    text = re.split(r"\n|<\|im_end\|>", prompt[found + 1 + len(label) :], maxsplit=1)[0]
    lines = reversed(prompt[:found].split("\n"))
    own = takewhile(lambda line: line.startswith(tuple(labels_above)), lines)
    return Question(text, tuple(line[len(_label(line, labels_above)) :] for line in own))


def _label(line: str, labels: Sequence[str]) -> str:
    return next(label for label in labels if line.startswith(label))


def answer(prompt: str, question: Question | None, grammar: str, *, most_tokens: int) -> tuple[str, bool]:
    """The answer, and whether it ends by itself.

    Args:
        question: what the prompt asks about; None for a prompt without one.
        grammar: empty for none.
        most_tokens: of an answer that would not end, no more is needed.
    """
    literal = _literal(grammar, most_tokens) if len(grammar) <= _SMALL else None
    if literal is not None:
        return literal, True
    found = frame(grammar)
    if question is None or found is None:
        return prose(prompt, most_tokens), False
    return triples(question, found), True


def triples(question: Question, found: Frame) -> str:
    """An answer to a question, as the grammar writes it."""
    words = [*dict.fromkeys(_WORD.findall(question.text))]
    above = [word for line in question.above for word in _WORD.findall(line) if word not in question.text]
    if not words or len(words) + len(above) < 2:
        return found.empty
    seed = zlib.crc32(question.text.encode())
    subject = words[seed % len(words)]
    said: list[tuple[str, str, str]] = []
    for turn in range(min(_TRIPLES_MAX, found.most_triples, len(words) + len(above) - 1)):
        branch = found.branches[(seed + turn) % len(found.branches)]
        predicate = branch.predicates[(seed >> 8) % len(branch.predicates)]
        others = branch.objects or ((above or words) if turn == 0 else words)
        object_ = others[(seed + turn + 1) % len(others)]
        if object_.casefold() != subject.casefold():
            said.append((subject, predicate, object_))
    return found.write(list(dict.fromkeys(said)))


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
    members = [
        Branch((_unquoted(literal, rules)[1:].rpartition('":[')[0],), objects.get(number, ()))
        for literal, number in _MEMBERS.findall(rules)
    ]
    for number, names in _PREDICATES.findall(rules):
        # The rule ends, and in a group begins, with what stands around the predicate.
        names = names[names.index("(") + 1 : names.rindex(")")]
        predicates = _literals(names, rules) if names.startswith('"') else (_FREE["A-Z" in names],)
        members.append(Branch(predicates, objects.get(number, ())))
    more = _MORE.search(rules)
    form = next(name for name, mark in _FORMS.items() if mark in rules)
    lines = _LINES.search(rules) if form == "lines" else None
    around = [_unquoted(literal, rules) for literal in lines.groups(default='""')] if lines else []
    return Frame(tuple(members), 1 + int(more.group(1)) if more else 1, form, *around) if members else None


def _literals(names: str, rules: str) -> tuple[str, ...]:
    return tuple(_unquoted(name, rules) for name in re.findall(_LITERAL, names))


def _unquoted(literal: str, rules: str) -> str:
    if rules.startswith(LLGUIDANCE):
        return str(json.loads(literal))
    return re.sub(r"\\(.)", lambda mark: "\n" if mark[1] == "n" else mark[1], literal[1:-1])


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


def logprob(token: str) -> float:
    """The log probability of a token, the same wherever it stands: from -3 to 0, marks of JSON near 0."""
    if not any(map(str.isalnum, token)):
        return -0.01
    return -(zlib.crc32(token.encode()) % 300) / 100


def predicted(content: str) -> int:
    """Tokens of an answer."""
    return len(tokenize(content, special=False))
