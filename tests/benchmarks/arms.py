"""The ways of asking that the quality benchmark compares, each for one ontology."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from plain_json import read_objects, schema_grammar

from triplelake.config import AnswerSettings
from triplelake.evaluate.gold import Fact
from triplelake.pool.client import LlamaServer
from triplelake.pool.protect import protect
from triplelake.prompt.grammar import build_grammar
from triplelake.prompt.ontology import Ontology
from triplelake.prompt.render import Renderer
from triplelake.triples.derive import derive
from triplelake.triples.parse import AnswerError, parse_answer
from triplelake.triples.repeats import Repeats
from triplelake.types import Completion, GrammarEngine, Request


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an arm made of one document.

    Args:
        said: the triples as decoded, repetitions included.
        facts: those that count: of `verify` the aligned ones.
        error: why the answer is bad; a cut-off one is not.
    """

    said: tuple[Fact, ...]
    facts: tuple[Fact, ...]
    error: str | None
    completion: Completion


class Arm(Protocol):
    """A way of asking, for one ontology."""

    def complete(self, request: Request) -> Completion: ...

    def ask(self, request: Request) -> Outcome: ...


class PlainJson:
    """JSON objects under a schema, taken as they come."""

    def __init__(self, server: LlamaServer, renderer: Renderer, ontology: Ontology, answer: AnswerSettings) -> None:
        self._server = server
        self._renderer = renderer
        self._ontology = ontology
        self._answer = answer

    def complete(self, request: Request) -> Completion:
        prompt = protect(self._renderer.render(request).parts, self._server.tokenize)
        grammar = schema_grammar(self._ontology, request.lang)
        return self._server.complete(prompt, grammar=grammar, max_tokens=self._answer.max_tokens, probabilities=True)

    def ask(self, request: Request) -> Outcome:
        return read_plain(self.complete(request))


class Ours:
    """An answer under a grammar of ours, parsed and grounded as a run does it."""

    def __init__(
        self, server: LlamaServer, renderer: Renderer, ontology: Ontology, answer: AnswerSettings, engine: GrammarEngine
    ) -> None:
        self._server = server
        self._renderer = renderer
        self._ontology = ontology
        self._answer = answer
        self._engine = engine

    def prompt(self, request: Request) -> str:
        """All that the model is sent."""
        return self._renderer.render(request).text

    def complete(self, request: Request) -> Completion:
        prompt = protect(self._renderer.render(request).parts, self._server.tokenize)
        grammar = build_grammar(self._engine, request, self._ontology, self._answer, self._renderer.form)
        return self._server.complete(
            prompt,
            grammar=grammar,
            max_tokens=self._answer.max_tokens,
            stop=self._renderer.stop,
            probabilities=True,
            watch=Repeats(),
        )

    def ask(self, request: Request) -> Outcome:
        return read_ours(request, self.complete(request), self._ontology, self._answer)


def read_plain(completion: Completion) -> Outcome:
    """What an answer of `PlainJson` gives."""
    said = tuple(read_objects(completion.text))
    return Outcome(said, said, None, completion)


def read_ours(request: Request, completion: Completion, ontology: Ontology, answer: AnswerSettings) -> Outcome:
    """What an answer of `Ours` gives."""
    try:
        said = parse_answer(completion.text, truncated=completion.truncated).items
    except AnswerError as error:
        return Outcome((), (), error.code, completion)
    made = derive(request, completion.text, truncated=completion.truncated, ontology=ontology, answer=answer)
    facts = tuple((each.subject, each.predicate, each.object) for each in made.triples if each.grounding != "none")
    return Outcome(said, facts, None if made.error_code == "truncated" else made.error_code, completion)
