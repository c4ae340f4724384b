"""Grammars for llguidance, in its dialect of Lark, for servers built with `-DLLAMA_LLGUIDANCE=ON`.

llguidance brings a suffix automaton (`substring_chunks`); its intersection with a regular expression keeps entities
within their length and away from stops. Syntax: `docs/syntax.md` of llguidance 1.0.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from triplelake.prompt.grammar.branches import (
    FREE_HAN,
    FREE_HAN_MAX,
    FREE_LETTERS,
    FREE_WORD_CHARS_MAX,
    FREE_WORDS_MAX,
    PLAIN_CLASS_EXCLUDES,
    Branch,
)
from triplelake.prompt.grammar.spans import Material
from triplelake.types import Lang

HEADER = "%llguidance {}\n"
"""What tells a server that the grammar is not GBNF; one without llguidance answers 400."""

NOTHING = HEADER + 'start: "[]"\n'


def grounded(material: Material, branches: Sequence[Branch], lang: Lang, max_triples: int) -> str:
    """The grammar whose entities are those of the material."""
    # A line break stands for stops, however many in a row: it keeps apart what it parts and is in no entity.
    chunks: list[str] = []
    for unit in material.units:
        if unit is not None or chunks[-1:] != ["\n"]:
            chunks.append(unit or "\n")
    inner = sorted({unit for unit, edge in zip(material.units, material.edges, strict=True) if unit and not edge})
    edge = rf"[^\n{''.join(map(_in_class, inner))}]"
    entity_rules = [
        rf"E: SUB & /{edge}([^\n]{{0,{material.max_chars - 2}}}{edge})?/",
        f'SUB: %regex {{ "substring_chunks": {json.dumps(chunks, ensure_ascii=False)} }}',
    ]
    return _grammar(entity_rules, branches, lang, max_triples)


def static(branches: Sequence[Branch], lang: Lang, max_triples: int, max_chars: int) -> str:
    """The grammar whose entities are any plain text, the same for all requests of a language."""
    entity = f"E: /[^ {PLAIN_CLASS_EXCLUDES}][^{PLAIN_CLASS_EXCLUDES}]{{0,{max_chars - 1}}}/"
    return _grammar([entity], branches, lang, max_triples)


def _grammar(entity_rules: Sequence[str], branches: Sequence[Branch], lang: Lang, max_triples: int) -> str:
    if not branches:
        return NOTHING
    tails = []
    rules = []
    for number, branch in enumerate(branches):
        names = _free_predicate(lang) if branch.predicates is None else _any_of(branch.predicates)
        rules.append(rf'P{number}: ({names}) "\",\""')
        if branch.objects is None:
            tails.append(f"P{number} E")
        else:
            rules.append(f"O{number}: {_any_of(branch.objects)}")
            tails.append(f"P{number} O{number}")
    more = f' ("," triple){{0,{max_triples - 1}}}' if max_triples > 1 else ""
    lines = (
        f'start: "[" (triple{more})? "]"',
        r'triple: "[\"" E "\",\"" tail "\"]"',
        f"tail: {' | '.join(tails)}",
        *rules,
        *entity_rules,
        "",
    )
    return HEADER + "\n".join(lines)


def _free_predicate(lang: Lang) -> str:
    if lang == "en":
        word = f"[{FREE_LETTERS}]{{1,{FREE_WORD_CHARS_MAX}}}"
        return f"/{word}( {word}){{0,{FREE_WORDS_MAX - 1}}}/"
    return f"/[{FREE_HAN}]{{1,{FREE_HAN_MAX}}}/"


def _any_of(texts: Sequence[str]) -> str:
    return " | ".join(json.dumps(text, ensure_ascii=False) for text in texts)


def _in_class(char: str) -> str:
    """A character inside a regular expression's class, where none of its own may mean anything."""
    return rf"\x{{{ord(char):X}}}"
