"""What all readers share: bytes in blocks, lines with their offsets, strict UTF-8."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

MAX_RECORD_BYTES = 64 * 1024 * 1024
"""A longer record is rejected: it would have to be held in memory whole, several times over."""

TOO_LONG = f"is longer than {MAX_RECORD_BYTES // 1024 // 1024} MiB"
BOM = b"\xef\xbb\xbf"

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


def read_lines(stream: BinaryIO, start: int = 0, end: int | None = None) -> Iterator[Line]:
    """The lines that start in bytes `[start, end)`, a byte order mark at the file's start left out.

    The last one may end beyond `end`; the line that began before `start` belongs to the split before.
    """
    seek = start - 1 if start else 0
    if seek:
        stream.seek(seek)
    lines = _cut_lines(stream, seek)
    if start:  # From the byte before: a line that starts exactly at `start` is then ours.
        next(lines, None)
    for line in lines:
        if end is not None and line.offset >= end:
            return
        if line.offset == 0 and line.raw is not None and line.raw.startswith(BOM):
            line = Line(len(BOM), line.raw[len(BOM) :])
        yield line


def decode(raw: bytes, offset: int) -> str:
    """UTF-8, strictly.

    Raises:
        Unreadable: with the offset of the first byte that is not UTF-8.
    """
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(not_utf8(raw[error.start], offset + error.start)) from None


def not_utf8(byte: int, offset: int) -> str:
    """The reason given for a byte that cannot be decoded."""
    return f"is not UTF-8: byte 0x{byte:02X} at byte {offset} (other encodings must be converted first)"


def _cut_lines(stream: BinaryIO, offset: int) -> Iterator[Line]:
    held = b""
    skipping = False  # inside a line that was too long
    for block in read_blocks(stream, offset):
        held += block
        position = 0
        while (newline := held.find(b"\n", position)) >= 0:
            if not skipping:
                yield Line(offset + position, held[position : newline + 1])
            skipping = False
            position = newline + 1
        if not skipping and len(held) - position > MAX_RECORD_BYTES:
            yield Line(offset + position, None)
            skipping = True
        if skipping:
            position = len(held)
        held = held[position:]
        offset += position
    if held:
        yield Line(offset, held)
