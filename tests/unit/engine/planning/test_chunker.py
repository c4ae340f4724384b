"""What planning runs on the executors, without Spark."""

from __future__ import annotations

import pyarrow as pa
import pytest

from triplelake.config import ChunkingSettings
from triplelake.engine.planning import chunker
from triplelake.tables.schemas import CHUNKS


def test_a_row_has_every_column(monkeypatch: pytest.MonkeyPatch) -> None:
    # Arrow makes a column null that a row lacks, and leaves one out that the table lacks: the rows are seen before.
    monkeypatch.setattr(chunker, "record_batches", lambda rows, _: rows)
    documents = [{"doc_id": "d", "doc_version": "v", "title": None, "text": "林若兰生于临川城。" * 40}]
    found = list(chunker.Chunker(ChunkingSettings(), "k")([pa.RecordBatch.from_pylist(documents)]))
    assert len(found) > 1
    for row in found:
        assert dict(row).keys() == set(CHUNKS.names)
