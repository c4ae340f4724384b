"""Text in: one reader per format, from a split to records.

A reader is a generator over an open stream. Whatever is wrong inside a file becomes a `Rejected`
with its place; nothing that a file holds stops the records around it or the files beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from triplelake.config import CorpusFormat
from triplelake.corpus.files import compression_of, open_file
from triplelake.corpus.readers.delimited import CSV, TSV
from triplelake.corpus.readers.json_array import JSON
from triplelake.corpus.readers.jsonl import JSONL
from triplelake.corpus.readers.lines import TEXT_FILE, TEXT_LINES
from triplelake.corpus.readers.raw import RawRecord, Unreadable
from triplelake.corpus.readers.reader import Reader
from triplelake.corpus.readers.wikidoc import WIKIDOC
from triplelake.corpus.records import Columns, record_from_fields
from triplelake.corpus.splits import Split
from triplelake.types import Record, Rejected

__all__ = ["READERS", "Reader", "read_fields", "read_split"]

READERS: Mapping[CorpusFormat, Reader] = {
    reader.format: reader for reader in (JSON, JSONL, CSV, TSV, TEXT_FILE, TEXT_LINES, WIKIDOC)
}
"""The formats read here; Parquet, Delta and tables are Spark's. People are told the endings in this order."""


def read_split(split: Split, columns: Columns) -> Iterator[Record | Rejected]:
    """The records of a split, in file order, and the reasons why others are none."""
    for found in read_fields(split):
        if isinstance(found, Rejected):
            yield found
        else:
            yield record_from_fields(split.path, found.place, found.fields, columns)


def read_fields(split: Split) -> Iterator[RawRecord | Rejected]:
    """The records of a split with all their fields, before columns are chosen."""
    reader = READERS[split.format]
    try:
        with open_file(split.path, compression_of(split.path)) as stream:
            yield from reader.read(stream, split)
    except Unreadable as why:
        yield Rejected(split.path, why.place, why.reason, cut=True)
    except OSError as error:
        yield Rejected(split.path, "", f"cannot be opened: {' '.join(str(error).split())}", cut=True)
