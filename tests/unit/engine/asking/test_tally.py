"""What is counted of the committed waves, server by server."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triplelake.engine.asking.tally import COUNTED, Latencies, Tally, WaveResult, check_failures
from triplelake.errors import TooManyFailures
from triplelake.tables.schemas import ATTEMPTS

A, B = "http://a", "http://b"
_SCHEMA = pa.schema([*(ATTEMPTS.arrow.field(name) for name in COUNTED), ("triples", pa.int32())])


def wave(*rows: dict[str, Any]) -> WaveResult:
    zero = {"status": "ok", "prompt_tokens": 100, "cached_tokens": 90, "completion_tokens": 10, "latency_ms": 50.0}
    full = [zero | {"failed_tries": [], "triples": 2} | row for row in rows]
    return WaveResult(0, len(rows), (), pa.Table.from_pylist(full, schema=_SCHEMA))


def test_every_server_gets_what_is_its_own() -> None:
    tally = Tally()
    tally.add(wave({"endpoint": A}, {"endpoint": B, "failed_tries": [{"endpoint": A, "code": "http_503"}] * 2}), 3.0)
    lost = [{"endpoint": B, "code": "timeout"}]
    tally.add(wave({"endpoint": A}, {"endpoint": B, "status": "failed", "failed_tries": lost, "triples": 0}), 5.0)
    assert (tally.answered, tally.failed, tally.triples, tally.seconds) == (4, 1, 6, 5.0)
    assert (tally.prompt_tokens, tally.cached_tokens, tally.completion_tokens) == (400, 360, 40)
    assert tally.failed_tries == {"http_503": 2, "timeout": 1}
    first, second = tally.endpoints[A].row(A), tally.endpoints[B].row(B)
    assert (first["answered"], first["failed"], first["failed_tries"], first["completion_tokens"]) == (2, 0, 2, 20)
    assert (second["answered"], second["failed"], second["failed_tries"], second["completion_tokens"]) == (1, 1, 1, 20)


def test_a_server_that_only_failed_shows_what_it_did_though_no_row_names_it() -> None:
    tally = Tally()
    unwritten = {(B, "connection"): 40, (A, "http_503"): 1}
    tally.add(replace(wave({"endpoint": A}), unwritten=unwritten), 1.0)
    assert tally.failed_tries == {"connection": 40, "http_503": 1}
    assert (tally.endpoints[B].row(B)["answered"], tally.endpoints[B].row(B)["failed_tries"]) == (0, 40)
    assert (tally.answered, tally.failed) == (1, 0)


def test_a_wave_without_rows_adds_nothing() -> None:
    tally = Tally()
    tally.add(wave(), 1.0)
    assert (tally.answered, tally.triples, tally.endpoints) == (0, 0, {})


def test_a_server_that_answered_nothing_has_no_latency() -> None:
    assert Latencies().percentile(0.5) is None


@given(st.lists(st.floats(0.01, 1e7), min_size=1, max_size=300), st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_percentiles_are_right_to_one_percent(times: list[float], share: float) -> None:
    latencies = Latencies()
    for ms in times:
        latencies.add(ms)
    exact = sorted(times)[max(0, math.ceil(share * len(times)) - 1)]
    assert latencies.percentile(share) == pytest.approx(exact, rel=0.0101)


@pytest.mark.parametrize(
    ("failed", "answered", "most", "ends"),
    [
        (20, 100, 0.2, False),
        (21, 100, 0.2, True),
        (1, 100, 0.0, True),
        (0, 100, 0.0, False),
        (100, 100, 1.0, False),
        (0, 0, 0.0, False),
    ],
)
def test_a_larger_share_of_failures_than_allowed_ends_a_run(
    failed: int, answered: int, most: float, ends: bool
) -> None:
    tally = Tally(answered=answered, failed=failed)
    if not ends:
        check_failures(tally, most)
        return
    with pytest.raises(TooManyFailures, match=f"{failed} of {answered} failed; .* allows {most:.0%}"):
        check_failures(tally, most)
