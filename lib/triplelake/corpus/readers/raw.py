"""What all readers share: bytes in blocks, lines with their offsets, strict decoding."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from triplelake.corpus.encodings import CODECS, Codec
from triplelake.corpus.splits import Split

MAX_RECORD_BYTES = 64 * 1024 * 1024
"""A longer record is rejected: it would have to be held in memory whole, several times over."""

TOO_LONG = f"is longer than {MAX_RECORD_BYTES // 1024 // 1024} MiB"

_BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class RawRecord:
    """A record before its columns are chosen: where it stands and its fields."""

    place: str
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Line:
    """A line with its end. `raw` is None if it was too long to hold."""

    offset: int
    raw: bytes | None


class Unreadable(Exception):
    """What stands at `place` cannot be read.

    Args:
        reason: for a person, in one sentence.
        place: where, as in `Rejected.place`; empty where the catcher knows it better.
    """

    def __init__(self, reason: str, place: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.place = place


def place_of_lines(first: int, last: int) -> str:
    """Where a record stands that takes some lines, from 1."""
    return f"line {first}" if first == last else f"lines {first} to {last}"


def read_blocks(stream: BinaryIO, offset: int = 0) -> Iterator[bytes]:
    """The bytes of a stream from where it stands; `offset` says where that is.

    Raises:
        Unreadable: the store failed or a gzip is damaged; what precedes it has been yielded.
    """
    # read1 hands over what a gzip held before its damage; read would drop up to a block of it.
    read = getattr(stream, "read1", stream.read)
    while True:
        try:
            block: bytes = read(_BLOCK)
        except (OSError, EOFError, zlib.error) as error:
            raise Unreadable(f"reading stopped: {' '.join(str(error).split())}", f"byte {offset}") from None
        if not block:
            return
        offset += len(block)
        yield block


def read_lines(stream: BinaryIO, split: Split) -> Iterator[Line]:
    """The lines that start in the split's bytes, a byte order mark at the file's start left out.

    The last one may end beyond the split; the line that began before it belongs to the split before.
    """
    codec = CODECS[split.encoding]
    start = split.start + split.start % codec.unit
    seek = start - codec.unit if start else 0
    if seek:
        stream.seek(seek)
    lines = _cut_lines(stream, seek, codec)
    if start:  # From the unit before: a line that starts exactly at `start` is then ours.
        next(lines, None)
    for line in lines:
        if split.end is not None and line.offset >= split.end:
            return
        if line.offset == 0 and line.raw is not None and codec.bom and line.raw.startswith(codec.bom):
            line = Line(len(codec.bom), line.raw[len(codec.bom) :])
        yield line


def decode(raw: bytes, offset: int, codec: Codec) -> str:
    """The text of bytes, strictly.

    Raises:
        Unreadable: with the offset of the first byte that cannot be decoded.
    """
    try:
        return raw.decode(codec.python)
    except UnicodeDecodeError as error:
        raise Unreadable(codec.fault(error, offset)) from None


def _cut_lines(stream: BinaryIO, offset: int, codec: Codec) -> Iterator[Line]:
    newline, unit = codec.newline, codec.unit
    held = b""
    skipping = False  # inside a line that was too long
    for block in read_blocks(stream, offset):
        held += block
        position = 0
        while (found := _find(held, newline, position)) >= 0:
            if not skipping:
                yield Line(offset + position, held[position : found + unit])
            skipping = False
            position = found + unit
        if not skipping and len(held) - position > MAX_RECORD_BYTES:
            yield Line(offset + position, None)
            skipping = True
        if skipping:
            position = len(held) - len(held) % unit
        held = held[position:]
        offset += position
    if held and not skipping:
        yield Line(offset, held)


def _find(held: bytes, newline: bytes, position: int) -> int:
    """Where the next line feed stands, -1 if nowhere."""
    found = held.find(newline, position)
    while found > 0 and found % len(newline):  # the end of one unit and the start of another
        found = held.find(newline, found + 1)
    return found
