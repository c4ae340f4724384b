"""A second look at the triples of an answer: the model is asked about each alone whether its text states it.

What is kept is how probable the model found its “yes”. Of a chat model it tells right triples from wrong ones better
than all that is known of the answer itself (docs/measured.md).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from triplelake.config import Settings
from triplelake.errors import UsageError
from triplelake.pool.failures import ServerFailure
from triplelake.pool.protect import protect
from triplelake.pool.protocol import CompletionClient
from triplelake.pool.router import Router, Stopped
from triplelake.prompt.grammar import literal_grammar
from triplelake.prompt.look import LookRenderer
from triplelake.prompt.profile import ModelProfile
from triplelake.triples.derive import Derivation
from triplelake.types import LANGS, Completion, GrammarEngine, Lang, Request

log = logging.getLogger(__name__)

_DIGITS = 2
"""As many as the log probabilities of tokens have."""


@dataclass(frozen=True, slots=True)
class Looks:
    """What the looks at the triples of an answer found, and what they took.

    Args:
        values: of each triple as the answer says it, in its order, the log probability of “yes”. None where it was not
            asked for, because the triple is left out, or is not known. Empty where no triple was looked at.
        prompt_tokens, cached_tokens, completion_tokens, latency_ms: of all answers together, as of a `Completion`.
    """

    values: tuple[float | None, ...] = ()
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    latency_ms: float = 0.0


@dataclass(frozen=True)
class SecondLook:
    """How single triples are asked about: the same for every request; Spark pickles it to the executors.

    Args:
        renderer: makes the questions.
        engine: the grammar language of the servers.
        answer_tokens: of the forced answer, by language.
        prefix_tokens: of what all questions of a language begin with, for the limit of tokens per second.
    """

    renderer: LookRenderer
    engine: GrammarEngine
    answer_tokens: Mapping[Lang, int]
    prefix_tokens: Mapping[Lang, int]

    def at(self, request: Request, derived: Derivation, router: Router) -> Looks:
        """Look at each triple that an answer gives.

        A look that fails has been tried elsewhere already, so that the triples behind it are not asked about any more.
        Nothing is raised for it: the answer is good without.
        """
        lang = request.lang
        grammar = literal_grammar(self.engine, self.renderer.answer(lang))
        limit = self.answer_tokens[lang]
        # The text is the same in all of them: it is tokenised once.
        tokenize = cache(router.tokenize)
        values: list[float | None] = [None] * len(derived.places)
        answers: list[Completion] = []
        try:
            for triple, rank in zip(derived.triples, derived.ranks, strict=True):
                completion = router.ask(
                    protect(self.renderer.render(request, triple).parts, tokenize),
                    grammar=grammar,
                    max_tokens=limit,
                    est_tokens=self.prefix_tokens[lang] + limit,
                ).completion
                answers.append(completion)
                values[rank] = spelled(completion, self.renderer.word(lang))
        except (ServerFailure, Stopped) as failure:
            log.info(
                "request %s: %d of its triples are not looked at: %s", request.request_id, values.count(None), failure
            )
        return _added(values, answers)


def spelled(completion: Completion, word: str) -> float | None:
    """The log probability of the word that an answer begins with: of all tokens that spell any of it.

    None where it does not begin so, or its probabilities are not known.
    """
    if not completion.text.startswith(word):
        return None
    begun, total = 0, 0.0
    for logprob, chars in zip(completion.token_logprobs, completion.token_chars, strict=True):
        # A token without a character of its own ends the one before.
        if begun >= len(word) and chars:
            break
        begun += chars
        total += logprob
    return round(total, _DIGITS) if begun >= len(word) else None


def second_look(server: CompletionClient, renderer: LookRenderer, engine: GrammarEngine) -> SecondLook:
    """How the triples are asked about at a pool of which a server counts the tokens.

    Raises:
        ServerFailure: it does not.
    """
    # Two at least: of one token alone no probability is believed (`triplelake.pool.completions`).
    answers = {lang: max(2, len(server.tokenize(renderer.answer(lang)))) for lang in LANGS}
    prefixes = {lang: len(server.tokenize(renderer.prefix(lang), special=True)) for lang in LANGS}
    return SecondLook(renderer, engine, answers, prefixes)


def is_wanted(settings: Settings, profile: ModelProfile) -> bool:
    """Whether triples are looked at once more."""
    return settings.asking.second_look == "yes_no" and profile.template != "plain"


def check_second_look(settings: Settings, profile: ModelProfile | None = None) -> None:
    """Refuse a second look that would tell nothing.

    Args:
        profile: None where it is not known yet.

    Raises:
        UsageError: probabilities are not asked for, or the model is asked as a base model.
    """
    if settings.asking.second_look == "none":
        return
    if not settings.asking.probabilities:
        raise UsageError(
            "asking.second_look",
            "needs the probabilities of tokens, and asking.probabilities is false",
            "Set asking.probabilities to true, or asking.second_look to none.",
        )
    if profile is not None and profile.template == "plain":
        raise UsageError(
            "asking.second_look",
            f"is for chat models, and model profile {profile.name} asks a base model. Measured, the “yes” of one tells "
            "right triples from wrong ones worse (AUC 0.59) than what its confidence is made of anyway (0.74)",
            "Set asking.second_look to none; or, if it is a chat model, its profile (--profile chat).",
        )


def _added(values: Sequence[float | None], answers: Sequence[Completion]) -> Looks:
    return Looks(
        tuple(values),
        prompt_tokens=sum(each.prompt_tokens for each in answers),
        cached_tokens=sum(each.cached_tokens for each in answers),
        completion_tokens=sum(each.completion_tokens for each in answers),
        latency_ms=sum(each.latency_ms for each in answers),
    )
