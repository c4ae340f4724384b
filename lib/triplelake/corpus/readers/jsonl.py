"""JSON Lines: an object, or a text, per line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import BinaryIO

from triplelake.corpus.copies import object_of
from triplelake.corpus.encodings import CODECS, Codec
from triplelake.corpus.readers.raw import TOO_LONG, Line, RawRecord, Unreadable, decode, read_lines
from triplelake.corpus.readers.reader import Reader
from triplelake.corpus.records import fields_of, kind
from triplelake.corpus.splits import Split
from triplelake.types import Rejected

_FIRST_LINES = 20


def read_jsonl(stream: BinaryIO, split: Split) -> Iterator[RawRecord | Rejected]:
    """The objects or texts of the split's lines; blank lines are passed over. Places are `byte N`, in any split."""
    codec = CODECS[split.encoding]
    for line in read_lines(stream, split):
        place = f"byte {line.offset}"
        try:
            fields = _parse(line, codec)
        except Unreadable as why:
            yield Rejected(split.path, place, why.reason)
            continue
        if fields is not None:
            yield RawRecord(place, fields)


def holds_json_lines(text: str, cut: bool) -> bool:
    """Whether most of the first lines are objects, each on its own; of a single line both readers make the same.

    Args:
        text: of a file's start.
        cut: the last line may go on beyond it.
    """
    lines = [line for line in text.split("\n") if line.strip()]
    lines = (lines[:-1] if cut else lines)[:_FIRST_LINES]
    return len(lines) > 1 and 2 * sum(map(_is_object, lines)) > len(lines)


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _parse(line: Line, codec: Codec) -> dict[str, object] | None:
    if line.raw is None:
        raise Unreadable(TOO_LONG)
    text = decode(line.raw, line.offset, codec).strip()
    if not text:
        return None
    try:
        # Python limits the digits of an int that it reads; a Decimal has no such limit.
        value = json.loads(text, parse_int=Decimal, object_pairs_hook=object_of)
    except json.JSONDecodeError as error:
        raise Unreadable(f"is not JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise Unreadable("is nested too deeply") from None
    if (fields := fields_of(value)) is None:
        raise Unreadable(f"is {kind(value)}, not an object")
    return fields


JSONL = Reader("jsonl", read_jsonl, endings=(".jsonl", ".ndjson"), splittable=True, records="object")
