"""The last guard of a task: a row that Arrow cannot hold costs itself, not its neighbours."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from triplelake.codes import Code
from triplelake.engine.asking.task import unholdable
from triplelake.tables.batches import record_batches
from triplelake.tables.schemas import ATTEMPTS


def row(number: int, **change: Any) -> dict[str, Any]:
    known = {"request_id": f"r{number}", "extraction_key": "k", "plan_id": "p", "wave": 1, "status": "ok", "tries": 1}
    return {**known, "completion": "[]", "triples": [], "finished_at": datetime.now(UTC), **change}


@pytest.mark.parametrize(
    "change",
    [
        {"completion_tokens": 2**31},
        {"completion": "\ud800"},
        {"model": "\udfff"},
        {"error_message": "\ud800"},
        {"triples": [{"subject": "\ud800", "predicate": "p", "object": "o"}]},
        {"latency_ms": "soon"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_one_row_fails_and_the_others_stand(change: dict[str, Any]) -> None:
    rows = [row(0), row(1, **change), row(2)]
    with pytest.raises((ValueError, TypeError, OverflowError, pa.ArrowException)):
        list(record_batches(rows, ATTEMPTS.arrow))
    [batch] = record_batches(rows, ATTEMPTS.arrow, instead=unholdable)
    said = batch.to_pylist()
    assert [each["request_id"] for each in said] == ["r0", "r1", "r2"]
    assert [each["status"] for each in said] == ["ok", "failed", "ok"]
    assert said[1]["error_code"] == Code.BAD_ANSWER
    assert said[1]["completion"] is None
