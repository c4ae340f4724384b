"""What a probe says where questions failed."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from fill import put
from rich.console import Console

from triplelake.commands.probe_messages import tell
from triplelake.config import load_settings
from triplelake.tables.schemas import ATTEMPTS
from triplelake.tables.store import Store

pytestmark = pytest.mark.spark


def test_failures_are_counted_by_cause_and_one_can_be_looked_at(store: Store) -> None:
    failed = {"plan_id": "probe", "status": "failed", "finished_at": datetime(2026, 1, 1, tzinfo=UTC)}
    causes = {"r1": "timeout", "r2": "bad_request", "r3": "timeout"}
    put(store, ATTEMPTS, [{**failed, "request_id": name, "error_code": code} for name, code in causes.items()])
    said = io.StringIO()
    settings = load_settings(None, {}, {})
    tell(Console(file=said), store, "probe", requests=9, slots=2, servers=1, settings=settings)
    lines = [line.strip() for line in said.getvalue().splitlines()]
    assert lines[1:3] == ["2 failed: timeout", "1 failed: bad_request"]
    assert f"--show-request r1 --output {store.output}" in lines[3]
    assert lines[4] == "No answer, no estimate."
