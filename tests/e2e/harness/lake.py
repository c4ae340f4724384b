"""The tables of an output as engines other than Spark read them: delta-rs, and DuckDB over it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from triplelake.config import AnswerSettings
from triplelake.prompt.ontology import Ontology
from triplelake.readings import join_lines
from triplelake.tables.mentions import AnsweredChunk, document_rows
from triplelake.tables.schemas import TABLES
from triplelake.tables.views import VIEWS, render

Row = dict[str, Any]
_NAMES = [table.name for table in TABLES]


class Lake:
    """An output at a path."""

    def __init__(self, output: Path) -> None:
        self._output = output

    def rows(self, table: str) -> list[Row]:
        """All rows of a table, in no order."""
        found: list[Row] = self._arrow(table).to_pylist()
        return found

    def view(self, name: str, where: str = "true") -> list[Row]:
        """The rows of a view, by the project's own SQL."""
        return self.query(f"SELECT * FROM {name} WHERE {where}")

    def query(self, sql: str) -> list[Row]:
        """A query over tables and views by their plain names."""
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            for table in _NAMES:
                connection.register(table, self.delta(table).to_pyarrow_dataset())
            names = {name: name for name in (*VIEWS, *_NAMES)}
            for view, query in VIEWS.items():
                connection.execute(f"CREATE VIEW {view} AS {render(query, names, 'duckdb')}")
            found: list[Row] = connection.sql(sql).to_arrow_table().to_pylist()
            return found

    def version(self, table: str) -> int:
        """The newest version of a table; -1 if it is not there. Reads file names only, so it can be asked often."""
        log = self._output / table / "_delta_log"
        return max((int(file.stem) for file in log.glob("*[0-9].json")), default=-1)

    def versions(self) -> dict[str, int]:
        return {table: self.version(table) for table in _NAMES}

    def counts(self) -> dict[str, int]:
        return {table: self._arrow(table).num_rows for table in _NAMES}

    def delta(self, table: str) -> DeltaTable:
        return DeltaTable(self._output / table)

    def _arrow(self, table: str) -> pa.Table:
        return self.delta(table).to_pyarrow_table()


def documents(lake: Lake) -> dict[tuple[str, str], tuple[str, str]]:
    """Text and title of every document version, put together from chunks, which must tile it."""
    texts: dict[tuple[str, str], tuple[str, str]] = {}
    for chunk in sorted(lake.rows("chunks"), key=lambda row: (row["doc_id"], row["doc_version"], row["ordinal"])):
        version = (chunk["doc_id"], chunk["doc_version"])
        text, _ = texts.get(version, ("", ""))
        assert (chunk["char_start"], chunk["char_end"]) == (len(text), len(text) + len(chunk["text"]))
        assert text.endswith(chunk["context"])
        texts[version] = (text + chunk["text"], chunk["title"])
    return texts


def check_offsets(lake: Lake) -> int:
    """Every triple's offsets give back its surface; returns how many triples there are."""
    texts = documents(lake)
    triples = lake.rows("triples")
    for triple in triples:
        text, title = texts[triple["doc_id"], triple["doc_version"]]
        for role in ("subject", "object"):
            place = title if triple[f"{role}_from"] == "title" else text
            held = place[triple[f"{role}_start"] : triple[f"{role}_end"]]
            assert join_lines(held) == triple[role]
            assert held == triple[role] or triple["grounding"] == "normalised"
        assert text[triple["evidence_start"] : triple["evidence_end"]] == triple["evidence"]
        assert triple["grounding"] in ("exact", "normalised")
    return len(triples)


def check_derived(lake: Lake, ontology: Ontology | None, answer: AnswerSettings) -> None:
    """The triples are those that the stored answers give, neither more nor less; of any confidence."""
    replies = {row["request_id"]: row for row in lake.view("answers")}
    published = {(row["doc_id"], row["doc_version"]) for row in lake.rows("documents") if row["state"] == "published"}
    chunks: dict[tuple[str, str], list[AnsweredChunk]] = {version: [] for version in published}
    for chunk in lake.rows("chunks"):
        version = (chunk["doc_id"], chunk["doc_version"])
        if version in published:
            reply = replies[chunk["request_id"]]
            chunks[version].append(_answered(chunk, reply))
    expected = [row for each in chunks.values() for row in document_rows(each, ontology, answer)]
    for row in expected:
        del row["confidence"]
    found = [{name: row[name] for name in expected[0]} for row in lake.rows("triples")] if expected else []
    assert sorted(map(str, found)) == sorted(map(str, expected))


def _answered(chunk: Row, reply: Row) -> AnsweredChunk:
    return AnsweredChunk(
        **{name: chunk[name] for name in ("chunk_id", "doc_id", "doc_version", "ordinal", "char_start", "text")},
        **{name: chunk[name] for name in ("title", "context", "lang", "request_id")},
        completion=reply["completion"] if reply["status"] != "failed" else None,
        truncated=reply["error_code"] == "truncated",
        answered_at=reply["finished_at"],
    )


def check_unique(lake: Lake) -> None:
    """Nothing is there twice."""
    for table, columns in {
        "attempts": ("request_id",),
        "chunks": ("chunk_id",),
        "triples": ("triple_id", "doc_version", "extraction_key", "derivation"),
        "requests": ("plan_id", "request_id"),
        "plans": ("plan_id",),
        "runs": ("run_id",),
    }.items():
        keys = [tuple(row[name] for name in columns) for row in lake.rows(table)]
        assert len(keys) == len(set(keys)), f"{table} holds a row twice"
    current = [row["triple_id"] for row in lake.view("current_triples")]
    assert len(current) == len(set(current))
    published = [
        (row["doc_id"], row["doc_version"], row["derivation"], row["plan_id"])
        for row in lake.rows("documents")
        if row["state"] == "published"
    ]
    assert len(published) == len(set(published)), "a plan published a document twice"
