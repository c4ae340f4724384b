"""How a first run makes its tables: under the lease, but for the one beside which that lies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from triplelake.commands import extract
from triplelake.tables.schemas import ATTEMPTS, RUNS, TABLES, Table


class Recorded:
    """A store and a lease that write down what they are asked for."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def create(self, tables: Iterable[Table]) -> None:
        self.done += [table.name for table in tables]

    def take(self) -> None:
        self.done.append("the lease")


@pytest.mark.parametrize(
    ("missing", "done"),
    [
        (TABLES, ["runs", "the lease", *(table.name for table in TABLES if table is not RUNS)]),
        ((ATTEMPTS,), ["attempts"]),  # the lease was taken before, since `runs` is there
        ((), []),
    ],
)
def test_only_who_holds_the_lease_makes_tables(
    missing: tuple[Table, ...], done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = Recorded()
    job: Any = object.__new__(extract._Job)
    job._store = job._lease = recorded
    job._missing = missing
    monkeypatch.setattr(extract, "create_views", lambda store: None)
    job._make_tables()
    assert recorded.done == done
