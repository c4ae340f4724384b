"""The scripts for other engines, as far as they need no Spark."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from triplelake.tables.views import script


def written(output: str, dialect: str, least: float = 0.0) -> str:
    store: Any = SimpleNamespace(output=output, location=lambda table: f"{output}/{table.name}")
    return script(store, dialect, least)


@pytest.mark.parametrize("scheme", ["s3", "s3a", "s3n", "S3A"])
def test_duckdb_reads_s3_by_the_one_name_that_it_has_secrets_for(scheme: str) -> None:
    found = written(f"{scheme}://湖/知 识", "duckdb")
    assert "delta_scan('s3://湖/知 识/triples')" in found
    assert f"{scheme}://湖/知 识/triples" not in found or scheme == "s3"
    assert "CREATE SECRET (TYPE s3" in found
    assert f"delta.`{scheme}://湖/知 识/triples`" in written(f"{scheme}://湖/知 识", "spark")


def test_other_places_need_no_secret_of_s3() -> None:
    for output in ("/知 识/kg", "abfss://c@a/kg"):
        assert "SECRET" not in written(output, "duckdb")
        assert "SECRET" not in written(output, "spark")


def test_facts_are_what_is_sure_enough() -> None:
    for dialect in ("duckdb", "spark"):
        assert "coalesce(confidence, 0) >= 0.0" in written("/kg", dialect)
        assert "coalesce(confidence, 0) >= 0.75" in written("/kg", dialect, 0.75)
