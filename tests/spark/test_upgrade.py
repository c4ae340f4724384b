"""Tables of schema version 2, as that version wrote them, brought to today's, also where it is killed at any step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from deltalake import DeltaTable
from fill import put
from pyspark.sql import DataFrame, SparkSession

from triplelake.errors import OutputError
from triplelake.tables.schemas import ATTEMPTS, DOCUMENTS, PLANS, SCHEMA_VERSION, TABLES
from triplelake.tables.store import Store
from triplelake.tables.upgrade import steps, upgradable
from triplelake.tables.views import select

pytestmark = pytest.mark.spark

_FIXTURE = Path(__file__).parent / "v2" / "kg.zip"
_CURRENT = {"river", "writer", "ship"}


@pytest.fixture
def old(spark: SparkSession, tmp_path: Path) -> Store:
    """An output of version 2: two settings, a removed document, a damaged record, Chinese and English."""
    with ZipFile(_FIXTURE) as archive:
        archive.extractall(tmp_path)
    return Store(spark, str(tmp_path / "kg"))


def test_every_row_outlives_an_upgrade_that_is_killed_at_every_step(old: Store) -> None:
    before = {table.name: old.read(table).count() for table in TABLES}
    states = {tuple(row) for row in old.read(DOCUMENTS).select("doc_id", "state", "run_id", "at").collect()}
    with pytest.raises(OutputError, match=f"has schema version 2, this is {SCHEMA_VERSION}") as refused:
        old.check()
    assert f"triplelake maintain --output {old.output} --upgrade" in refused.value.remedy
    assert upgradable(old)

    done = []
    while left := next(steps(old, "upgrade"), None):  # each time as a new command sees it
        words, step = left
        if not words.endswith(f"schema version {SCHEMA_VERSION}") and not words.startswith(DOCUMENTS.name):
            # What the earlier version's views read of `documents` is still there.
            assert "at" in old.spark.read.table(old.sql_name(DOCUMENTS)).columns
        step()
        assert words not in done, "a step that was done is done again"
        done.append(words)

    assert not upgradable(old)
    assert old.check() == []
    assert {table.name: old.read(table).count() for table in TABLES} == before
    documents = old.read(DOCUMENTS)
    assert {tuple(row) for row in documents.select("doc_id", "state", "run_id", "state_at").collect()} == states
    assert _ordered(documents, "state_at") and _ordered(old.read(PLANS), "planned_at")
    assert {row["doc_id"] for row in select("current_documents", documents=documents).collect()} == _CURRENT
    for table in TABLES:
        delta = DeltaTable(old.location(table))
        assert [field.name for field in delta.schema().fields] == table.names
        assert delta.protocol().min_reader_version == 1
        assert all(field.metadata.get("comment") for field in delta.schema().fields)
        assert delta.metadata().configuration["delta.enableDeletionVectors"] == "false"


def test_tables_of_version_3_gain_the_probabilities_of_answers(spark: SparkSession, tmp_path: Path) -> None:
    store = Store(spark, str(tmp_path / "kg"))
    missing = ("token_logprobs", "token_chars", "looks")
    assert _upgraded(store, 3, missing, {"request_id": "r", "status": "ok", "completion": "[]"}) == {
        **dict.fromkeys(missing),
        "completion": "[]",
    }


def test_tables_of_version_4_gain_the_second_looks(spark: SparkSession, tmp_path: Path) -> None:
    store = Store(spark, str(tmp_path / "kg"))
    known = {"token_logprobs": [-0.5, -0.25], "token_chars": [1, 1], "completion": "[]"}
    assert _upgraded(store, 4, ("looks",), {"request_id": "r", "status": "ok", **known}) == {"looks": None, **known}


def test_what_is_not_known_is_not_touched(old: Store) -> None:
    old.spark.sql(f"ALTER TABLE {old.sql_name(PLANS)} SET TBLPROPERTIES ('triplelake.schemaVersion' = '9')")
    with pytest.raises(OutputError, match="its table `plans` has schema version 9"):
        upgradable(old)
    with pytest.raises(OutputError, match="has schema version") as refused:
        old.check()
    assert refused.value.remedy


def _upgraded(store: Store, version: int, missing: Sequence[str], row: dict[str, Any]) -> dict[str, Any]:
    """Make tables of an earlier version with one row of `attempts`, upgrade them, and tell what the row has then."""
    earlier = replace(ATTEMPTS, columns=tuple(each for each in ATTEMPTS.columns if each.name not in missing))
    store.create([earlier if table is ATTEMPTS else table for table in TABLES])
    put(store, earlier, [row])
    for table in TABLES:
        name = store.sql_name(table)
        store.spark.sql(f"ALTER TABLE {name} SET TBLPROPERTIES ('triplelake.schemaVersion' = '{version}')")
    assert upgradable(store)
    said = [words for words, step in steps(store, "upgrade") if step() is None]
    assert said[0] == f"attempts: {', '.join(missing)} added"
    assert len(said) == 1 + len(TABLES)
    assert store.check() == []
    assert [field.name for field in DeltaTable(store.location(ATTEMPTS)).schema().fields] == ATTEMPTS.names
    (found,) = store.read(ATTEMPTS).collect()
    told = ("completion", "token_logprobs", "token_chars", "looks")
    return {name: found[name] for name in told if name in {"completion", *missing, *row}}


def _ordered(frame: DataFrame, clock: str) -> bool:
    """A later time has a larger sequence, an equal one the same."""
    rows = sorted((row[clock], row["sequence"]) for row in frame.select(clock, "sequence").collect())
    times = sorted({time for time, _ in rows})
    return bool(rows) and all(sequence == times.index(time) + 1 for time, sequence in rows)
