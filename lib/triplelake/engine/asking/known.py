"""Texts whose facts are known: a model that finds nothing in them shall not be asked about a million others.

The known sentence of `preflight` shows that a server can answer at all. These ten texts in each
language, with the shipped ontology and examples, show whether the way of asking suits the model: a chat model that is
asked as a base model answers well-formed, empty answers to everything.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import yaml

from triplelake.codes import Code
from triplelake.config import conf_dir
from triplelake.engine.asking.ladder import Method
from triplelake.engine.asking.open_pool import OpenPool
from triplelake.engine.asking.places import Place, ask_each, open_places
from triplelake.engine.asking.preflight import GRAMMAR
from triplelake.errors import PoolError
from triplelake.evaluate.gold import GoldDocument, read_gold
from triplelake.evaluate.metrics import Counts, strict_counts, total
from triplelake.pool.failures import ServerFailure
from triplelake.pool.survey import Away
from triplelake.prompt.ontology_file import load_ontology
from triplelake.prompt.prompts import load_prompts
from triplelake.prompt.render import Renderer
from triplelake.types import Lang, Request

FLOOR = 0.3
"""Share of the answers that must hold a triple."""

ENOUGH = 5
"""Answers from which on that is judged."""

_SHOWN_CHARS = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """A known text, the answer to it, and the triples that count; `error_code` if it was no good answer."""

    document: GoldDocument
    text: str
    facts: tuple[tuple[str, str, str], ...]
    error_code: Code | None


@dataclass(frozen=True, slots=True)
class KnownAnswers:
    """What a model made of the known texts of a language.

    Args:
        unanswered: codes of the failures of the other texts.
    """

    lang: Lang
    answers: tuple[Answer, ...]
    unanswered: tuple[Code, ...]

    @property
    def counts(self) -> Counts:
        """Facts found, said and stated, all answered texts together; subject, relation and object must agree."""
        return total(strict_counts(each.document.facts, each.facts) for each in self.answers)

    @property
    def without(self) -> tuple[Answer, ...]:
        """The answers without a triple."""
        return tuple(each for each in self.answers if not each.facts)


def known_texts(lang: Lang) -> list[GoldDocument]:
    """The texts of a language, with the facts that they state; the relations are ids of the shipped ontology."""
    return read_gold(conf_dir() / "known" / f"{lang}.jsonl")


def known_models() -> dict[str, dict[Lang, list[float]]]:
    """Recall and precision of models that were measured on the known texts, by model and language."""
    found: dict[str, dict[Lang, list[float]]] = yaml.safe_load(
        (conf_dir() / "known" / "models.yaml").read_text(encoding="utf-8")
    )
    return found


def try_known(pool: OpenPool, langs: Collection[Lang], away: Sequence[Away] = ()) -> list[KnownAnswers]:
    """Ask the pool about the known texts of each language, each text once, spread over its servers.

    Args:
        away: servers that are not there for now.

    Raises:
        PoolError: hardly an answer of a language holds a triple, though every text states facts.
    """
    method = as_shipped(pool)
    gone = {each.endpoint.url for each in away}
    there = [endpoint for endpoint in pool.survey.endpoints if endpoint.url not in gone]
    with open_places(there, pool.settings.asking) as places:
        found = [_of_language(method, places, lang) for lang in sorted(langs)]
    for each in found:
        _check(each, pool.survey.alias)
    return found


def as_shipped(pool: OpenPool) -> Method:
    """As the run asks, but with the shipped ontology and examples, which the texts are about."""
    ontology = load_ontology(str(conf_dir() / "ontologies" / "general.yaml"))
    prompts = load_prompts(conf_dir() / "prompts")
    renderer = Renderer(prompts, ontology, pool.profile, pool.template, shots=pool.settings.prompt.shots)
    return replace(pool.method, ontology=ontology, renderer=renderer)


def _of_language(method: Method, places: Sequence[Place], lang: Lang) -> KnownAnswers:
    documents = known_texts(lang)
    requests = [Request(each.id, each.text, "", "", lang) for each in documents]
    answers: list[Answer] = []
    unanswered: list[Code] = []
    met = ask_each(method, places, requests)
    for document, request, completion in zip(documents, requests, met, strict=True):
        if isinstance(completion, ServerFailure):
            unanswered.append(completion.code)
            continue
        derived = method.read(request, completion.text, truncated=completion.truncated)
        facts = tuple((each.subject, each.predicate, each.object) for each in derived.triples)
        answers.append(Answer(document, completion.text, facts, derived.error_code))
    return KnownAnswers(lang, tuple(answers), tuple(unanswered))


def _check(found: KnownAnswers, model: str) -> None:
    asked, without = len(found.answers), found.without
    if asked < ENOUGH or asked - len(without) >= FLOOR * asked:
        return
    bad = [each for each in without if each.error_code]
    shown = (bad or without)[0]
    about = f"it answers “{shown.document.text}” with: {shown.text[:_SHOWN_CHARS]}"
    if 2 * len(bad) > len(without):
        reason = (
            f"gives no usable answer to {len(bad)} of {asked} known texts ({found.lang}; {shown.error_code}): {about}"
        )
        raise PoolError(f"model {model}", reason, GRAMMAR)
    raise PoolError(
        f"model {model}",
        f"answers without a triple to {len(without)} of {asked} known texts that state facts ({found.lang}): {about}",
        "Either it is asked in a way that does not suit it (--profile, and in a profile `examples`, `answer` and "
        "`empty`: docs/models.md), or it is too weak. To run all the same: --set run.preflight=false",
    )
