"""Rows put into tables by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from triplelake.tables.schemas import Table
from triplelake.tables.store import Store


def put(store: Store, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Append rows; a column that a row lacks is null."""
    store.append(table, store.spark.createDataFrame(pa.Table.from_pylist(list(rows), schema=table.arrow)), run_id="r")
