"""What a report says, as values; `gather` fills them from tables, `page` shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from triplelake.types import RunCommand, RunStatus

SHOWN_DOCUMENTS = 20
SHOWN_FACTS = 40
SHOWN_RELATIONS = 30
SHOWN_RUNS = 10
SHOWN_CAUSES = 12
SHOWN_CHARS = 3000
"""Of a document's text at most, in code points."""


@dataclass(frozen=True, slots=True)
class OutputCounts:
    """Numbers of the whole output, as it stands.

    Args:
        mentions: triples of the newest state of each document.
        flagged: those of them that `facts` leaves out.
        failed_chunks: whose request failed.
    """

    documents: int
    rejected: int
    chunks: int
    failed_chunks: int
    mentions: int
    flagged: int
    facts: int
    entities: int


@dataclass(frozen=True, slots=True)
class Run:
    """A run that ended; `asking_s` is null where it asked nothing."""

    started_at: datetime
    command: RunCommand
    status: RunStatus
    documents: int
    answered: int
    failed: int
    triples: int
    completion_tokens: int
    asking_s: float | None
    error: str | None

    @property
    def answers_per_s(self) -> float | None:
        return self.answered / self.asking_s if self.asking_s else None

    @property
    def tokens_per_s(self) -> float | None:
        return self.completion_tokens / self.asking_s if self.asking_s else None


@dataclass(frozen=True, slots=True)
class RelationCount:
    """A relation and how often it was found; `flagged` mentions are those to doubt."""

    predicate: str
    mentions: int
    facts: int
    documents: int
    flagged: int


@dataclass(frozen=True, slots=True)
class Cause:
    """Why requests failed or records were rejected, how many, and one of the messages."""

    what: str
    count: int
    example: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a subject or object stands: code points of the document's text, or of its title."""

    start: int
    end: int
    in_title: bool


@dataclass(frozen=True, slots=True)
class Mention:
    """A triple in a document; a place is None where it was not grounded, a confidence where none is known."""

    subject: str
    predicate: str
    object: str
    subject_at: Place | None
    object_at: Place | None
    flags: tuple[str, ...]
    confidence: float | None = None

    @property
    def places(self) -> tuple[Place, ...]:
        return tuple(place for place in (self.subject_at, self.object_at) if place)


@dataclass(frozen=True, slots=True)
class Document:
    """A document with its triples; `cut` if only the first part of the text is there."""

    doc_id: str
    title: str
    text: str
    lang: str
    cut: bool
    mentions: tuple[Mention, ...]


@dataclass(frozen=True, slots=True)
class Edge:
    """A fact; its ends by their ids and names."""

    subject_id: str
    subject: str
    predicate: str
    object_id: str
    object: str
    mentions: int
    documents: int


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a page shows.

    Args:
        model, ontology, input: of the newest run that asked anything.
        support: facts by the number of documents that say them: in 1, in 2, in 3 to 5, in more.
        documents: a sample, chosen by the hash of their ids.
        edges: the facts that most documents say.
    """

    output: str
    made_at: datetime
    model: str
    ontology: str
    input: str
    counts: OutputCounts
    runs: tuple[Run, ...]
    relations: tuple[RelationCount, ...]
    relations_in_all: int
    support: tuple[int, int, int, int]
    failures: tuple[Cause, ...]
    rejections: tuple[Cause, ...]
    documents: tuple[Document, ...]
    edges: tuple[Edge, ...]
