"""What is current after any history of runs: the program's own SQL, in SQLite, against a model in plain Python."""

from __future__ import annotations

import os
import sqlite3
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from triplelake.tables.current import QUERIES
from triplelake.tables.views import VIEWS, render

# 200 histories of up to 12 runs; TRIPLELAKE_HISTORIES=100000 is what is run by hand.
_HISTORIES = int(os.environ.get("TRIPLELAKE_HISTORIES", "200"))
_RUNS = 12

_RECORDS = ["doc_id", "doc_version", "source", "kept", "reason"]
_STATES = [*_RECORDS, "extraction_key", "failed", "state", "plan_id", "sequence", "state_at"]

Row = dict[str, Any]
Current = dict[str, tuple[str, str, str, str, int]]
"""The model: version, key, source, kept columns and failed chunks of each document that is there."""


class Tables:
    """The table `documents`, and runs over it as planning and publishing do them, with nothing but the states."""

    def __init__(self) -> None:
        self._sqlite = sqlite3.connect(":memory:")
        self._sqlite.row_factory = sqlite3.Row
        self._sqlite.execute(f"CREATE TABLE documents ({', '.join(_STATES)})")
        self._sqlite.execute(f"CREATE TEMP TABLE records ({', '.join(_RECORDS)})")
        names = {"documents": "documents", "records": "records", "current": "current_documents", "decided": "decided"}
        self._queries = {name: render(query, names) for name, query in (VIEWS | QUERIES).items() if name in _USED}
        self._sqlite.execute(f"CREATE VIEW current_documents AS {self._queries['current_documents']}")

    def close(self) -> None:
        self._sqlite.close()

    def query(self, name: str, args: Mapping[str, object] | None = None) -> list[Row]:
        return [dict(row) for row in self._sqlite.execute(self._queries[name], args or {})]

    def current(self) -> Current:
        names = ("doc_version", "extraction_key", "source", "kept", "failed")
        rows = self.query("current_documents")
        assert len(rows) == len({row["doc_id"] for row in rows})
        return {row["doc_id"]: tuple(row[name] for name in names) for row in rows}

    def read(self, records: Iterable[Row]) -> None:
        self._sqlite.execute("DELETE FROM records")
        self._put("records", _RECORDS, records)

    def append(self, states: Iterable[Row], clock: int) -> None:
        """One commit."""
        sequence = self._sqlite.execute("SELECT coalesce(max(sequence), 0) + 1 FROM documents").fetchone()[0]
        self._put("documents", _STATES, ({**state, "sequence": sequence, "state_at": clock} for state in states))

    def states(self, plan_id: str, state: str) -> list[Row]:
        found = self._sqlite.execute("SELECT * FROM documents WHERE plan_id = ? AND state = ?", (plan_id, state))
        return [dict(row) for row in found]

    def _put(self, table: str, names: list[str], rows: Iterable[Row]) -> None:
        marks = ", ".join("?" * len(names))
        self._sqlite.executemany(
            f"INSERT INTO {table} VALUES ({marks})", [[row.get(name) for name in names] for row in rows]
        )


_USED = ("current_documents", "decided", "lacking", "overtaking")


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("s3a://湖/语料/a.csv", "s3://湖/语料/a.csv"),
        ("s3://湖/语料/a.csv", "s3a://湖/语料/a.csv"),
        ("s3n://lake/a.csv", "s3a://lake/a.csv"),
        ("/語料/a.csv", "file:///語料/a.csv"),
    ],
)
def test_a_source_is_the_same_however_it_is_written(was: str, now: str) -> None:
    tables = Tables()
    there = {"source": was, "kept": "", "extraction_key": "K", "failed": 0, "state": "published", "plan_id": "p"}
    tables.append([{**there, "doc_id": doc_id, "doc_version": "v1"} for doc_id in ("same", "edited", "unread")], 0)
    read = [{"doc_id": "same", "doc_version": "v1"}, {"doc_id": "edited", "doc_version": "v2"}]
    tables.read([*({**each, "source": now, "kept": ""} for each in read), {"source": now, "reason": "cut in half"}])
    decided = {row["doc_id"]: row["decision"] for row in tables.query("decided", {"key": "K", "retry_failed": False})}
    assert decided == {"same": "known", "edited": "changed", None: "rejected"}
    assert [row["doc_id"] for row in tables.query("lacking") if row["lacking"] and not row["unread"]] == []
    tables.close()


_key = st.sampled_from(["K1", "K2"])
_version = st.sampled_from(["v1", "v2"])
_source = st.sampled_from(["a.csv", "b.csv"])
_kept = st.sampled_from(["", "date"])
_document = st.tuples(_version, _source)
_ends = st.sampled_from(["whole", "whole", "whole", "before the seal", "before publishing", "half published"])
_clock = st.integers(-100, 100)
_input = st.dictionaries(st.sampled_from("wxyz"), _document, max_size=4)


