"""What planning runs on the executors: documents to chunks, requests to buckets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

import pyarrow as pa
from pyspark import TaskContext

from triplelake.config import ChunkingSettings
from triplelake.corpus.chunking import chunk_document
from triplelake.corpus.tokens import estimate_tokens
from triplelake.tables.batches import record_batches
from triplelake.tables.schemas import CHUNKS
from triplelake.triples.identity import chunk_id, request_id

_BUCKETS_PER_PARTITION = 1 << 20


class Chunker:
    """Cuts documents into rows of `chunks`; a class because Spark pickles it to the executors."""

    def __init__(self, settings: ChunkingSettings, key: str) -> None:
        self._settings = settings
        self._key = key

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        documents = chain.from_iterable(batch.to_pylist() for batch in batches)
        yield from record_batches(chain.from_iterable(map(self._rows, documents)), CHUNKS.arrow)

    def _rows(self, document: dict[str, str]) -> Iterator[dict[str, object]]:
        version = (document["doc_id"], document["doc_version"])
        title = document["title"] or ""
        for chunk in chunk_document(document["text"], document["title"], self._settings):
            yield {
                "chunk_id": chunk_id(*version, self._key, chunk.ordinal),
                "doc_id": document["doc_id"],
                "doc_version": document["doc_version"],
                "extraction_key": self._key,
                "ordinal": chunk.ordinal,
                "char_start": chunk.char_start,
                "char_end": chunk.char_end,
                "text": chunk.text,
                "title": title,
                "context": chunk.context,
                "lang": chunk.lang,
                "request_id": request_id(self._key, chunk.lang, chunk.text, title, chunk.context),
                "est_tokens": chunk.est_tokens + estimate_tokens(title),
            }


class Numberer:
    """Numbers the buckets of a partition: a bucket is full or its language changes."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        context = TaskContext.get()
        bucket = (context.partitionId() if context else 0) * _BUCKETS_PER_PARTITION
        filled, lang = 0, None
        for batch in batches:
            numbers = []
            for here in batch.column("lang").to_pylist():
                if filled == self._size or (lang is not None and here != lang):
                    bucket, filled = bucket + 1, 0
                lang, filled = here, filled + 1
                numbers.append(bucket)
            index = batch.schema.get_field_index("bucket")
            yield batch.set_column(index, batch.schema.field(index), pa.array(numbers, pa.int64()))
