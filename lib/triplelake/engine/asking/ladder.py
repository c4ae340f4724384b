"""How one request is asked until its answer is good or nothing more can be tried.

The ladder: again elsewhere; with a larger limit where the answer was cut; in two halves where it does not fit a slot;
then failed with its code. A cut answer whose whole triples are good ends as `ok` with `error_code` `truncated`. Where a
run wants it, each triple of a good answer is asked about once more (`second_look`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import regex

from triplelake.codes import Code
from triplelake.config import AnswerSettings
from triplelake.corpus.sentences import sentence_ends
from triplelake.engine.asking.second_look import Looks, SecondLook
from triplelake.pool.failures import ServerFailure
from triplelake.pool.protect import protect
from triplelake.pool.protocol import Watch
from triplelake.pool.router import Router, Stopped
from triplelake.prompt.answer_form import ARRAYS
from triplelake.prompt.grammar import build_grammar
from triplelake.prompt.ontology import Ontology
from triplelake.prompt.render import Renderer
from triplelake.text import unit_bounds
from triplelake.triples.derive import Derivation, derive
from triplelake.triples.parse import parse_answer
from triplelake.triples.repeats import Repeats
from triplelake.types import Attempt, Completion, FailedTry, GrammarEngine, Lang, Request

log = logging.getLogger(__name__)

_PUTS = 2
"""Answers that a question may take."""

_TELLING = 24
"""Characters before a cut that tell the second half that it begins inside a run (`triplelake.readings`)."""
_CLAUSE_END = regex.compile(r"[，、；：,;:]\s*|\s+")
_HALVINGS = 3
"""Times that a chunk is cut in two: an eighth that does not fit is not the chunk's fault."""


@dataclass(frozen=True)
class Method:
    """How a run asks: the same for every request; Spark pickles it to the executors.

    Args:
        model: the name that every answer must declare.
        stop_repeats: leave the server where an answer begins to repeat itself.
        prefix_tokens: tokens of the fixed prefix and of retrieved examples, by language, for the limit of tokens per
            second.
        second_look: how each triple is asked about once more; None if it is not.
    """

    model: str
    answer: AnswerSettings
    engine: GrammarEngine
    renderer: Renderer
    ontology: Ontology | None
    stop_repeats: bool
    prefix_tokens: Mapping[Lang, int]
    second_look: SecondLook | None = None

    def grammar(self, request: Request) -> str:
        """The grammar to send with a request."""
        return build_grammar(self.engine, request, self.ontology, self.answer, self.renderer.form)

    @property
    def new_watch(self) -> Callable[[], Watch] | None:
        """Makes what sees an answer while it is decoded."""
        return Repeats if self.stop_repeats else None

    def read(self, request: Request, text: str, *, truncated: bool) -> Derivation:
        """What an answer to a request gives."""
        return derive(request, text, truncated=truncated, ontology=self.ontology, answer=self.answer)


class Ladder:
    """Asks requests of one task through its router. Safe to call from several threads."""

    def __init__(self, method: Method, router: Router) -> None:
        self._method = method
        self._router = router
        # Threads that compute at the same time contend for the interpreter's lock, which costs more than their turn.
        self._turn = threading.Lock()

    def attempt(self, request: Request) -> Attempt | None:
        """The final outcome of a request; None if the job stops before there is one."""
        history = _History(request)
        try:
            reply = self._climb(request, history, _HALVINGS)
        except Stopped:
            return None
        except ServerFailure as failure:
            return history.failed(failure.code, failure.message, failure.endpoint)
        except Exception as error:
            # A defect must not cost the task's other rows; it is queryable in `failures`.
            log.exception("request %s", request.request_id)
            return history.failed(Code.INTERNAL, f"{type(error).__name__}: {error}")
        if not reply.good and reply.derived.error_code:
            return history.failed(reply.derived.error_code, reply.derived.error_message or "")
        return history.answered(reply, self._look(request, reply))

    def _climb(self, request: Request, history: _History, halvings: int) -> _Reply:
        try:
            return self._ask(request, history)
        except ServerFailure as failure:
            history.tried_in_vain(failure.failed_tries)
            halves = halve(request) if failure.code == Code.CONTEXT_OVERFLOW and halvings else None
            if halves is None:
                raise
        replies = [self._climb(half, history, halvings - 1) for half in halves]
        if bad := next((reply for reply in replies if not reply.good), None):
            return bad
        text, truncated = join_answers([(reply.text, reply.truncated) for reply in replies])
        return self._read(request, text, truncated=truncated)

    def _ask(self, request: Request, history: _History) -> _Reply:
        method = self._method
        prompt = protect(method.renderer.render(request).parts, self._router.tokenize)
        with self._turn:
            grammar = method.grammar(request)
        limit = method.answer.max_tokens
        avoid = None
        for put in range(1, _PUTS + 1):
            answer = self._router.ask(
                prompt,
                grammar=grammar,
                max_tokens=limit,
                stop=method.renderer.stop,
                new_watch=method.new_watch,
                est_tokens=method.prefix_tokens[request.lang] + limit,
                avoid=avoid,
            )
            completion = answer.completion
            history.tried_in_vain(answer.failed_tries)
            history.completions.append(completion)
            reply = self._read(request, completion.text, truncated=completion.truncated, completion=completion)
            code = reply.derived.error_code
            if code is None or (code == Code.TRUNCATED and put == _PUTS):
                break
            failed = FailedTry(completion.endpoint, code)
            history.failed_tries.append(failed)
            self._router.tried_in_vain(failed)
            avoid = completion.endpoint
            if completion.truncated:
                limit *= 2
        return reply

    def _look(self, request: Request, reply: _Reply) -> Looks:
        """What a second look at a good answer finds; whatever goes wrong there, the answer stays good.

        Where the answer's own probabilities are not known its triples get no confidence, so that no look is taken.
        """
        look, completion = self._method.second_look, reply.completion
        if look is None or completion is None or not completion.token_logprobs or not reply.derived.triples:
            return Looks()
        try:
            return look.at(request, reply.derived, self._router)
        except Exception:
            log.exception("request %s: its triples are not looked at", request.request_id)
            return Looks()

    def _read(self, request: Request, text: str, *, truncated: bool, completion: Completion | None = None) -> _Reply:
        with self._turn:
            return _Reply(text, truncated, self._method.read(request, text, truncated=truncated), completion)


