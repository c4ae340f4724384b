"""The columns of every table, declared once for Spark and for Arrow.

`mapInArrow` matches columns by position, so both sides take their schema from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

from triplelake.types import LANGS

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

STRING, INT, LONG, DOUBLE, BOOLEAN = pa.string(), pa.int32(), pa.int64(), pa.float64(), pa.bool_()
FLOAT, SHORT = pa.float32(), pa.int16()
TIMESTAMP = pa.timestamp("us", tz="UTC")

SEQUENCE = "sequence"
"""The column by which a table's rows are ordered; `Store.append` fills it."""

SCHEMA_VERSION = 5
"""Raised whenever a column changes; kept as a property of each table."""

VERSION_COLUMNS = ["doc_id", "doc_version"]
"""The columns that name a version of a document."""

EXTRACTION_COLUMNS = [*VERSION_COLUMNS, "extraction_key"]
"""The columns that name a version of a document as it was extracted under one extraction key."""


@dataclass(frozen=True)
class Column:
    """A column: its name, its type, and what it means."""

    name: str
    type: pa.DataType
    comment: str


@dataclass(frozen=True)
class Table:
    """A table of the lake.

    Args:
        cluster_by: columns of liquid clustering, at most four (more would raise the reader version).
    """

    name: str
    comment: str
    columns: tuple[Column, ...]
    cluster_by: tuple[str, ...] = ()

    @cached_property
    def spark(self) -> StructType:
        """The columns as Spark's schema, all nullable, with their comments."""
        # Here, because the names and types of columns are also read where there is no Spark.
        from pyspark.sql.pandas.types import from_arrow_type
        from pyspark.sql.types import StructField, StructType

        return StructType(
            [StructField(c.name, from_arrow_type(c.type), True, {"comment": c.comment}) for c in self.columns]
        )

    @cached_property
    def arrow(self) -> pa.Schema:
        """The columns as Arrow's schema, in the same order."""
        return pa.schema([(column.name, column.type) for column in self.columns])

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]


_DOC_ID = Column("doc_id", STRING, "The document: id column, path below the input root, or content hash")
_DOC_VERSION = Column("doc_version", STRING, "Hash of the document's text and title")
_KEY = Column("extraction_key", STRING, "Hash of everything that can change an answer")
_REQUEST_ID = Column("request_id", STRING, "Hash of extraction key, language, text, title and context")
_PLAN_ID = Column("plan_id", STRING, "The plan that this belongs to")
_RUN_ID = Column("run_id", STRING, "The run that wrote this row")
_LANG = Column("lang", STRING, f"Language asked in: {', '.join(LANGS[:-1])} or {LANGS[-1]}")
_SEQUENCE = Column(SEQUENCE, LONG, "Rank of the commit that wrote it: a later one is newer, whatever clocks say")
_DERIVATION = Column("derivation", STRING, "Version of parsing, grounding and normalising, and the answers that lacked")

DOCUMENTS = Table(
    "documents",
    "States of documents; the newest row of a document counts",
    (
        _DOC_ID,
        _DOC_VERSION,
        _KEY,
        Column("source", STRING, "File or table that it came from"),
        Column("place", STRING, "Where in the source: line, item, byte"),
        Column("title", STRING, "Title, where a title column was named"),
        Column("meta", pa.map_(STRING, STRING), "The kept columns"),
        _LANG,
        Column("chunks", INT, "Number of chunks"),
        Column("failed", INT, "Chunks whose request failed"),
        Column("state", STRING, "planned, published, removed or rejected"),
        Column("reason", STRING, "Why it was rejected"),
        _DERIVATION,
        _PLAN_ID,
        _RUN_ID,
        _SEQUENCE,
        Column("state_at", TIMESTAMP, "When the document came to this state, by the driver's clock"),
    ),
)

CHUNKS = Table(
    "chunks",
    "Slices of document versions; in order of ordinal they tile the text",
    (
        Column("chunk_id", STRING, "Hash of document, version, key and ordinal"),
        _DOC_ID,
        _DOC_VERSION,
        _KEY,
        Column("ordinal", INT, "Rank in the document, from 0"),
        Column("char_start", INT, "First code point in the document's text"),
        Column("char_end", INT, "Code point after the last"),
        Column("text", STRING, "text[char_start:char_end] of the document"),
        Column("title", STRING, "Title shown with it; empty if none"),
        Column("context", STRING, "Preceding text shown with it; empty if none"),
        _LANG,
        _REQUEST_ID,
        Column("est_tokens", INT, "Estimated tokens of title, context and text"),
    ),
)

