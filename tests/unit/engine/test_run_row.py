"""The row that a run leaves in `runs`, whatever its end."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import Any, cast

import pytest

from triplelake.config import load_settings
from triplelake.engine.asking.tally import EndpointTally, Tally
from triplelake.engine.run_row import RunRow
from triplelake.errors import (
    BudgetSpent,
    InputError,
    Interrupted,
    OutputError,
    PoolError,
    SetupError,
    TooManyFailures,
    TriplelakeError,
    UsageError,
)
from triplelake.tables.schemas import RUNS, SEQUENCE, Table

NO_LEASE = cast(Any, nullcontext())


class Runs:
    """An output that keeps the rows of `runs`."""

    output = "kg"

    def __init__(self, *, there: bool = True, full: bool = False) -> None:
        self._there = there
        self._full = full
        self.rows: list[dict[str, Any]] = []

    def exists(self, table: Table) -> bool:
        return self._there

    def append_row(self, table: Table, row: dict[str, Any], *, run_id: str) -> None:
        if self._full:
            raise OSError("No space left on device")
        assert table is RUNS
        self.rows.append(row)


def row_of(error: BaseException | None = None, *, run_row: RunRow | None = None) -> dict[str, Any]:
    """The row of a run that ends like this."""
    runs = Runs()
    made = run_row or RunRow("extract", load_settings(None, {}, {}))
    if error is None:
        with made.recorded(cast(Any, runs), NO_LEASE):
            pass
    else:
        with pytest.raises(BaseException) as caught, made.recorded(cast(Any, runs), NO_LEASE):
            raise error
        assert caught.value is error or isinstance(error, KeyboardInterrupt)
    [row] = runs.rows
    assert set(row) == set(RUNS.names) - {SEQUENCE}
    return row


def test_a_run_that_ends_well() -> None:
    row = row_of()
    assert (row["status"], row["exit_code"], row["error"], row["remedy"]) == ("succeeded", 0, None, None)
    assert row["ended_at"] >= row["started_at"]


@pytest.mark.parametrize(
    ("kind", "exit_code"),
    [
        (TriplelakeError, 1),
        (UsageError, 2),
        (InputError, 3),
        (PoolError, 4),
        (TooManyFailures, 5),
        (OutputError, 6),
        (SetupError, 7),
    ],
)
def test_a_run_that_ends_with_an_error_has_its_exit_code_and_words(kind: type[TriplelakeError], exit_code: int) -> None:
    row = row_of(kind("what", "why", "what to do"))
    assert (row["status"], row["exit_code"]) == ("failed", exit_code)
    assert (row["error"], row["remedy"]) == ("what: why", "what to do")


def test_a_defect_ends_a_run_with_one() -> None:
    row = row_of(ZeroDivisionError("x"))
    assert (row["status"], row["exit_code"]) == ("failed", 1)
    assert "ZeroDivisionError" in row["error"]


@pytest.mark.parametrize(("success", "exit_code"), [(False, 8), (True, 0)])
def test_a_run_that_its_budget_ended_says_so_and_raises_nothing(success: bool, exit_code: int) -> None:
    spent = BudgetSpent("budget.until", "ended the run", "what to do")
    row = row_of(run_row=RunRow("extract", load_settings(None, {"budget.success": success}, {}), spent=spent))
    assert (row["status"], row["exit_code"]) == ("budget_spent", exit_code)
    assert (row["error"], row["remedy"]) == ("budget.until: ended the run", "what to do")


def test_a_signal_ends_a_run_as_interrupted() -> None:
    runs = Runs()
    with (
        pytest.raises(Interrupted) as caught,
        RunRow("extract", load_settings(None, {}, {})).recorded(cast(Any, runs), NO_LEASE),
    ):
        raise KeyboardInterrupt
    [row] = runs.rows
    assert (row["status"], row["exit_code"]) == ("interrupted", 130)
    assert caught.value.subject == "kg" and row["remedy"] == caught.value.remedy


def test_a_run_without_tables_leaves_none_behind() -> None:
    runs = Runs(there=False)
    with (
        pytest.raises(InputError),
        RunRow("extract", load_settings(None, {}, {})).recorded(cast(Any, runs), NO_LEASE),
    ):
        raise InputError("x", "y")
    assert runs.rows == []


def test_what_ended_a_run_is_told_even_where_its_row_cannot_be_written() -> None:
    runs = Runs(full=True)
    with (
        pytest.raises(PoolError, match="why"),
        RunRow("extract", load_settings(None, {}, {})).recorded(cast(Any, runs), NO_LEASE),
    ):
        raise PoolError("pool", "why")


def test_what_was_done_stands_in_the_row() -> None:
    servers = {"http://b": EndpointTally(answered=1), "http://a": EndpointTally(answered=8, failed=1)}
    servers["http://a"].failed_tries["http_503"] = 3
    tally = Tally(10, 1, prompt_tokens=70, cached_tokens=60, completion_tokens=50, seconds=2.5, endpoints=servers)
    settings = load_settings(None, {"api_key": "geheim", "run.lanes": 1}, {})
    run_row = RunRow("probe", settings, versions={"model": "m"}, plan_id="p", extraction_key="k", tally=tally)
    run_row.documents, run_row.rejected, run_row.removed = 3, 2, 4
    run_row.chunks, run_row.requests, run_row.reused, run_row.triples = 5, 10, 6, 20
    row = row_of(run_row=run_row)
    assert (row["command"], row["run_id"], row["plan_id"], row["extraction_key"]) == ("probe", run_row.run_id, "p", "k")
    assert [row[name] for name in ("documents", "rejected", "removed")] == [3, 2, 4]
    assert [row[name] for name in ("chunks", "requests", "reused", "triples")] == [5, 10, 6, 20]
    assert [row[name] for name in ("answered", "failed", "asking_s")] == [10, 1, 2.5]
    assert [row[f"{name}_tokens"] for name in ("prompt", "cached", "completion")] == [70, 60, 50]
    assert [each["url"] for each in row["endpoints"]] == ["http://a", "http://b"]
    assert row["failed_tries"] == {"http_503": 3}
    assert json.loads(row["versions"]) == {"model": "m"}
    assert json.loads(row["settings"])["run"]["lanes"] == 1 and "geheim" not in row["settings"]
