"""Text in: one reader per format, from a split to records.

A reader is a generator over an open stream. Whatever is wrong inside a file becomes a `Rejected`
with its place; nothing that a file holds stops the records around it or the files beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO

from triplelake.config import CorpusFormat
from triplelake.corpus.files import compression_of, open_file
from triplelake.corpus.readers.delimited import read_csv, read_tsv
from triplelake.corpus.readers.json_array import read_json
from triplelake.corpus.readers.jsonl import read_jsonl
from triplelake.corpus.readers.lines import read_text_file, read_text_lines
from triplelake.corpus.readers.raw import RawRecord, Unreadable
from triplelake.corpus.readers.wikidoc import read_wikidoc
from triplelake.corpus.records import Columns, record_from_fields
from triplelake.corpus.splits import Split
from triplelake.types import Record, Rejected

__all__ = ["READERS", "read_fields", "read_split"]

READERS: Mapping[CorpusFormat, Callable[[BinaryIO, Split], Iterator[RawRecord | Rejected]]] = {
    "json": read_json,
    "jsonl": read_jsonl,
    "csv": read_csv,
    "tsv": read_tsv,
    "text": read_text_file,
    "lines": read_text_lines,
    "wikidoc": read_wikidoc,
}
"""The formats read here; Parquet, Delta and tables are Spark's."""


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
            yield from reader(stream, split)
    except Unreadable as why:
        yield Rejected(split.path, why.place, why.reason, cut=True)
    except OSError as error:
        yield Rejected(split.path, "", f"cannot be opened: {' '.join(str(error).split())}", cut=True)
