"""What runs on the executors: one task of a wave asks its requests and returns their attempts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any

import pyarrow as pa
from pyspark import TaskContext

from triplelake.config import AnswerSettings, AskingSettings
from triplelake.engine.arrow import record_batches
from triplelake.pool.clerk import Clerk
from triplelake.pool.desk import Counts, TaskId
from triplelake.pool.desk_http import DeskAddress
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.failures import ServerFailure
from triplelake.pool.protect import protect
from triplelake.pool.router import Answer, Router, Stopped
from triplelake.pool.shares import Share
from triplelake.pool.survey import Engine
from triplelake.pool.window import windowed
from triplelake.prompt.grammar import build_grammar
from triplelake.prompt.ontology import Ontology
from triplelake.prompt.render import Renderer
from triplelake.tables.schemas import ATTEMPTS
from triplelake.triples.derive import Derivation, derive
from triplelake.types import Attempt, Request

log = logging.getLogger(__name__)

POOL_FAILURES = frozenset({"connection", "http_429", "http_503", "loading", "unauthorized"})
"""Failures that say nothing about the request: it gets no row and is asked again in a later wave."""

_GIVE_UP_AFTER = 8
"""Pool failures in a row, each after its own retries, after which a task stops asking."""


@dataclass(frozen=True)
class Assignment:
    """All that a task of a wave must know; Spark pickles it to the executors.

    Args:
        plan_id, wave, key: stamped on every row.
        shares: one per task, by partition: what it may ask where no desk says otherwise.
        endpoints: the whole pool.
        desk: where tasks report and get their windows; None where executors cannot reach the driver.
        prefix_tokens: tokens of the fixed prefix by language, for the limit of tokens per second.
    """

    plan_id: str
    wave: int
    key: str
    shares: tuple[Share, ...]
    endpoints: tuple[Endpoint, ...]
    desk: DeskAddress | None
    asking: AskingSettings
    answer: AnswerSettings
    engine: Engine
    renderer: Renderer
    ontology: Ontology | None
    prefix_tokens: int

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Rows of `requests` to rows of `attempts`; never raises for a request."""
        context = TaskContext.get()
        share = self.shares[context.partitionId() if context else 0]
        router = Router(share, self.asking, others=self.endpoints if self.desk else ())
        try:
            if self.desk is None or context is None:
                yield from record_batches(self._rows(batches, router, _uncounted), ATTEMPTS.arrow)
                return
            task = TaskId(self.wave, context.partitionId(), context.taskAttemptId())
            with Clerk(task, router, self.desk.report) as clerk:
                yield from record_batches(self._rows(batches, router, clerk.add), ATTEMPTS.arrow)
        finally:
            router.close()

    def _rows(
        self, batches: Iterable[pa.RecordBatch], router: Router, count: Callable[[Counts], None]
    ) -> Iterator[dict[str, Any]]:
        asker = Asker(self, router)
        silent = 0
        requests = takewhile(lambda _: not router.stopped, _requests(batches))
        for attempt in windowed(requests, asker.attempt, router.width):
            if attempt is None:
                continue
            if attempt.error_code in POOL_FAILURES:
                silent += 1
                if silent == _GIVE_UP_AFTER:
                    log.warning("task gives up on its endpoints: %s", attempt.error_message)
                    return
                continue
            silent = 0
            count(_counts(attempt))
            yield self._row(attempt)

    def _row(self, attempt: Attempt) -> dict[str, Any]:
        return {
            "request_id": attempt.request_id,
            "extraction_key": self.key,
            "plan_id": self.plan_id,
            "wave": self.wave,
            "status": attempt.status,
            "completion": attempt.completion,
            "triples": [{"subject": t.subject, "predicate": t.predicate, "object": t.object} for t in attempt.triples],
            "error_code": attempt.error_code,
            "error_message": attempt.error_message,
            "prompt_tokens": attempt.prompt_tokens,
            "cached_tokens": attempt.cached_tokens,
            "completion_tokens": attempt.completion_tokens,
            "latency_ms": attempt.latency_ms,
            "tries": attempt.tries,
            "endpoint": attempt.endpoint,
            "model": attempt.model,
            "finished_at": datetime.now(UTC),
        }