PLANS = Table(
    "plans",
    "Complete work lists; a plan without its row here never began",
    (
        _PLAN_ID,
        _KEY,
        Column("command_hash", STRING, "Hash of the settings that choose the work"),
        Column("input_fingerprint", STRING, "Hash of the input's files or table versions"),
        Column("documents", LONG, "Documents planned"),
        Column("chunks", LONG, "Their chunks"),
        Column("requests", LONG, "Requests to ask"),
        Column("reused", LONG, "Requests whose answer was already there"),
        Column("est_tokens", LONG, "Estimated tokens of the requests to ask, without the fixed prefix"),
        _RUN_ID,
        _SEQUENCE,
        Column("planned_at", TIMESTAMP, "When the plan was complete, by the driver's clock"),
    ),
)

REQUESTS = Table(
    "requests",
    "Work of a plan; maintenance may drop it once the plan is finished",
    (
        _PLAN_ID,
        Column("bucket", LONG, "Requests of one bucket share the prompt's prefix and are asked together"),
        _REQUEST_ID,
        Column("text", STRING, "The chunk"),
        Column("title", STRING, "Title; empty if none"),
        Column("context", STRING, "Preceding text; empty if none"),
        _LANG,
        Column("est_tokens", INT, "Estimated tokens of title, context and text"),
    ),
)

_FAILED_TRY = pa.struct([("endpoint", STRING), ("code", STRING)])
_TRIPLE = pa.struct([("subject", STRING), ("predicate", STRING), ("object", STRING)])

ATTEMPTS = Table(
    "attempts",
    "Answered requests, append-only",
    (
        _REQUEST_ID,
        _KEY,
        _PLAN_ID,
        Column("wave", INT, "Wave of the plan, lane included"),
        Column("status", STRING, "ok, empty or failed"),
        Column("completion", STRING, "The raw answer, closed before the first triple that it repeats"),
        Column("triples", pa.list_(_TRIPLE), "What the worker read in it"),
        Column("error_code", STRING, "Why it failed; `truncated` if the tail of a good answer was cut"),
        Column("error_message", STRING, "The same for people"),
        Column("prompt_tokens", INT, "Tokens of the prompt, and of those of its looks"),
        Column("cached_tokens", INT, "Those of them that the slot still held"),
        Column("completion_tokens", INT, "Decoded tokens, all tries and looks"),
        Column(
            "latency_ms", DOUBLE, "From sending to holding the answer, and the same of each of its looks, milliseconds"
        ),
        Column("tries", INT, "Times that the question was put to a server, looks not counted"),
        Column(
            "failed_tries", pa.list_(_FAILED_TRY), "Those of them that brought no good answer, with server and cause"
        ),
        Column("endpoint", STRING, "Server that answered"),
        Column("model", STRING, "Model alias in the answer"),
        Column(
            "token_logprobs",
            pa.list_(FLOAT),
            "Log probability of each token of the answer, before the grammar; null: not asked, or asked in halves",
        ),
        Column("token_chars", pa.list_(SHORT), "Characters of the answer that each of these tokens begins"),
        Column(
            "looks",
            pa.list_(FLOAT),
            "Log probability of yes for each triple of the completion, asked alone; null: not asked, or not known",
        ),
        _SEQUENCE,
        Column("finished_at", TIMESTAMP, "When the answer was there, by the executor's clock"),
    ),
)