class Histories(RuleBasedStateMachine):
    """Runs with other settings, inputs, modes, failures, ends and clocks, over one output."""

    def __init__(self) -> None:
        super().__init__()
        self.tables = Tables()
        self.model: Current = {}
        self.answered: set[tuple[str, str]] = set()
        """What was answered, by key and version: a document here is one question."""
        self.asked = 0
        self.plans: dict[tuple[object, ...], str] = {}
        """Sealed plans by their command and input: the newest."""

    def teardown(self) -> None:
        self.tables.close()

    commands = Bundle("commands")

    @rule(
        target=commands,
        key=_key,
        documents=_input,
        kept=_kept,
        unread=st.sets(_source),
        replace=st.booleans(),
        limited=st.booleans(),
        retry=st.booleans(),
        failing=st.sets(_version),
        ends=_ends,
        clock=_clock,
    )
    def run(
        self,
        key: str,
        documents: dict[str, tuple[str, str]],
        kept: str,
        unread: set[str],
        replace: bool,
        limited: bool,
        retry: bool,
        failing: set[str],
        ends: str,
        clock: int,
    ) -> Row:
        """A run from its start to its end, or to a crash; returns its command."""
        given = {
            "key": key,
            "documents": documents,
            "kept": kept,
            "unread": unread,
            "replace": replace,
            "limited": limited,
        }
        chosen = dict(sorted(documents.items())[:1]) if limited else documents
        removes = replace and not limited
        command = (key, kept, replace, limited, retry, tuple(sorted(documents.items())), tuple(sorted(unread)))
        before = dict(self.model)
        plan_id, done = self._plan(command, key, chosen, kept, unread, removes, retry, ends, clock)
        if removes and not done:
            whole = {source for _, source in chosen.values()} - unread
            for doc_id, (_, _, source, _, _) in before.items():
                if doc_id not in chosen and (not unread or source in whole):
                    del self.model[doc_id]
        if plan_id is not None:
            self._publish(plan_id, key, failing, ends, clock)
        if ends != "whole":
            return given
        current = self.tables.current()
        for doc_id, (version, source) in chosen.items():
            assert current[doc_id][:4] == (version, key, source, kept), "a document of the input is not current"
            # Who goes on with an interrupted plan has asked some of it already.
            asked_for = retry and not done
            assert not (asked_for and current[doc_id][4]) or version in failing, "a failed document was not asked for"
        return given

    @rule(command=commands, retry=st.booleans(), failing=st.sets(_version), ends=_ends, clock=_clock)
    def run_again(self, command: Row, retry: bool, failing: set[str], ends: str, clock: int) -> None:
        """An earlier command again, over the same input."""
        self.run(**command, retry=retry, failing=failing, ends=ends, clock=clock)

    def _plan(
        self,
        command: tuple[object, ...],
        key: str,
        documents: dict[str, tuple[str, str]],
        kept: str,
        unread: set[str],
        removes: bool,
        retry: bool,
        ends: str,
        clock: int,
    ) -> tuple[str | None, bool]:
        """The plan to go on with, None if there is none, and whether nothing had to be read."""
        there = self.plans.get(command)
        if there is not None and not self.tables.query("overtaking", {"plan_id": there}):
            published = {row["doc_id"] for row in self.tables.states(there, "published")}
            if {row["doc_id"] for row in self.tables.states(there, "planned")} - published:
                return there, True
            if not retry:
                return None, True
        rejected = [{"source": source, "reason": "cut in half"} for source in sorted(unread)]
        read = [
            {"doc_id": doc_id, "doc_version": version, "source": source, "kept": kept}
            for doc_id, (version, source) in documents.items()
        ]
        self.tables.read([*read, *rejected])
        decided = self.tables.query("decided", {"key": key, "retry_failed": retry})
        plan_id = uuid.uuid4().hex
        planned = [
            {**row, "extraction_key": key, "state": "planned", "plan_id": plan_id}
            for row in decided
            if row["decision"] not in ("known", "rejected")
        ]
        removed = []
        if removes:
            lacking = self.tables.query("lacking")
            removed = [
                {**row, "state": "removed", "plan_id": plan_id, "extraction_key": key}
                for row in lacking
                if row["lacking"] and not row["unread"]
            ]
        if planned or removed:
            self.tables.append([*planned, *removed], clock)
        if not planned or ends == "before the seal":
            return None, False
        self.plans[command] = plan_id
        return plan_id, False

    def _publish(self, plan_id: str, key: str, failing: set[str], ends: str, clock: int) -> None:
        published = {row["doc_id"] for row in self.tables.states(plan_id, "published")}
        opened = [row for row in self.tables.states(plan_id, "planned") if row["doc_id"] not in published]
        if ends == "before publishing":
            return
        if ends == "half published":
            opened = opened[: len(opened) // 2]
        for row in opened:
            question = (key, row["doc_version"])
            if question not in self.answered:
                self.asked += 1
                if row["doc_version"] not in failing:
                    self.answered.add(question)
            failed = int(question not in self.answered)
            self.tables.append([{**row, "state": "published", "failed": failed}], clock)
            self.model[row["doc_id"]] = (row["doc_version"], key, row["source"], row["kept"], failed)

    @invariant()
    def what_is_current_is_what_the_model_says(self) -> None:
        assert self.tables.current() == self.model


class TestHistories(Histories.TestCase):  # type: ignore[valid-type,misc]  # Hypothesis makes it as it runs
    settings = settings(
        max_examples=_HISTORIES,
        stateful_step_count=_RUNS,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def test_an_older_plan_that_settles_later_overtakes() -> None:
    """Found by one of some thousand histories: of two interrupted plans the older one is gone on with first."""
    histories = Histories()
    at_k1: dict[str, Any] = {"key": "K1", "kept": "", "unread": set(), "replace": False, "limited": False}
    two: dict[str, Any] = {"documents": {"w": ("v2", "a.csv"), "x": ("v1", "a.csv")}, **at_k1}
    edited: dict[str, Any] = {"documents": {"w": ("v1", "a.csv")}, **at_k1}
    fine: dict[str, Any] = {"failing": set(), "ends": "whole", "clock": 0}
    try:
        histories.run(**two, retry=False, **{**fine, "failing": {"v1"}})
        histories.run(**edited, retry=True, **{**fine, "ends": "before publishing"})
        # It asks for x again; w stands as it was.
        histories.run(**two, retry=True, **{**fine, "ends": "before publishing"})
        histories.run(**edited, retry=True, **fine)
        # Checks that every document of its input is current.
        histories.run(**two, retry=True, **fine)
    finally:
        histories.teardown()
