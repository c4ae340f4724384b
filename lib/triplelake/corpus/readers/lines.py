"""Plain text: a document per line, or per file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from triplelake.corpus.encodings import CODECS
from triplelake.corpus.many import notes_on
from triplelake.corpus.readers.raw import (
    MAX_RECORD_BYTES,
    TOO_LONG,
    RawRecord,
    Unreadable,
    decode,
    read_blocks,
    read_lines,
)
from triplelake.corpus.readers.reader import Reader
from triplelake.corpus.splits import Split
from triplelake.types import Rejected

TEXT = "text"
"""The name of the only column that plain text has."""


def read_text_lines(stream: BinaryIO, split: Split) -> Iterator[RawRecord | Rejected]:
    """A document per line, without its end (LF or CRLF); blank lines are passed over."""
    codec = CODECS[split.encoding]
    for line in read_lines(stream, split):
        place = f"byte {line.offset}"
        try:
            if line.raw is None:
                raise Unreadable(TOO_LONG)
            text = decode(line.raw, line.offset, codec).removesuffix("\n").removesuffix("\r")
        except Unreadable as why:
            yield Rejected(split.path, place, why.reason)
            continue
        if text and not text.isspace():
            yield RawRecord(place, {TEXT: text})


def read_text_file(stream: BinaryIO, split: Split) -> Iterator[RawRecord | Rejected]:
    """The whole file as one document."""
    held = bytearray()
    for block in read_blocks(stream):
        held += block
        if len(held) > MAX_RECORD_BYTES:
            raise Unreadable(f"{TOO_LONG}; corpus.format `lines` reads a document per line")
    codec = CODECS[split.encoding]
    offset = len(codec.bom) if codec.bom and held.startswith(codec.bom) else 0
    yield RawRecord("", {TEXT: decode(bytes(held[offset:]), offset, codec)})


TEXT_FILE = Reader(
    "text",
    read_text_file,
    endings=(".txt", ".html", ".htm"),
    whole_file=True,
    vague=True,
    note="each one document; --format lines makes one of each line",
    doubts=notes_on,
)
TEXT_LINES = Reader("lines", read_text_lines, splittable=True)
