"""One answer from question to triples: what was asked, what came back, what became of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F
from rich.console import Console

from triplelake.codes import Code
from triplelake.config import Settings
from triplelake.console import say
from triplelake.engine.asking.open_pool import OpenPool, PromptFiles, open_pool, read_prompt_files
from triplelake.engine.earlier_runs import changes
from triplelake.errors import OutputError, PoolError, UsageError
from triplelake.pool.client_factory import new_client
from triplelake.pool.protect import protect
from triplelake.spark import open_session
from triplelake.tables.schemas import ATTEMPTS, CHUNKS, REQUESTS, SEQUENCE, TRIPLES
from triplelake.tables.store import Store
from triplelake.tables.views import select
from triplelake.triples.derive import DropReason, account
from triplelake.types import Request

_SHORTEST = 6
"""Characters of an id that are taken for a whole one, if no other begins alike."""

_HEX = frozenset("0123456789abcdef")

_DROPPED: Mapping[DropReason, str] = {
    "empty": "an argument is blank",
    "too_long": "an argument is longer than answer.max_entity_chars",
    "unknown_predicate": "its relation is not in the ontology",
    "self_loop": "subject and object are the same",
    "duplicate": "the answer has said it before",
    "not_in_chunk": "neither argument stands in the chunk itself",
    "over_limit": "the answer has more than answer.max_triples",
}


def show_request(settings: Settings, wanted: str, console: Console) -> None:
    """Print all that is known of a request: the exact prompt and grammar, the raw answer, and each triple of it.

    Args:
        wanted: id of a request, or of a triple or chunk that came of it; or the beginning of one.

    Raises:
        UsageError: no output was named, what is wanted is no id, or several ids begin so.
        OutputError: these are not our tables, or there is no such id.
    """
    if settings.output is None:
        raise UsageError("--output", "is missing", "Name the path, or catalog.schema, of the tables.")
    if len(wanted) < _SHORTEST or not set(wanted) <= _HEX:
        reason = f"is no id: it takes at least the first {_SHORTEST} characters of one, of 0-9 and a-f"
        raise UsageError(f"--show-request {wanted}", reason, "Copy request_id from `failures`, or any triple_id.")
    prompt_files = read_prompt_files(settings)
    store = Store(open_session("triplelake show-request"), settings.output)
    store.require()
    found = _find(store, wanted)
    say = _Page(console)
    _tell_request(say, found)
    with _pool(settings, prompt_files) as pool:
        _tell_question(say, found, pool, store)
    _tell_answer(say, found, settings, prompt_files)


@dataclass(frozen=True, slots=True)
class _RequestRecord:
    """A request with what the tables hold of it.

    Args:
        key: what it was asked with, or is planned to be; None if neither.
        chunks: empty if it was asked by a probe, and no run has planned it yet.
        answer: None if it was never answered.
    """

    request: Request
    key: str | None
    chunks: Sequence[Row]
    attempts: Sequence[Row]
    answer: Row | None
    triples: Sequence[Row]


class _Page:
    """Plain text: what a document holds is never markup."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def head(self, title: str) -> None:
        say(self._console, f"\n== {title}", style="bold")

    def say(self, text: str) -> None:
        say(self._console, text)


def _find(store: Store, wanted: str) -> _RequestRecord:
    request_id = _request_id(store, wanted)
    chunks = store.read(CHUNKS).where(F.col("request_id") == request_id).orderBy("doc_id", "ordinal").collect()
    own = store.read(ATTEMPTS).where(F.col("request_id") == request_id)
    attempts = own.orderBy(SEQUENCE, "finished_at").collect()
    answers = select("answers", attempts=own).collect()
    triples = store.read(TRIPLES).where(F.col("request_id") == request_id).collect()
    asked = chunks or store.read(REQUESTS).where(F.col("request_id") == request_id).limit(1).collect()
    request = Request(request_id, *(asked[0][name] for name in ("text", "title", "context", "lang")))
    key = next((str(row["extraction_key"]) for row in (*chunks, *attempts)), None)
    return _RequestRecord(request, key, chunks, attempts, answers[0] if answers else None, triples)


def _request_id(store: Store, wanted: str) -> str:
    named = [
        store.read(CHUNKS).where(F.col(column).startswith(wanted)).select("request_id")
        for column in ("request_id", "chunk_id")
    ]
    named.append(store.read(TRIPLES).where(F.col("triple_id").startswith(wanted)).select("request_id"))
    found = [row[0] for row in reduce(DataFrame.union, named).distinct().limit(2).collect()]
    if not found:
        # A probe asks before there are chunks.
        probed = store.read(REQUESTS).where(F.col("request_id").startswith(wanted))
        found = [row[0] for row in probed.select("request_id").distinct().limit(2).collect()]
    if not found:
        raise OutputError(
            store.output,
            f"holds no request, chunk or triple with the id {wanted}",
            "`SELECT request_id FROM failures`, or any triple_id or chunk_id of the tables.",
        )
    if len(found) > 1:
        raise UsageError(f"--show-request {wanted}", "is the beginning of several ids", "Give more of it.")
    return str(found[0])


