"""What runs on the executors: one task of a wave asks its requests and returns their attempts."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any, TypeAlias

import pyarrow as pa
from pyspark import TaskContext

from triplelake.codes import Code
from triplelake.config import AskingSettings
from triplelake.engine.asking.ladder import Ladder, Method
from triplelake.pool.clerk import Clerk
from triplelake.pool.desk_http import DeskAddress
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.reports import TaskCounts, TaskId
from triplelake.pool.router import Router
from triplelake.pool.shares import Share, in_flight_for
from triplelake.pool.window import windowed
from triplelake.tables.batches import record_batches
from triplelake.tables.schemas import ATTEMPTS
from triplelake.types import Attempt, FailedTry, Request

log = logging.getLogger(__name__)

_GIVE_UP_AFTER = 8
"""Pool failures in a row, each after its own retries, after which a task stops asking."""

Tries: TypeAlias = Counter[tuple[str, str]]
"""How often a question was put in vain, by the server's URL and the code."""


@dataclass(frozen=True)
class Assignment:
    """All that a task of a wave must know; Spark pickles it to the executors.

    Args:
        plan_id, wave, key: stamped on every row.
        shares: one per task, by partition: what it may ask where no desk says otherwise.
        endpoints: the whole pool.
        desk: where tasks report and get their windows; None where executors cannot reach the driver.
        method: how every request is asked.
        unwritten: told the failed tries that stand in no row, by the URL of the server and the code, when a task ends:
            those of requests that are asked again in a later wave.
    """

    plan_id: str
    wave: int
    key: str
    shares: tuple[Share, ...]
    endpoints: tuple[Endpoint, ...]
    desk: DeskAddress | None
    asking: AskingSettings
    method: Method
    unwritten: Callable[[Tries], object] | None = None

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Rows of `requests` to rows of `attempts`; never raises for a request."""
        context = TaskContext.get()
        share = self.shares[context.partitionId() if context else 0]
        # What a desk may give it, where there is one.
        others = self.endpoints if self.desk else ()
        most = in_flight_for(others, len(self.shares)) if others else None
        router = Router(share, self.asking, others=others, most=most, model=self.method.model)
        written: Counter[FailedTry] = Counter()
        try:
            if self.desk is None or context is None:
                yield from record_batches(
                    self._rows(batches, router, _uncounted, written), ATTEMPTS.arrow, instead=unholdable
                )
            else:
                task = TaskId(self.wave, context.partitionId(), context.taskAttemptId())
                with Clerk(task, router, self.desk.report, stage=context.stageId()) as clerk:
                    yield from record_batches(
                        self._rows(batches, router, clerk.add, written), ATTEMPTS.arrow, instead=unholdable
                    )
            if self.unwritten and (left := router.failed_tries - written):
                self.unwritten(Counter({(tried.endpoint, tried.code.value): times for tried, times in left.items()}))
        finally:
            router.close()

    def _rows(
        self,
        batches: Iterable[pa.RecordBatch],
        router: Router,
        count: Callable[[TaskCounts], None],
        written: Counter[FailedTry],
    ) -> Iterator[dict[str, Any]]:
        ladder = Ladder(self.method, router)
        silent = 0
        requests = takewhile(lambda _: not router.stopped, _requests(batches))
        for attempt in windowed(requests, ladder.attempt, router.width):
            if attempt is None:
                continue
            if attempt.error_code and not attempt.error_code.entry.has_row:
                # A key that one server refuses says nothing of the others; the router stops where all refuse it.
                silent += attempt.error_code is not Code.UNAUTHORIZED
                if silent == _GIVE_UP_AFTER:
                    log.warning("task gives up on its endpoints: %s", attempt.error_message)
                    return
                continue
            silent = 0
            written.update(attempt.failed_tries)
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
            "error_code": attempt.error_code and attempt.error_code.value,
            "error_message": attempt.error_message,
            "prompt_tokens": attempt.prompt_tokens,
            "cached_tokens": attempt.cached_tokens,
            "completion_tokens": attempt.completion_tokens,
            "latency_ms": attempt.latency_ms,
            "tries": attempt.tries,
            "failed_tries": [{"endpoint": each.endpoint, "code": each.code.value} for each in attempt.failed_tries],
            "endpoint": attempt.endpoint,
            "model": attempt.model,
            "token_logprobs": attempt.token_logprobs or None,
            "token_chars": attempt.token_chars or None,
            "looks": attempt.looks or None,
            "finished_at": datetime.now(UTC),
        }


def unholdable(row: Mapping[str, Any], error: Exception) -> dict[str, Any]:
    """In place of a row of `attempts` that Arrow cannot hold: its request failed, and why.

    Whatever a server sends is checked where it is read, so that this is the last guard: a row that raises would cost
    all rows of its task, on every try.
    """
    log.warning("the row of request %s cannot be written: %s", row["request_id"], ascii(error))
    kept = {name: row[name] for name in ("request_id", "extraction_key", "plan_id", "wave", "finished_at")}
    message = f"the row cannot be written ({type(error).__name__})"
    nothing = {"triples": [], "failed_tries": [], "tries": 1, "latency_ms": 0.0}
    counts = dict.fromkeys(("prompt_tokens", "cached_tokens", "completion_tokens"), 0)
    return {**kept, **nothing, **counts, "status": "failed", "error_code": Code.BAD_ANSWER, "error_message": message}


def _uncounted(counts: TaskCounts) -> None:
    """Where there is no desk, what is done is known from the commits alone."""


def _counts(attempt: Attempt) -> TaskCounts:
    return TaskCounts(
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
