"""Grammars in GBNF, the language of every llama.cpp server.

The server draws a token first and asks the grammar afterwards; a refused one costs a pass over the vocabulary for
each way in which the text so far can be read. Entities are therefore one deterministic automaton, a rule per state.
"""

from __future__ import annotations

from collections.abc import Sequence

from triplelake.prompt.answer_form import AnswerForm
from triplelake.prompt.grammar.automaton import Parting, entity_automaton, partings
from triplelake.prompt.grammar.branches import FREE_PREDICATES, PLAIN_CLASS_EXCLUDES, Branch
from triplelake.prompt.grammar.skeleton import Dialect, Language, answer_rules
from triplelake.prompt.grammar.spans import Material
from triplelake.types import Lang


def grounded(material: Material, branches: Sequence[Branch], lang: Lang, max_triples: int, form: AnswerForm) -> str:
    """The grammar whose entities are those of the material."""
    rules = [_entity_rule(parting) for parting in partings(entity_automaton(material))]
    return _grammar(rules, branches, lang, max_triples, form)


def static(branches: Sequence[Branch], lang: Lang, max_triples: int, max_chars: int, form: AnswerForm) -> str:
    """The grammar whose entities are any plain text, the same for all requests of a language."""
    rest = f"[^{PLAIN_CLASS_EXCLUDES}]"
    # A comparison (`<5`, `>=90%`) is the only use of these marks: without the other one they make no control token.
    compared = f'[<>] "="? [0-9] {rest}{{0,{max_chars - 3}}}'
    entity = f"e0 ::= [^ {PLAIN_CLASS_EXCLUDES}] {rest}{{0,{max_chars - 1}}} | {compared}"
    return _grammar([entity], branches, lang, max_triples, form)


def _grammar(
    entity_rules: Sequence[str], branches: Sequence[Branch], lang: Lang, max_triples: int, form: AnswerForm
) -> str:
    rules = answer_rules(GBNF, form, branches, lang, max_triples)
    return "\n".join((*rules, *(entity_rules if branches else ()), ""))


def _entity_rule(parting: Parting) -> str:
    ways = " | ".join(_literal(text) if to is None else f"{_literal(text)} e{to}" for text, to in parting.ways)
    # The empty way comes first: after a last `|` the server would read on into the next line.
    return f"e{parting.number} ::= {'| ' if parting.final else ''}{ways}"


def _free_predicate(lang: Lang) -> str:
    free = FREE_PREDICATES[lang]
    word = f"[{free.chars}]{{1,{free.most_chars}}}"
    return word if free.most_words == 1 else f'{word} (" " {word}){{0,{free.most_words - 1}}}'


def _literal(text: str) -> str:
    """A GBNF literal; of control characters only the line breaks of a form come here: entities lack them, and JSON has
    escaped them in names."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


GBNF = Language("root", "e0", "{} ::= {}".format, str, _literal, _free_predicate)
DIALECT = Dialect(GBNF, grounded, static)