@dataclass(frozen=True, slots=True)
class _Reply:
    """The text that answers a request, and what it gives; `completion` is the answer that has this text, if one has."""

    text: str
    truncated: bool
    derived: Derivation
    completion: Completion | None

    @property
    def good(self) -> bool:
        """Whether its triples can be kept, be they all or those before a cut."""
        return self.derived.error_code in (None, Code.TRUNCATED)


@dataclass
class _History:
    """One request on its way: what was answered, what was tried in vain."""

    request: Request
    completions: list[Completion] = field(default_factory=list)
    failed_tries: list[FailedTry] = field(default_factory=list)
    unanswered: int = 0

    def tried_in_vain(self, tries: Sequence[FailedTry]) -> None:
        """Tries that brought no answer at all; a bad answer is among `completions` too."""
        self.failed_tries += tries
        self.unanswered += len(tries)

    def answered(self, reply: _Reply, looks: Looks) -> Attempt:
        last = self.completions[-1]
        derived = reply.derived
        return Attempt(
            request_id=self.request.request_id,
            status="ok" if derived.triples else "empty",
            completion=reply.text,
            triples=derived.triples,
            error_code=derived.error_code,
            error_message=derived.error_message,
            prompt_tokens=last.prompt_tokens + looks.prompt_tokens,
            cached_tokens=last.cached_tokens + looks.cached_tokens,
            completion_tokens=self._completion_tokens + looks.completion_tokens,
            latency_ms=last.latency_ms + looks.latency_ms,
            tries=self._tries,
            failed_tries=tuple(self.failed_tries),
            endpoint=last.endpoint,
            model=last.model,
            token_logprobs=reply.completion.token_logprobs if reply.completion else (),
            token_chars=reply.completion.token_chars if reply.completion else (),
            looks=looks.values,
        )

    def failed(self, code: Code, message: str, endpoint: str = "") -> Attempt:
        last = self.completions[-1] if self.completions else None
        return Attempt(
            request_id=self.request.request_id,
            status="failed",
            completion=last.text if last else None,
            triples=(),
            error_code=code,
            error_message=message,
            prompt_tokens=last.prompt_tokens if last else 0,
            cached_tokens=last.cached_tokens if last else 0,
            completion_tokens=self._completion_tokens,
            latency_ms=last.latency_ms if last else 0.0,
            tries=self._tries,
            failed_tries=tuple(self.failed_tries),
            endpoint=last.endpoint if last else endpoint or None,
            model=last.model if last else None,
        )

    @property
    def _tries(self) -> int:
        return len(self.completions) + self.unanswered

    @property
    def _completion_tokens(self) -> int:
        return sum(completion.completion_tokens for completion in self.completions)


def halve(request: Request) -> tuple[Request, Request] | None:
    """The chunk in two: between the sentences nearest to its middle, else between words; None if it is one word.

    The second half goes without the context, of which it is not the continuation; where the cut may part a name, it
    has a few characters that tell so.
    """
    text = request.text
    bounds = [end for end in sentence_ends(text, 0, len(text)) if end < len(text)]
    bounds = bounds or [match.end() for match in _CLAUSE_END.finditer(text) if match.end() < len(text)]
    hard = not bounds
    bounds = bounds or [bound for bound in unit_bounds(text) if 0 < bound < len(text)]
    if not bounds:
        return None
    cut = min(bounds, key=lambda bound: abs(2 * bound - len(text)))
    told = text[cut - _TELLING : cut] if hard and cut > 2 * _TELLING else ""
    return replace(request, text=text[:cut]), replace(request, text=text[cut:], context=told)


def join_answers(answers: list[tuple[str, bool]]) -> tuple[str, bool]:
    """Good answers, each with whether it was cut, as one; where one was cut the joined one is left open too.

    The joined one has the form of arrays, whatever they had: an answer is read in any.
    """
    parsed = [parse_answer(text, truncated=truncated) for text, truncated in answers]
    items = [item for each in parsed for item in each.items]
    text = ARRAYS.write(items)
    cut = not all(each.complete for each in parsed)
    return (text[:-1] if cut else text), cut
