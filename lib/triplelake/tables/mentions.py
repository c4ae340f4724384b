"""From a document's chunks and their raw answers to rows of `triples`, without Spark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import repeat
from typing import Any

from triplelake.config import AnswerSettings
from triplelake.prompt.ontology import Ontology
from triplelake.triples.confidence import Calibration, Features, features
from triplelake.triples.derive import derive
from triplelake.triples.facts import Facts
from triplelake.triples.identity import entity_id, fact_id, triple_id
from triplelake.types import Lang, Request, Span, Triple


@dataclass(frozen=True, slots=True)
class AnsweredChunk:
    """A chunk joined with the answer to its request.

    Args:
        completion: the raw answer; None if the request failed.
        truncated: the tail of the answer was cut.
        answered_at: when the answer was there.
        token_logprobs, token_chars: of the answer's tokens, as a `Completion` has them, where they are known.
        looks: at the answer's triples, as an `Attempt` has them, where there are any.
    """

    chunk_id: str
    doc_id: str
    doc_version: str
    ordinal: int
    char_start: int
    text: str
    title: str
    context: str
    lang: Lang
    request_id: str
    completion: str | None
    truncated: bool
    answered_at: datetime | None
    token_logprobs: Sequence[float] | None = None
    token_chars: Sequence[int] | None = None
    looks: Sequence[float | None] | None = None

    @property
    def request(self) -> Request:
        return Request(self.request_id, self.text, self.title, self.context, self.lang)

    def in_document(self, span: Span) -> tuple[int, int]:
        """A span of the request as offsets into the document's text; into the title for a title span."""
        shift = {"chunk": self.char_start, "context": self.char_start - len(self.context), "title": 0}[span.source]
        return span.start + shift, span.end + shift


@dataclass(frozen=True, slots=True)
class MentionRow:
    """A row of `triples`, and what is known of how sure it is; `features` is None where probabilities are not."""

    row: dict[str, Any]
    features: Features | None


def document_rows(
    chunks: Iterable[AnsweredChunk],
    ontology: Ontology | None,
    answer: AnswerSettings,
    calibration: Calibration | None = None,
) -> Iterator[dict[str, Any]]:
    """Rows of `triples` of one document version, in the order of the text.

    Args:
        chunks: all chunks of the document version.
        calibration: what `confidence` is made with; None leaves it null.

    Yields:
        As `mentions`, with `confidence`.
    """
    for mention in mentions(chunks, ontology, answer):
        sure = None
        if calibration is not None and mention.features is not None:
            sure = calibration.confidence(mention.features, mention.row["predicate"])
        yield mention.row | {"confidence": sure}


def mentions(
    chunks: Iterable[AnsweredChunk], ontology: Ontology | None, answer: AnswerSettings
) -> Iterator[MentionRow]:
    """The triples of one document version, in the order of the text.

    Args:
        chunks: all chunks of the document version.

    Yields:
        The columns of `triples` that depend on the document alone; the caller adds key, derivation and run.
    """
    facts = Facts(ontology)
    ranks: Counter[tuple[str, str]] = Counter()
    for chunk in sorted(chunks, key=lambda chunk: chunk.ordinal):
        if chunk.completion is None:
            continue
        derived = derive(chunk.request, chunk.completion, truncated=chunk.truncated, ontology=ontology, answer=answer)
        tokens = (chunk.token_logprobs or (), chunk.token_chars or ())
        told = features(chunk.request, derived, *tokens, chunk.looks or ())
        known: Iterable[Features | None] = repeat(None) if told is None else told
        for triple, of_triple in zip(derived.triples, known, strict=False):
            row = _row(chunk, triple, facts)
            same = (row["fact_id"], row["evidence"])
            row["triple_id"] = triple_id(chunk.doc_id, *same, ranks[same])
            ranks[same] += 1
            yield MentionRow(row, of_triple)


def _row(chunk: AnsweredChunk, triple: Triple, facts: Facts) -> dict[str, Any]:
    said = (triple.subject, triple.predicate, triple.object)
    reading = facts.reading(*said)
    evidence_start, evidence_end = chunk.in_document(triple.evidence)
    return {
        "fact_id": fact_id(*facts.fact(*said)),
        "doc_id": chunk.doc_id,
        "doc_version": chunk.doc_version,
        "subject": triple.subject,
        "predicate": triple.predicate,
        "object": triple.object,
        "subject_type": triple.subject_type,
        "object_type": triple.object_type,
        "subject_id": entity_id(triple.subject),
        "object_id": entity_id(triple.object),
        "fact_predicate": reading.predicate,
        "inverted": reading.inverted,
        **_argument("subject", chunk, triple.subject_span),
        **_argument("object", chunk, triple.object_span),
        "span_ambiguous": triple.span_ambiguous,
        "evidence": chunk.text[triple.evidence.start : triple.evidence.end],
        "evidence_start": evidence_start,
        "evidence_end": evidence_end,
        "grounding": triple.grounding,
        "lang": chunk.lang,
        "flags": list(triple.flags),
        "chunk_id": chunk.chunk_id,
        "request_id": chunk.request_id,
        "extracted_at": chunk.answered_at,
    }


def _argument(role: str, chunk: AnsweredChunk, span: Span | None) -> dict[str, Any]:
    start, end = chunk.in_document(span) if span else (None, None)
    return {f"{role}_start": start, f"{role}_end": end, f"{role}_from": span.source if span else None}
