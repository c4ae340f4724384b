"""Parquet files that are damaged are named before Spark is started."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from triplelake.config import load_settings
from triplelake.corpus.inputs import find_input
from triplelake.errors import InputError


@pytest.mark.parametrize("damage", [0, 0.5, 0.99], ids=["empty", "half", "without its end"])
@pytest.mark.parametrize("form", ["auto", "parquet"])
def test_a_damaged_file_is_named_before_spark_is_started(tmp_path: Path, damage: float, form: str) -> None:
    for name in ("a", "b", "c"):
        pq.write_table(
            pa.table({"text": [f"甲出生于乙{number}。" for number in range(100)]}), tmp_path / f"{name}.parquet"
        )
    settings = load_settings(None, {"input": (str(tmp_path),), "corpus.format": form}, {})
    assert find_input(settings).format == "parquet"
    for name in ("b", "c"):
        whole = (tmp_path / f"{name}.parquet").read_bytes()
        (tmp_path / f"{name}.parquet").write_bytes(whole[: int(len(whole) * damage)])
    with pytest.raises(InputError, match="is no whole Parquet file") as caught:
        find_input(settings)
    assert caught.value.subject == str(tmp_path / "b.parquet")
    assert "So is 1 more: c.parquet" in caught.value.remedy