@contextmanager
def _pool(settings: Settings, prompt_files: PromptFiles) -> Iterator[OpenPool | PoolError]:
    """The pool, which knows the template and the grammar engine; or why it cannot be asked."""
    with ExitStack() as stack:
        try:
            pool = stack.enter_context(open_pool(settings, prompt_files))
        except PoolError as error:
            yield error
            return
        yield pool


def _tell_request(page: _Page, found: _RequestRecord) -> None:
    request = found.request
    page.head(f"Request {request.request_id}")
    page.say(f"language  {request.lang}")
    if found.chunks:
        first, *more = found.chunks
        place = f"{first['doc_id']}, chunk {first['ordinal']}, from character {first['char_start']}"
        page.say(f"asked for {place}{f' and {len(more):,} more' if more else ''}")
    else:
        page.say("asked for a probe; no run has planned it yet")
    for name in ("title", "context", "text"):
        if value := getattr(request, name):
            page.say(f"{name:<9} {value}")


def _tell_question(page: _Page, found: _RequestRecord, pool: OpenPool | PoolError, store: Store) -> None:
    page.head("Prompt")
    if isinstance(pool, PoolError):
        page.say(f"Not shown: template and grammar engine are the pool's. {pool.subject}: {pool.reason}")
        return
    if found.key not in (None, pool.key):
        page.say("As these settings ask. The answer below was asked with others:")
        for change in changes(store, found.key, pool.settings, pool.versions):
            page.say(f"  {change}")
    rendered = pool.renderer.render(found.request)
    page.say(rendered.text)
    with closing(new_client(pool.survey.endpoints[0], pool.settings.asking.timeout_s)) as server:
        sent = protect(rendered.parts, server.tokenize)
    if not isinstance(sent, str):
        page.say("(A part of it looks like a special token, and is sent as token ids.)")
    page.head(f"Grammar, {pool.survey.engine}")
    method = pool.method
    page.say(method.grammar(found.request))


def _tell_answer(page: _Page, found: _RequestRecord, settings: Settings, prompt_files: PromptFiles) -> None:
    page.head("Answer")
    row = found.answer
    if row is None:
        page.say("None yet: it is planned, and was not asked or its wave was not committed.")
        return
    page.say(
        f"{row['status']}, from {row['endpoint']} ({row['model']}) at {row['finished_at']}: {row['prompt_tokens']} + "
        f"{row['completion_tokens']} tokens, {row['latency_ms'] or 0:,.0f} ms, tries {row['tries']}"
    )
    for each in row["failed_tries"] or ():
        page.say(f"in vain   {each['code']} at {each['endpoint']}")
    if len(found.attempts) > 1:
        page.say(f"It was asked in {len(found.attempts)} runs; this is the answer that counts.")
    if row["error_code"]:
        page.say(f"{row['error_code']}: {row['error_message']}")
    page.say(row["completion"] if row["completion"] is not None else "(no text)")
    if row["completion"] is None:
        return
    page.head("Triples")
    told = account(
        found.request,
        row["completion"],
        truncated=row["error_code"] == Code.TRUNCATED,
        ontology=prompt_files.ontology,
        answer=settings.answer,
    )
    if told.derivation.error_code not in (None, Code.TRUNCATED):
        page.say(f"None: {told.derivation.error_code}: {told.derivation.error_message}")
    published: dict[tuple[Any, ...], str] = {
        (each["subject"], each["predicate"], each["object"]): each["triple_id"] for each in found.triples
    }
    looks = row["looks"] or ()
    for rank, (item, outcome) in enumerate(told.items):
        if isinstance(outcome, str):
            page.say(f"- {' | '.join(item)}\n    left out: {_DROPPED[outcome]}")
            continue
        stored = published.get((outcome.subject, outcome.predicate, outcome.object))
        marks: list[str] = [outcome.grounding, *outcome.flags]
        if rank < len(looks) and looks[rank] is not None:
            marks.append(f"asked about alone, yes with {math.exp(looks[rank]):.2f}")
        page.say(f"+ {outcome.subject} | {outcome.predicate} | {outcome.object}")
        page.say(f"    {', '.join(marks)}; {f'triple {stored}' if stored else 'not published yet'}")
