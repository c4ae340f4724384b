"""Rows to Arrow batches, for functions that Spark runs with `mapInArrow`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import pyarrow as pa


def record_batches(rows: Iterable[Mapping[str, Any]], schema: pa.Schema, size: int = 64) -> Iterator[pa.RecordBatch]:
    """Cut rows into batches of `size`; a key that a row lacks becomes null.

    Batches are small on purpose: a document or an answer can be large.
    """
    remaining = iter(rows)
    while batch := list(islice(remaining, size)):
        yield pa.RecordBatch.from_pylist(batch, schema=schema)