class Asker:
    """Asks one request until its answer is good or the ladder ends.

    The ladder: again elsewhere, with a larger limit if the answer was cut, then failed with its code.
    A cut answer whose whole triples are good ends as `ok` with `error_code` `truncated`.
    """

    _RUNGS = 2

    def __init__(self, assignment: Assignment, router: Router) -> None:
        self._work = assignment
        self._router = router

    def attempt(self, request: Request) -> Attempt | None:
        """The final outcome of a request; None if the job stops before there is one."""
        answers: list[Answer] = []
        try:
            derived = self._climb(request, answers)
        except Stopped:
            return None
        except ServerFailure as failure:
            return _failed(request, answers, failure.code, failure.message, failure.endpoint, failure.tries)
        except Exception as error:
            # A defect must not cost the task's other rows; it is queryable in `failures`.
            log.exception("request %s", request.request_id)
            return _failed(request, answers, "internal", f"{type(error).__name__}: {error}", None, 0)
        if derived.error_code not in (None, "truncated"):
            return _failed(request, answers, str(derived.error_code), derived.error_message or "", None, 0)
        return _answered(request, answers, derived)

    def _climb(self, request: Request, answers: list[Answer]) -> Derivation:
        work = self._work
        prompt = protect(work.renderer.render(request).parts, self._router.tokenize)
        grammar = build_grammar(work.engine, request, work.ontology, work.answer)
        limit = work.answer.max_tokens
        while True:
            answer = self._router.ask(
                prompt,
                grammar=grammar,
                max_tokens=limit,
                stop=work.renderer.stop,
                est_tokens=work.prefix_tokens + limit,
                avoid=answers[-1].completion.endpoint if answers else None,
            )
            answers.append(answer)
            completion = answer.completion
            derived = derive(
                request, completion.text, truncated=completion.truncated, ontology=work.ontology, answer=work.answer
            )
            if derived.error_code is None or len(answers) == self._RUNGS:
                return derived
            if completion.truncated:
                limit *= 2


def _uncounted(counts: Counts) -> None:
    """Where there is no desk, what is done is known from the commits alone."""


def _counts(attempt: Attempt) -> Counts:
    return Counts(
        answered=1,
        failed=int(attempt.status == "failed"),
        triples=len(attempt.triples),
        prompt_tokens=attempt.prompt_tokens,
        completion_tokens=attempt.completion_tokens,
    )


def _requests(batches: Iterable[pa.RecordBatch]) -> Iterator[Request]:
    for batch in batches:
        for row in batch.to_pylist():
            yield Request(row["request_id"], row["text"], row["title"], row["context"], row["lang"])


def _answered(request: Request, answers: list[Answer], derived: Derivation) -> Attempt:
    last = answers[-1].completion
    return Attempt(
        request_id=request.request_id,
        status="ok" if derived.triples else "empty",
        completion=last.text,
        triples=derived.triples,
        error_code=derived.error_code,
        error_message=derived.error_message,
        prompt_tokens=last.prompt_tokens,
        cached_tokens=last.cached_tokens,
        completion_tokens=sum(answer.completion.completion_tokens for answer in answers),
        latency_ms=last.latency_ms,
        tries=sum(answer.tries for answer in answers),
        endpoint=last.endpoint,
        model=last.model,
    )


def _failed(
    request: Request, answers: list[Answer], code: str, message: str, endpoint: str | None, tries: int
) -> Attempt:
    last = answers[-1].completion if answers else None
    return Attempt(
        request_id=request.request_id,
        status="failed",
        completion=last.text if last else None,
        triples=(),
        error_code=code,
        error_message=message,
        prompt_tokens=last.prompt_tokens if last else 0,
        cached_tokens=last.cached_tokens if last else 0,
        completion_tokens=sum(answer.completion.completion_tokens for answer in answers),
        latency_ms=last.latency_ms if last else 0.0,
        tries=tries + sum(answer.tries for answer in answers),
        endpoint=last.endpoint if last else endpoint or None,
        model=last.model if last else None,
    )
