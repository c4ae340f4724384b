"""Grammars for llguidance, in its dialect of Lark, for servers built with `-DLLAMA_LLGUIDANCE=ON`.

Entities are the same automaton as in GBNF, a terminal per state: llguidance makes one lexeme of them. (Its own
`substring_chunks`, cut by a regular expression, costs half as much again per mask.) Syntax: `docs/syntax.md` of
llguidance 1.0.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from triplelake.prompt.answer_form import AnswerForm
from triplelake.prompt.grammar.automaton import Parting, entity_automaton, partings
from triplelake.prompt.grammar.branches import FREE_PREDICATES, PLAIN_CLASS_EXCLUDES, Branch
from triplelake.prompt.grammar.skeleton import Dialect, Language, answer_rules
from triplelake.prompt.grammar.spans import Material
from triplelake.types import Lang

_HEADER = "%llguidance {}\n"
"""What tells a server that the grammar is not GBNF; one without llguidance answers 400."""


def grounded(material: Material, branches: Sequence[Branch], lang: Lang, max_triples: int, form: AnswerForm) -> str:
    """The grammar whose entities are those of the material."""
    rules = [_entity_rule(parting) for parting in partings(entity_automaton(material))]
    return _grammar(rules, branches, lang, max_triples, form)


def static(branches: Sequence[Branch], lang: Lang, max_triples: int, max_chars: int, form: AnswerForm) -> str:
    """The grammar whose entities are any plain text, the same for all requests of a language."""
    rest = f"[^{PLAIN_CLASS_EXCLUDES}]"
    # As in GBNF, a comparison may begin with a mark that nothing else holds.
    compared = f"[<>]=?[0-9]{rest}{{0,{max_chars - 3}}}"
    entity = f"E: /[^ {PLAIN_CLASS_EXCLUDES}]{rest}{{0,{max_chars - 1}}}|{compared}/"
    return _grammar([entity], branches, lang, max_triples, form)


def _grammar(
    entity_rules: Sequence[str], branches: Sequence[Branch], lang: Lang, max_triples: int, form: AnswerForm
) -> str:
    rules = answer_rules(LARK, form, branches, lang, max_triples)
    return LARK.header + "\n".join((*rules, *(entity_rules if branches else ()), ""))


def _entity_rule(parting: Parting) -> str:
    # An entity is its own JSON string.
    ways = " | ".join(f'"{text}"' if to is None else f'"{text}" E{to}' for text, to in parting.ways)
    return f"E{parting.number or ''}: ({ways})?" if parting.final else f"E{parting.number or ''}: {ways}"


def _free_predicate(lang: Lang) -> str:
    free = FREE_PREDICATES[lang]
    word = f"[{free.chars}]{{1,{free.most_chars}}}"
    return f"/{word}/" if free.most_words == 1 else f"/{word}( {word}){{0,{free.most_words - 1}}}/"


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


LARK = Language("start", "E", "{}: {}".format, str.upper, _literal, _free_predicate, _HEADER)
DIALECT = Dialect(LARK, grounded, static)
