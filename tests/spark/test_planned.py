"""From documents to the requests of a plan and its buckets, and what the tables tell a later run of an earlier one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fill import put
from pyspark.sql import SparkSession

from triplelake.config import Settings, load_settings
from triplelake.corpus.inputs import find_input
from triplelake.engine.asking.buckets import Bucket, new_buckets, open_buckets
from triplelake.engine.asking.waves import MAX_LANES, Waves
from triplelake.engine.earlier_runs import answers_by_key, changes, last_key, newest_key
from triplelake.engine.planning.plan import Plan
from triplelake.engine.planning.planner import Planner
from triplelake.engine.planning.source import open_source
from triplelake.errors import OutputError
from triplelake.tables.schemas import ATTEMPTS, CHUNKS, PLANS, REQUESTS, RUNS
from triplelake.tables.store import Store

pytestmark = pytest.mark.spark

KEY = "key"
BUCKET = 2
TEXTS = {
    "zh-Hans": ["林若兰生于临川城。", "岚砚科技的总部设在栎川市。", "陶霁言创立了霁禾传媒。"],
    "en": ["Ada was born in Paris.", "Dorian left Lisbon for good.", "Ada was born in Paris."],
}
"""The last one is asked once: it is the question of the first."""


def settings_of(folder: Path, **more: Any) -> Settings:
    given = {"input": (str(folder / "corpus.jsonl"),), "output": str(folder / "kg"), "corpus.id_column": "id"}
    return load_settings(None, given | {name.replace("__", "."): value for name, value in more.items()}, {})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("planned")
    rows = [{"id": f"{lang}{number}", "text": text} for lang in TEXTS for number, text in enumerate(TEXTS[lang])]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (made / "corpus.jsonl").write_text(lines, encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def store(spark: SparkSession, folder: Path) -> Store:
    made = Store(spark, str(folder / "kg"))
    made.create()
    return made


@pytest.fixture(scope="module")
def planner(spark: SparkSession, store: Store, folder: Path) -> Planner:
    settings = settings_of(folder)
    return Planner(store, open_source(spark, settings, find_input(settings)), settings, KEY, "run", BUCKET)


@pytest.fixture(scope="module")
def plan(planner: Planner) -> Plan:
    """The plan of all texts, as a first run writes it."""
    assert planner.find() is None
    with planner.draft() as draft:
        assert draft.asked == {"zh-Hans", "en"} and draft.langs == {"zh-Hans": 3, "zh-Hant": 0, "en": 2}
        assert draft.write() == 0
    return draft.plan


def requests(store: Store, plan: Plan, bucket: int) -> list[str]:
    rows = store.read(REQUESTS).where(f"plan_id = '{plan.plan_id}' AND bucket = {bucket}").orderBy("request_id")
    return [row["request_id"] for row in rows.collect()]


def answer(store: Store, plan_id: str, wave: int, ids: Sequence[str], status: str = "ok", key: str = KEY) -> None:
    row = {"plan_id": plan_id, "extraction_key": key, "wave": wave, "status": status, "tries": 1}
    put(store, ATTEMPTS, [row | {"request_id": each} for each in ids])


def test_a_plan_counts_what_it_writes_and_asks_each_question_once(store: Store, plan: Plan) -> None:
    assert (plan.documents, plan.chunks, plan.requests, plan.reused) == (6, 6, 5, 0)
    assert store.read(CHUNKS).count() == 6 and store.read(REQUESTS).count() == 5
    [sealed] = store.read(PLANS).collect()
    assert (sealed["plan_id"], sealed["requests"], sealed["extraction_key"]) == (plan.plan_id, 5, KEY)
    assert plan.est_tokens == store.read(REQUESTS).groupBy().sum("est_tokens").collect()[0][0] > 0


def test_the_same_command_finds_its_plan_and_another_does_not(planner: Planner, plan: Plan, folder: Path) -> None:
    assert planner.find() == plan
    other = Planner(planner.store, planner.source, settings_of(folder, run__seed=1), KEY, "run", BUCKET)
    assert other.find() is None
    assert Planner(planner.store, planner.source, planner.settings, "another", "run", BUCKET).find() is None


def test_a_bucket_is_of_one_language_and_no_larger_than_asked_for(store: Store, plan: Plan) -> None:
    buckets = new_buckets(store, plan.plan_id)
    assert [(each.lang, each.open) for each in buckets] == [("en", 2), ("zh-Hans", 2), ("zh-Hans", 1)]
    assert len({each.bucket for each in buckets}) == 3 and not any(each.partial for each in buckets)
    assert open_buckets(store, plan.plan_id) == buckets
    assert new_buckets(store, "another") == []


def test_what_is_answered_is_open_no_more(store: Store, planner: Planner, plan: Plan) -> None:
    english, full, rest = new_buckets(store, plan.plan_id)
    done, left = requests(store, plan, english.bucket)
    answer(store, plan.plan_id, 1 + 4 * MAX_LANES, [done])
    answer(store, plan.plan_id, 2 * MAX_LANES, requests(store, plan, rest.bucket), "failed")
    answer(store, "another", 0, [left])
    half = Bucket(english.bucket, "en", 1, partial=True)
    assert open_buckets(store, plan.plan_id) == [half, full]
    assert open_buckets(store, plan.plan_id, [full, rest]) == [full]
    waves = waves_over(store, planner, plan)
    assert [row["request_id"] for row in waves._requests([half]).collect()] == [left]
    ranks = {row["request_id"]: row["_rank"] for row in waves._requests([full]).collect()}
    assert sorted(ranks) == requests(store, plan, full.bucket) and sorted(ranks.values()) == [1, 2]
    cut = waves._requests([replace(full, open=1, cut=True), half]).collect()
    assert sorted(row["request_id"] for row in cut) == sorted([min(ranks, key=ranks.__getitem__), left])
    # Of each lane the version after its last wave, whichever order they came in.
    assert waves._next_versions() == [3, 5]


def waves_over(store: Store, planner: Planner, plan: Plan) -> Waves:
    template = type("Template", (), {"plan_id": plan.plan_id})
    unused = dict.fromkeys(("fleet", "check_pool", "on_wave", "on_tick", "on_stop", "tally", "budget"))
    given: dict[str, Any] = {**unused, "store": store, "template": template, "settings": planner.settings.run}
    return Waves(**given, run_id="r", desk=None)


def ran(
    store: Store, key: str | None, settings: Settings, versions: Mapping[str, str], command: str = "extract"
) -> None:
    row = {"run_id": "r", "plan_id": "p", "extraction_key": key, "command": command, "status": "succeeded"}
    told = {"settings": json.dumps(settings.public()), "versions": json.dumps(dict(versions))}
    put(store, RUNS, [row | told | {"ended_at": datetime.now(UTC)}])


def test_what_an_earlier_run_asked_with_is_found_and_told(store: Store, folder: Path) -> None:
    before, now = settings_of(folder), settings_of(folder, answer__max_tokens=77)
    assert newest_key(store) is None and changes(store, "old", now, {}) == []
    with pytest.raises(OutputError, match="no run with these settings"):
        last_key(store, before)
    ran(store, "old", before, {"model": "m1", "relations": "a", "prompt en": "b"})
    ran(store, None, before, {}, "maintain")
    assert newest_key(store) == "old" == last_key(store, before)
    with pytest.raises(OutputError):
        last_key(store, now)
    limit = before.answer.max_tokens
    assert changes(store, "old", now, {"model": "m1"}) == [f"answer.max_tokens was {limit}, is 77"]
    told = changes(store, "old", before, {"model": "m2", "relations": "a", "prompt en": "c"})
    assert told == ["model was m1, is m2", "the prompt en.yaml says something else than it did"]
    same = {"model": "m1", "relations": "a", "prompt en": "b"}
    assert "a file has other content" in changes(store, "old", before, same)[0]
    ran(store, "new", now, same)
    assert newest_key(store) == "new" == last_key(store, now) and last_key(store, before) == "old"


def test_answers_are_counted_by_what_they_were_asked_with(store: Store) -> None:
    before = answers_by_key(store)
    answer(store, "p", 0, ["x", "y", "x"], key="counted")
    answer(store, "p", 0, ["z"], "failed", key="counted")
    assert answers_by_key(store) == {**before, "counted": 2}
