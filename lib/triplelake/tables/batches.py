"""Rows to Arrow batches, for functions that Spark runs with `mapInArrow`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeAlias

import pyarrow as pa

Row: TypeAlias = Mapping[str, Any]


def record_batches(
    rows: Iterable[Row], schema: pa.Schema, size: int = 64, instead: Callable[[Row, Exception], Row] | None = None
) -> Iterator[pa.RecordBatch]:
    """Cut rows into batches of `size`; a key that a row lacks becomes null.

    Batches are small on purpose: a document or an answer can be large.

    Args:
        instead: makes, of a row that Arrow cannot hold and of the error, one that it can; if None, such a row raises.
    """
    remaining = iter(rows)
    while batch := list(islice(remaining, size)):
        try:
            yield pa.RecordBatch.from_pylist(batch, schema=schema)
        except Exception:
            # Arrow says neither which row it was nor which column, in half a dozen types of error.
            if instead is None:
                raise
            yield pa.RecordBatch.from_pylist([_holdable(row, schema, instead) for row in batch], schema=schema)


def _holdable(row: Row, schema: pa.Schema, instead: Callable[[Row, Exception], Row]) -> Row:
    try:
        pa.RecordBatch.from_pylist([row], schema=schema)
    except Exception as error:
        return instead(row, error)
    return row
