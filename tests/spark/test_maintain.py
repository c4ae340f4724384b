"""Which work lists nobody needs any more, and which tables gain from being packed."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from fill import put

from triplelake.tables.maintain import Size, as_run, pack, removable, remove, retain, work_lists
from triplelake.tables.schemas import DOCUMENTS, PLANS, REQUESTS
from triplelake.tables.store import Store

pytestmark = pytest.mark.spark

DAY_S = 86_400
_BEGAN = datetime(2026, 1, 2, tzinfo=UTC)


def state(name: str, plan: str, document: str, version: str = "v1") -> dict[str, Any]:
    named = {"doc_id": document, "doc_version": version, "extraction_key": "key"}
    return {**named, "state": name, "plan_id": plan}


def test_a_work_list_is_needed_until_every_document_of_its_plan_is_published(store: Store) -> None:
    planned = [
        *(state("planned", "finished", name) for name in ("a", "b")),
        # Half of it is published.
        *(state("planned", "interrupted", name) for name in ("c", "d")),
        # Its input grew, and the next run planned all of it anew.
        state("planned", "overtaken", "e"),
        *(state("planned", "later", name) for name in ("e", "f")),
        # The document was edited: what was asked of this version nobody has answered.
        state("planned", "of an old text", "f", version="v0"),
    ]
    published = [
        *(state("published", "finished", name) for name in ("a", "b")),
        state("published", "interrupted", "c"),
        *(state("published", "later", name) for name in ("e", "f")),
    ]
    after = [
        # Failed requests are asked again: what is published is from before.
        state("planned", "retry", "a"),
        # The driver died before the plan was whole.
        state("planned", "never begun", "g"),
    ]
    for commit in (planned, published, after):
        put(store, DOCUMENTS, commit)
    plans = ["finished", "interrupted", "overtaken", "later", "of an old text", "retry"]
    put(store, PLANS, [{"plan_id": plan} for plan in plans])
    put(store, REQUESTS, [{"plan_id": plan} for plan in [*plans, "never begun"] for _ in range(2)])

    found = work_lists(store)
    assert {each.rows for each in found} == {2}
    assert {each.plan_id for each in found if each.needed} == {"interrupted", "of an old text", "retry"}
    assert len(found) == len(plans) + 1


@pytest.mark.parametrize(
    ("files", "size", "gains"),
    [(7, 1000, False), (8, 1000, True), (8, 5 << 30, False), (9, 5 << 30, False), (10, 5 << 30, True), (0, 0, False)],
)
def test_packing_pays_where_there_are_many_small_files(files: int, size: int, gains: bool) -> None:
    assert Size(files, size).gains is gains


def test_how_long_files_are_kept_is_said_by_the_table(store: Store) -> None:
    delta = DeltaTable(store.location(PLANS))
    for number in range(2):
        put(store, PLANS, [{"plan_id": str(number)}])
    with as_run(store, "r"):
        pack(store, PLANS)
        for file in Path(store.location(PLANS)).glob("*.parquet"):
            os.utime(file, (time.time() - 10 * DAY_S,) * 2)
        # What was packed just now is needed no more, and is kept for a week; what was never committed is not.
        (Path(store.location(PLANS)) / "left-behind.parquet").touch()
        os.utime(Path(store.location(PLANS)) / "left-behind.parquet", (time.time() - 10 * DAY_S,) * 2)
        assert removable(store, PLANS, at_once=False) == 1
        retain(store, PLANS, 30)
        assert removable(store, PLANS, at_once=False) == 0
        version = newest_version(store)
        retain(store, PLANS, 30)
        assert version == newest_version(store)
        assert removable(store, PLANS, at_once=True) == remove(store, PLANS, at_once=True).files == 3
    delta.update_incremental()
    assert delta.metadata().configuration["delta.deletedFileRetentionDuration"] == "interval 30 days"
    assert (delta.protocol().min_reader_version, delta.protocol().reader_features) == (1, None)
    assert delta.to_pyarrow_table().num_rows == 2
    store.require()


def newest_version(store: Store) -> int:
    row = store.spark.sql(f"DESCRIBE HISTORY {store.sql_name(PLANS)} LIMIT 1").first()
    assert row is not None
    return int(row["version"])


def test_what_is_set_for_maintenance_does_not_stay(store: Store) -> None:
    conf = store.spark.conf
    before = conf.getAll
    with pytest.raises(ZeroDivisionError), as_run(store, "r"):
        assert conf.getAll != before
        raise ZeroDivisionError
    assert conf.getAll == before
