"""Rows of `triples`: their columns, and where in the document what an answer names stands."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from triplelake.config import AnswerSettings
from triplelake.tables.mentions import AnsweredChunk, document_rows
from triplelake.tables.schemas import TRIPLES

BEFORE = "岚砚科技成立于1998年。"
CONTEXT = "它的总部设在栎川市。"
TEXT = "创始人是陶霁言，他毕业于沅澜大学。"
TITLE = "霁禾传媒"
DOCUMENT = BEFORE + CONTEXT + TEXT
ANSWER = AnswerSettings()


def chunk(*said: tuple[str, str, str], **more: Any) -> AnsweredChunk:
    """The last of a document's chunks; its context is the sentence before it."""
    made = AnsweredChunk(
        chunk_id="c1",
        doc_id="d",
        doc_version="v",
        ordinal=1,
        char_start=len(BEFORE + CONTEXT),
        text=TEXT,
        title=TITLE,
        context=CONTEXT,
        lang="zh-Hans",
        request_id="r",
        completion=json.dumps(said, ensure_ascii=False),
        truncated=False,
        answered_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return replace(made, **more)


def rows(*chunks: AnsweredChunk) -> list[dict[str, Any]]:
    return list(document_rows(chunks, None, ANSWER))


def shown(row: dict[str, Any], role: str) -> tuple[str, str]:
    """Where an argument stands, and what stands there."""
    whole = TITLE if row[f"{role}_from"] == "title" else DOCUMENT
    return row[f"{role}_from"], whole[row[f"{role}_start"] : row[f"{role}_end"]]


def test_a_row_has_every_column_but_those_that_publishing_adds() -> None:
    [row] = rows(chunk(("陶霁言", "母校", "沅澜大学")))
    # Arrow makes a column null that a row lacks, and leaves one out that the table lacks.
    assert row.keys() == set(TRIPLES.names) - {"extraction_key", "derivation", "run_id"}


def test_offsets_are_of_the_document_whether_chunk_context_or_title_names_it() -> None:
    of_title, of_context, of_chunk = rows(
        chunk(
            (TITLE, "创始人", "陶霁言"),
            ("陶霁言", "工作地", "栎川市"),
            ("陶霁言", "母校", "沅澜大学"),
        )
    )
    assert (shown(of_title, "subject"), shown(of_title, "object")) == (("title", TITLE), ("chunk", "陶霁言"))
    assert (shown(of_context, "subject"), shown(of_context, "object")) == (("chunk", "陶霁言"), ("context", "栎川市"))
    assert (shown(of_chunk, "subject"), shown(of_chunk, "object")) == (("chunk", "陶霁言"), ("chunk", "沅澜大学"))
    for row in (of_title, of_context, of_chunk):
        assert DOCUMENT[row["evidence_start"] : row["evidence_end"]] == row["evidence"] == TEXT


def test_what_is_not_in_the_text_has_no_place() -> None:
    [row] = document_rows(
        [chunk(("陶霁言", "母校", "栎川大学"))], None, ANSWER.model_copy(update={"grounding": "verify"})
    )
    assert row["grounding"] == "none"
    assert {row[f"{role}_{end}"] for role in ("subject", "object") for end in ("start", "end", "from")} == {None}


def test_rows_come_in_the_order_of_the_text_and_without_the_chunks_that_failed() -> None:
    first = chunk(
        ("岚砚科技", "成立于", "1998年"), ordinal=0, char_start=0, text=BEFORE, context="", title="", chunk_id="c0"
    )
    failed = chunk(ordinal=2, completion=None, chunk_id="c2")
    found = rows(failed, chunk(("陶霁言", "母校", "沅澜大学")), first)
    assert [(row["chunk_id"], row["subject"]) for row in found] == [("c0", "岚砚科技"), ("c1", "陶霁言")]


def test_a_fact_that_a_document_says_twice_in_one_sentence_has_two_ids_that_stay() -> None:
    said = chunk(("陶霁言", "母校", "沅澜大学"))
    again = replace(said, ordinal=2, chunk_id="c2")
    once, twice = rows(said), rows(said, again)
    assert [row["fact_id"] for row in twice] == [once[0]["fact_id"]] * 2
    assert twice[0]["triple_id"] == once[0]["triple_id"] != twice[1]["triple_id"]
    assert rows(again, said) == twice