TRIPLES = Table(
    "triples",
    "Mentions of facts in documents, with exact offsets",
    (
        Column("triple_id", STRING, "Hash of document, fact, evidence and rank among equals; survives a re-run"),
        Column("fact_id", STRING, "Hash of the keys of the fact's subject and object and of its predicate"),
        _DOC_ID,
        _DOC_VERSION,
        Column("subject", STRING, "Surface of the subject"),
        Column("predicate", STRING, "Relation id; in open mode the predicate's surface"),
        Column("object", STRING, "Surface of the object"),
        Column("subject_type", STRING, "Type by the relation's signature"),
        Column("object_type", STRING, "Type by the relation's signature"),
        Column("subject_id", STRING, "Hash of the subject's comparison key"),
        Column("object_id", STRING, "Hash of the object's comparison key"),
        Column("fact_predicate", STRING, "Relation that the fact goes under: of two inverse ones the ontology's first"),
        Column("inverted", BOOLEAN, "The fact has the object as its subject: an inverse or symmetric relation"),
        Column("subject_start", INT, "Code points into the document's text, of the title if subject_from is title"),
        Column("subject_end", INT, "Code point after the last"),
        Column("object_start", INT, "Code points into the document's text, of the title if object_from is title"),
        Column("object_end", INT, "Code point after the last"),
        Column("subject_from", STRING, "chunk, title or context"),
        Column("object_from", STRING, "chunk, title or context"),
        Column("span_ambiguous", BOOLEAN, "The surface occurs more than once; the nearest pair was chosen"),
        Column("evidence", STRING, "The sentences that hold the arguments"),
        Column("evidence_start", INT, "Code points into the document's text"),
        Column("evidence_end", INT, "Code point after the last"),
        Column("grounding", STRING, "exact, normalised or none"),
        Column(
            "confidence",
            DOUBLE,
            "Probability that it is right; null where no calibration or no probabilities are known",
        ),
        _LANG,
        Column("flags", pa.list_(STRING), "What to doubt"),
        Column("chunk_id", STRING, "The chunk"),
        _REQUEST_ID,
        _KEY,
        _DERIVATION,
        _RUN_ID,
        Column("extracted_at", TIMESTAMP, "When the answer was there"),
    ),
    cluster_by=("predicate", "subject_id", "object_id", "doc_id"),
)

_ENDPOINT = pa.struct(
    [
        ("url", STRING),
        ("answered", LONG),
        ("failed", LONG),
        ("failed_tries", LONG),
        ("prompt_tokens", LONG),
        ("cached_tokens", LONG),
        ("completion_tokens", LONG),
        ("latency_p50_ms", DOUBLE),
        ("latency_p95_ms", DOUBLE),
        ("latency_p99_ms", DOUBLE),
    ]
)

RUNS = Table(
    "runs",
    "Runs that ended, whatever their end",
    (
        _RUN_ID,
        _PLAN_ID,
        _KEY,
        Column("command", STRING, "extract, probe, republish, maintain or upgrade"),
        Column("settings", STRING, "Effective settings as JSON, without secrets"),
        Column(
            "versions",
            STRING,
            "Versions of triplelake, Spark, Delta, model and grammar engine, and hashes of the files, as JSON",
        ),
        Column("started_at", TIMESTAMP, "When the run began"),
        Column("ended_at", TIMESTAMP, "When it ended"),
        Column("documents", LONG, "Documents published by this run"),
        Column("rejected", LONG, "Records rejected by this run"),
        Column("removed", LONG, "Documents marked removed by this run"),
        Column("chunks", LONG, "Chunks of the plan"),
        Column("requests", LONG, "Requests of the plan"),
        Column("reused", LONG, "Requests of the plan whose answer was already there"),
        Column("answered", LONG, "Requests answered in this run"),
        Column("failed", LONG, "Of these, failed"),
        Column("triples", LONG, "Triples published by this run"),
        Column("prompt_tokens", LONG, "Tokens of the prompts answered in this run"),
        Column("cached_tokens", LONG, "Those of them found in the KV cache"),
        Column("completion_tokens", LONG, "Tokens decoded in this run"),
        Column(
            "endpoints",
            pa.list_(_ENDPOINT),
            "What each server did in this run, looks counted with their answer; failed_tries were put again",
        ),
        Column("failed_tries", pa.map_(STRING, LONG), "Tries in this run that brought no good answer, by cause"),
        Column("asking_s", DOUBLE, "Seconds from the first wave's start to the last one's commit"),
        Column("status", STRING, "succeeded, budget_spent, failed or interrupted"),
        Column("exit_code", INT, "Exit code of the command"),
        Column("error", STRING, "Why it did not succeed"),
        Column("remedy", STRING, "What to do about it"),
        _SEQUENCE,
    ),
)

TABLES = (DOCUMENTS, CHUNKS, PLANS, REQUESTS, ATTEMPTS, TRIPLES, RUNS)
