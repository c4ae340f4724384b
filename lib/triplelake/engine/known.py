"""Texts whose facts are known: a model that finds nothing in them shall not be asked about a million others.

The known sentence of `triplelake.engine.preflight` shows that a server can answer at all. These ten texts in each
language, with the shipped ontology and examples, show whether the way of asking suits the model: a chat model that is
asked as a base model answers well-formed, empty answers to everything.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import cycle

import yaml

from triplelake.config import conf_dir
from triplelake.engine.ladder import Method
from triplelake.engine.opened import Opened
from triplelake.errors import PoolError
from triplelake.evaluate.gold import GoldDocument, read_gold
from triplelake.evaluate.metrics import Counts, strict_counts, total
from triplelake.pool.client import LlamaServer
from triplelake.pool.failures import ServerFailure
from triplelake.pool.protect import protect
from triplelake.pool.window import windowed
from triplelake.prompt.ontology_file import load_ontology
from triplelake.prompt.prompts import load_prompts
from triplelake.prompt.render import Renderer
from triplelake.types import Lang, Request

FLOOR = 3
"""Texts of ten that must get an answer with a triple."""

_SHOWN_CHARS = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """A known text, the answer to it, and the triples that count."""

    document: GoldDocument
    text: str
    facts: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What a model made of the known texts of a language; those that a server failed to answer are left out."""

    lang: Lang
    answers: tuple[Answer, ...]

    @property
    def counts(self) -> Counts:
        """Facts found, said and stated, all texts together; subject, relation and object must agree."""
        return total(strict_counts(each.document.facts, each.facts) for each in self.answers)

    @property
    def empty(self) -> tuple[Answer, ...]:
        """The answers without a triple."""
        return tuple(each for each in self.answers if not each.facts)


def known_texts(lang: Lang) -> list[GoldDocument]:
    """The texts of a language, with the facts that they state; the relations are ids of the shipped ontology."""
    return read_gold(conf_dir() / "known" / f"{lang}.jsonl")


def known_models() -> dict[str, dict[Lang, tuple[float, float]]]:
    """Recall and precision of models that were measured on the known texts, by model and language."""
    found: dict[str, dict[Lang, tuple[float, float]]] = yaml.safe_load(
        (conf_dir() / "known" / "models.yaml").read_text(encoding="utf-8")
    )
    return found


def try_known(opened: Opened, langs: Collection[Lang]) -> list[Found]:
    """Ask the pool about the known texts of each language, each text once, spread over its servers.

    Raises:
        PoolError: nearly all answers of a language are empty, though every text states facts.
    """
    method = _method(opened)
    with ExitStack() as stack:
        timeout_s = opened.settings.asking.timeout_s
        servers = [LlamaServer(endpoint, timeout_s) for endpoint in opened.survey.endpoints]
        for server in servers:
            stack.callback(server.close)
        found = [_of_language(method, servers, lang, opened.slots) for lang in sorted(langs)]
    for each in found:
        _check(each, opened.survey.alias)
    return found


def _method(opened: Opened) -> Method:
    """As the run asks, but with the shipped ontology and examples, which the texts are about."""
    ontology = load_ontology("ontologies/general.yaml")
    shots = opened.settings.prompt.shots
    renderer = Renderer(load_prompts("prompts"), ontology, opened.profile, opened.template, shots=shots)
    return replace(opened.method, ontology=ontology, renderer=renderer)


def _of_language(method: Method, servers: Sequence[LlamaServer], lang: Lang, slots: int) -> Found:
    def ask(question: tuple[int, GoldDocument, LlamaServer]) -> tuple[int, Answer] | None:
        rank, document, server = question
        request = Request(document.id, document.text, "", "", lang)
        try:
            completion = server.complete(
                protect(method.renderer.render(request).parts, server.tokenize),
                grammar=method.grammar(request),
                max_tokens=method.answer.max_tokens,
                stop=method.renderer.stop,
            )
        except ServerFailure:
            return None  # the run itself will meet it, and knows what to do
        derived = method.read(request, completion.text, truncated=completion.truncated)
        facts = tuple((each.subject, each.predicate, each.object) for each in derived.triples)
        return rank, Answer(document, completion.text, facts)

    texts = known_texts(lang)
    questions = [(rank, text, server) for rank, (text, server) in enumerate(zip(texts, cycle(servers), strict=False))]
    answers = dict(answer for answer in windowed(questions, ask, slots) if answer)
    return Found(lang, tuple(answers[rank] for rank in sorted(answers)))


def _check(found: Found, model: str) -> None:
    asked, empty = len(found.answers), found.empty
    if asked == len(known_texts(found.lang)) and asked - len(empty) < FLOOR:
        first = empty[0]
        raise PoolError(
            f"model {model}",
            f"answers without a triple to {len(empty)} of {asked} known texts that state facts ({found.lang}): "
            f"it answers “{first.document.text}” with: {first.text[:_SHOWN_CHARS]}",
            "Either it is asked in a way that does not suit it (--profile, and in a profile `examples`, `answer` and "
            "`empty`: docs/models.md), or it is too weak. To run all the same: --set run.preflight=false",
        )
