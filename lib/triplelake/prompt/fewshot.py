"""Few-shot examples: what makes one true, which of them are shown, and how an answer is written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import regex

from triplelake.errors import InputError
from triplelake.prompt.answer_form import ARRAYS, AnswerForm
from triplelake.prompt.ontology import Ontology, Relation
from triplelake.prompt.profile import ModelProfile
from triplelake.text import unit_bounds
from triplelake.types import Lang


@dataclass(frozen=True, slots=True)
class Example:
    """A question with its right answer.

    Args:
        text, title, context: as a request has them; title and context may be empty.
        triples: subject, relation (its name or alias in the example's language, or its id), object;
            empty where nothing is to be extracted.
    """

    text: str
    title: str
    context: str
    triples: tuple[tuple[str, str, str], ...]


def check_spans(example: Example, where: str) -> None:
    """Refuse an example that shows what the grammar would never admit.

    Each subject and object stands verbatim in the example's text, title or context, cuts no word and no
    number, and one of the two stands in the text itself.

    Raises:
        InputError: names the string that does not.
    """
    for subject, _, obj in example.triples:
        for entity in (subject, obj):
            fields = (example.text, example.title, example.context)
            if not any(entity and entity in field for field in fields):
                raise InputError(where, f"“{entity}” does not stand in its text", "Copy it from the text, verbatim.")
            if not any(_stands_whole(entity, field) for field in fields):
                raise InputError(where, f"“{entity}” cuts a word or a number of its text", "Take the whole of it.")
        if not any(_stands_whole(entity, example.text) for entity in (subject, obj)):
            reason = f"neither “{subject}” nor “{obj}” stands in the text"
            raise InputError(where, reason, "Only one of the two may come from title or context.")


def check_relations(examples: Iterable[Example], ontology: Ontology, lang: Lang, where: str) -> None:
    """Refuse an example with a relation that the ontology lacks, or an object that its pattern forbids.

    Raises:
        InputError: names the example by its number, counted from 1.
    """
    for number, example in enumerate(examples, start=1):
        place = f"{where}, example {number}"
        for _, predicate, obj in example.triples:
            relation = find_relation(ontology, lang, predicate)
            if relation is None:
                reason = f"`{predicate}` is not a relation of the ontology {ontology.name}"
                remedy = "Use its name, alias or id, or remove it. The shipped examples go with any: prompt.dir=prompts"
                raise InputError(place, reason, remedy)
            if not _admits(relation, obj):
                reason = f"“{obj}” does not match the object_pattern of `{relation.id}`"
                raise InputError(place, reason, "Change the example or the pattern.")


def foreign(examples: Iterable[Example], ontology: Ontology, lang: Lang) -> int:
    """How many of the examples show a relation that the ontology lacks, or an object that it forbids."""
    return sum(
        any(
            (relation := find_relation(ontology, lang, predicate)) is None or not _admits(relation, obj)
            for _, predicate, obj in example.triples
        )
        for example in examples
    )


def usable(examples: tuple[Example, ...], profile: ModelProfile) -> tuple[Example, ...]:
    """The examples that a profile lets be shown: all, those with triples, or for a tuned model none."""
    if profile.is_tuned:
        return ()
    return tuple(each for each in examples if each.triples or profile.empty == "example")


def ordered(examples: tuple[Example, ...], shots: int | None) -> tuple[Example, ...]:
    """The first `shots` examples (all if None), those without triples shown first.

    A base model leans to what it saw last. Measured with Gemma 3 270M on sentences full of facts: with
    `[]` among the later examples it answers `[]` to all of them; with two of them first to 12 of 100
    (English), with one first to none. So the shipped one denies and plans in one sentence.
    """
    shown = examples[:shots]
    return (*(e for e in shown if not e.triples), *(e for e in shown if e.triples))


def answer(example: Example, ontology: Ontology | None, lang: Lang, form: AnswerForm = ARRAYS) -> str:
    """The example's answer, relations by the name that the model is shown."""
    rows = []
    for subject, predicate, obj in example.triples:
        relation = find_relation(ontology, lang, predicate) if ontology else None
        rows.append((subject, relation.names[lang] if relation else predicate, obj))
    names = [relation.names[lang] for relation in ontology.relations] if ontology else []
    return form.write(rows, names, lang=lang)


def find_relation(ontology: Ontology, lang: Lang, predicate: str) -> Relation | None:
    """A relation by its name or alias in `lang`, else by its id."""
    named = ontology.by_name(lang, aliases=True).get(predicate)
    return named or next((relation for relation in ontology.relations if relation.id == predicate), None)


def _admits(relation: Relation, obj: str) -> bool:
    return relation.object_pattern is None or regex.fullmatch(relation.object_pattern, obj) is not None


def _stands_whole(entity: str, text: str) -> bool:
    bounds = set(unit_bounds(text))
    start = text.find(entity)
    while start >= 0:
        if start in bounds and start + len(entity) in bounds:
            return True
        start = text.find(entity, start + 1)
    return False
