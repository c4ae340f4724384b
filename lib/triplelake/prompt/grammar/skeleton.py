"""The rules of an answer's form, which both grammar languages write in the same way.

What differs between the two is how a rule is defined, how its name looks and what an entity is; a `Language` says that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from triplelake.prompt.answer_form import AnswerForm, Grouped, Listed
from triplelake.prompt.grammar.branches import Branch
from triplelake.prompt.grammar.spans import Material
from triplelake.types import Lang


@dataclass(frozen=True, slots=True)
class Language:
    """How a grammar language writes what the form of an answer needs.

    Args:
        start: the name of the first rule.
        entity: the name of the rule of an entity.
        define: a rule from its name and its body.
        terminal: the name of a rule whose text is a terminal where the language has them.
        literal: a text that stands as it is.
        free: the body of a free predicate.
        header: what stands before the first rule.
    """

    start: str
    entity: str
    define: Callable[[str, str], str]
    terminal: Callable[[str], str]
    literal: Callable[[str], str]
    free: Callable[[Lang], str]
    header: str = ""

    def any_of(self, texts: Sequence[str]) -> str:
        return " | ".join(map(self.literal, texts))

    def around(self, before: str, body: str, after: str) -> str:
        """A body between two texts, of which either may be empty."""
        return " ".join(filter(None, (before and self.literal(before), body, after and self.literal(after))))


@dataclass(frozen=True, slots=True)
class Dialect:
    """What writes the grammars of an engine.

    Args:
        grounded: the grammar whose entities are those of a material; the number is of triples at most.
        static: the grammar whose entities are any plain text; the numbers are of triples and of characters at most.
    """

    language: Language
    grounded: Callable[[Material, Sequence[Branch], Lang, int, AnswerForm], str]
    static: Callable[[Sequence[Branch], Lang, int, int, AnswerForm], str]


def answer_rules(
    language: Language, form: AnswerForm, branches: Sequence[Branch], lang: Lang, max_triples: int
) -> list[str]:
    """The rules of an answer, but those of its entities.

    Args:
        max_triples: of an answer; in a grouped form, of the items of a relation and of the groups by subject.
    """
    if not branches:
        return [language.define(language.start, language.literal(form.empty(lang)))]
    if isinstance(form, Listed):
        return list(_listed(language, form, branches, lang, max_triples))
    return list(_grouped(language, form, branches, lang, max_triples))


def _listed(
    language: Language, form: Listed, branches: Sequence[Branch], lang: Lang, max_triples: int
) -> Iterator[str]:
    separator = language.literal(form.separator)
    before, to_relation, to_object, after = form.joints
    tails = []
    rules = []
    for number, branch in enumerate(branches):
        names = (
            language.free(lang)
            if branch.predicates is None
            else language.any_of([*map(form.barred, branch.predicates)])
        )
        predicate, objects = language.terminal(f"p{number}"), language.entity
        rules.append(language.define(predicate, f"({names}) {language.literal(to_object)}"))
        if branch.objects is not None:
            objects = language.terminal(f"o{number}")
            rules.append(language.define(objects, language.any_of(branch.objects)))
        tails.append(f"{predicate} {objects}")
    said = f"triple{_more(separator, 'triple', max_triples)}"
    said = f"({said} | {language.literal(form.empty(lang))})" if form.none else f"({said})?"
    yield language.define(language.start, language.around(form.opening, said, form.closing + form.end))
    triple = f"{language.entity} {language.literal(to_relation)} tail"
    yield language.define("triple", language.around(before, triple, after))
    yield language.define("tail", " | ".join(tails))
    yield from rules


def _grouped(
    language: Language, form: Grouped, branches: Sequence[Branch], lang: Lang, max_triples: int
) -> Iterator[str]:
    opening, separator, closing = map(language.literal, (form.opening, form.separator, form.closing))
    if form.key is None:
        yield language.define(language.start, f"{opening} relations? {closing}")
    else:
        before, after, end = map(language.literal, form.key)
        groups = f"(group{_more(separator, 'group', max_triples)})?"
        yield language.define(language.start, f"{opening} {groups} {closing}")
        yield language.define("group", f"{before} {language.entity} {after} relations {end}")
    to_items, between, last = form.joints
    members: dict[int, str] = {}
    for number, branch in enumerate(branches):
        objects = language.entity
        if branch.objects is not None:
            objects = language.terminal(f"o{number}")
            yield language.define(objects, language.any_of(branch.objects))
        item = objects if form.pair is None else f"{language.entity} {language.literal(form.pair)} {objects}"
        items = f"items{number}"
        yield language.define(items, item + _more(language.literal(between), item, max_triples))
        if branch.predicates is None:
            free = f"{language.literal(form.quote)} ({language.free(lang)}) {language.literal(to_items)}"
            yield language.define(language.terminal(f"p{number}"), free)
            yield language.define("relation", f"{language.terminal(f'p{number}')} {items} {language.literal(last)}")
            yield language.define("relations", f"relation{_more(separator, 'relation', max_triples)}")
            return
        for rank, predicate in zip(branch.ranks, branch.predicates, strict=True):
            name = language.literal(f"{form.quote}{predicate}{to_items}")
            members[rank] = f"{name} {items} {language.literal(last)}"
    yield from _ordered(language, separator, [members[rank] for rank in sorted(members)])


def _ordered(language: Language, separator: str, members: Sequence[str]) -> Iterator[str]:
    """At least one member, each at most once, in their order."""
    following = [*(f" more{rank}" for rank in range(1, len(members))), ""]
    yield language.define("relations", " | ".join(f"m{rank}{then}" for rank, then in enumerate(following)))
    for rank, (member, then) in enumerate(zip(members, following, strict=True)):
        yield language.define(f"m{rank}", member)
        if rank:
            yield language.define(f"more{rank}", f"({separator} m{rank})?{then}")


def _more(separator: str, what: str, most: int) -> str:
    return f" ({separator} {what}){{0,{most - 1}}}" if most > 1 else ""
