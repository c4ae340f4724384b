"""Whether a source gives other documents because it is read otherwise, or because it has changed."""

from __future__ import annotations

import sqlite3
from types import SimpleNamespace
from typing import Any, cast

import pytest

from triplelake.config import load_settings
from triplelake.engine.planning.reread import Overlap, Reread, differences_of, find_reread, guard_reread
from triplelake.engine.planning.source import Source
from triplelake.errors import InputError
from triplelake.tables.current import QUERIES
from triplelake.tables.store import Store
from triplelake.tables.views import render

Documents = dict[str, list[str]]
"""Ids by source."""


def overlap(current: Documents, read: Documents) -> tuple[Any, ...]:
    """`OVERLAP` in SQLite: lacking, suspects, left over, source, id."""
    there = {doc_id for ids in current.values() for doc_id in ids}
    base = sqlite3.connect(":memory:")
    base.execute("CREATE TABLE current (doc_id, source)")
    base.execute("CREATE TABLE decided (doc_id, source, decision, reason)")
    for source, ids in current.items():
        base.executemany("INSERT INTO current VALUES (?, ?)", [(doc_id, source) for doc_id in ids])
    for source, ids in read.items():
        rows = [(doc_id, source, "known" if doc_id in there else "new", None) for doc_id in ids]
        base.executemany("INSERT INTO decided VALUES (?, ?, ?, ?)", rows)
        base.execute("INSERT INTO decided VALUES (NULL, ?, 'rejected', 'is cut in half')", (source,))
    row = base.execute(render(QUERIES["overlap"], {"decided": "decided", "current": "current"})).fetchone()
    base.close()
    return tuple(row)


NOTHING = (None, None, None, None, None)


@pytest.mark.parametrize(
    ("current", "read", "found"),
    [
        ({}, {"a": ["1", "2"]}, NOTHING),
        ({"a": ["1"]}, {"a": ["1", "2", "3", "4"]}, NOTHING),
        ({"a": ["1"]}, {"b": ["2"]}, NOTHING),
        ({"a": ["1", "2", "3"]}, {"a": ["1", "2", "4"]}, (1, 0, None, None, None)),
        ({"a": ["1", "2", "3"]}, {"a": ["1", "4", "5"]}, (2, 2, 2, "a", "2")),
        ({"a": ["1", "2"], "b": ["3"]}, {"a": ["8", "9"], "b": ["3"], "c": ["7"]}, (2, 2, 2, "a", "1")),
        ({"a": [str(each) for each in range(9)]}, {"a": ["x", "y"]}, (9, 2, 9, "a", "0")),
    ],
    ids=["first run", "growing", "another source", "a little", "most", "one of two sources", "a part of it"],
)
def test_sources_whose_documents_are_mostly_others(current: Documents, read: Documents, found: tuple[Any, ...]) -> None:
    assert overlap(current, read) == found


SOURCE = cast(Source, SimpleNamespace(sample=lambda: [{"text": "x", "body": "y", "headline": "z"}]))


@pytest.mark.parametrize(
    ("then", "now", "told"),
    [
        ({}, {}, []),
        ({}, {"title_column": "headline"}, ["corpus.title_column was not set, is headline"]),
        ({"text_column": "text"}, {"text_column": "body"}, ["corpus.text_column was text, is body"]),
        ({}, {"text_column": "text"}, []),
        ({}, {"html_to_text": False}, []),
        ({}, {"format": "jsonl", "keep_columns": ["a"]}, []),
        ({}, {"format": "lines"}, ["corpus.format was auto, is lines"]),
        ({"id_column": "doc"}, {"id_column": ["doc", "page"]}, ["corpus.id_column was doc, is doc page"]),
        # A feed that is written anew each day has other documents, and may be given a title.
        ({"id_column": "doc"}, {"id_column": "doc", "title_column": "headline"}, []),
    ],
)
def test_settings_that_decide_what_a_document_is(then: dict[str, Any], now: dict[str, Any], told: list[str]) -> None:
    def settings(corpus: dict[str, Any]) -> Any:
        return load_settings(None, {f"corpus.{name}": value for name, value in corpus.items()}, {})

    before = settings(then).public()["corpus"]
    assert list(differences_of(before, settings(now), SOURCE, "/data/news.jsonl")) == told


def test_another_sample_of_the_same_files_is_no_other_reading() -> None:
    nothing = cast(Store, None)  # is not asked
    found = Overlap(lacking=20, suspects=20, left=20, source="a.jsonl", doc_id="x")
    assert find_reread(nothing, SOURCE, load_settings(None, {"run.sample": 20}, {}), found) is None
    assert find_reread(nothing, SOURCE, load_settings(None, {}, {}), Overlap(lacking=3)) is None


def test_a_few_among_many_new_documents_stop_nothing() -> None:
    found = Reread(new=3, left=4, source="a.jsonl", why="corpus.title_column was not set, is headline")
    guard_reread("a.jsonl", found, 6)
    guard_reread("a.jsonl", None, 6)
    with pytest.raises(InputError, match="gives 3 new documents where the output has 4 others") as refused:
        guard_reread("a.jsonl", found, 5)
    assert "a.jsonl: corpus.title_column was not set, is headline\n" in refused.value.remedy
    assert "--mode replace --allow-removals 4" in refused.value.remedy
