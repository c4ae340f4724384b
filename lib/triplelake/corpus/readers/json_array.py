"""JSON: an array of objects or texts, or the same one after the other, of any size in little memory."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import BinaryIO

from triplelake.corpus.copies import object_of
from triplelake.corpus.encodings import CODECS, Codec
from triplelake.corpus.readers.raw import MAX_RECORD_BYTES, TOO_LONG, RawRecord, Unreadable, read_blocks
from triplelake.corpus.records import fields_of, kind
from triplelake.corpus.splits import Split
from triplelake.types import Rejected

_SPACE = re.compile(r"[ \t\n\r]*")
_MARK = "\ufeff"
_UNDECODED = re.compile("[\ud800-\udfff]")


def read_json(stream: BinaryIO, split: Split) -> Iterator[RawRecord | Rejected]:
    """The objects or texts of the file's array, or of its top level. Places are `item N`, from 1.

    Nothing can be trusted behind a syntax error, so reading ends with one `Rejected` there. A byte
    that cannot be decoded costs only the item that holds it.

    Why the standard library: `ijson` with yajl ends the file at such a byte, and turns an unpaired
    surrogate escape into a question mark without a word.
    """
    window = _Window(stream, CODECS[split.encoding])
    number = 0
    try:
        for number, value in enumerate(_values(window), 1):
            place = f"item {number}"
            if (undecoded := window.undecoded()) is not None:
                yield Rejected(split.path, place, undecoded)
            elif (fields := fields_of(value)) is not None:
                yield RawRecord(place, fields)
            else:
                yield Rejected(split.path, place, f"is {kind(value)}, not an object")
    except Unreadable as why:
        where = f" ({why.place})" if why.place else ""
        yield Rejected(split.path, f"item {number + 1}", why.reason + where)


def _values(window: _Window) -> Iterator[object]:
    first = window.peek()
    if first == "":
        raise Unreadable("is empty")
    if first != "[":
        while window.peek():
            yield window.value()
        return
    window.skip()
    if window.peek() == "]":
        window.skip()
    else:
        while True:
            yield window.value()
            following = window.peek()
            if following not in (",", "]"):
                raise window.broken("expected a comma or the end of the array")
            window.skip()
            if following == "]":
                break
    if window.peek():
        raise window.broken("something follows the end of the array")


class _Window:
    """A stretch of the decoded file that slides over it, holding one value at least."""

    def __init__(self, stream: BinaryIO, codec: Codec) -> None:
        self._blocks = read_blocks(stream)
        self._codec = codec
        self._decoder = codecs.getincrementaldecoder(codec.python)(codec.lenient)
        # Python limits the digits of an int that it reads; a Decimal has no such limit.
        self._scan = json.JSONDecoder(parse_int=Decimal, object_pairs_hook=object_of).raw_decode
        self._text = ""
        self._position = 0
        self._offset = 0  # in the file, of the window's first byte
        self._value_start = 0
        self._fresh = True
        self._ended = False

    def peek(self) -> str:
        """The next character that is not space; empty at the end."""
        while True:
            self._position = _match_end(self._text, self._position)
            if self._position < len(self._text):
                return self._text[self._position]
            if not self._more():
                return ""

    def skip(self) -> None:
        self._position += 1

    def value(self) -> object:
        """The JSON value that starts here."""
        self.peek()
        while True:
            value: object = None
            error: json.JSONDecodeError | None = None
            try:
                value, end = self._scan(self._text, self._position)
            except json.JSONDecodeError as caught:
                error, end = caught, len(self._text)
            except RecursionError:
                raise self.broken("is nested too deeply") from None
            # At the window's edge neither an error nor a number is final.
            final = error is None and (end < len(self._text) or not isinstance(value, Decimal | float))
            if final or self._ended:
                break
            if len(self._text) - self._position > MAX_RECORD_BYTES:
                raise self.broken(f"{error.msg if error else ''} or {TOO_LONG}")
            self._more(at_least=len(self._text) - self._position)
        if error is not None:
            self._position = min(error.pos, len(self._text))
            raise self.broken(error.msg)
        self._value_start, self._position = self._position, end
        return value

    def undecoded(self) -> str | None:
        """Why the last value is not all text, if so."""
        found = _UNDECODED.search(self._text, self._value_start, self._position)
        if found is None:
            return None
        value, offset = ord(found.group()), self._byte(found.start())
        if self._codec.lenient == "surrogateescape":
            return self._codec.byte(value - 0xDC00, offset)
        return self._codec.surrogate(value, offset)

    def broken(self, what: str) -> Unreadable:
        return Unreadable(f"is not JSON: {what}", f"byte {self._byte(self._position)}")

    def _byte(self, position: int) -> int:
        return self._offset + self._codec.size(self._text[:position])

    def _more(self, at_least: int = 1) -> bool:
        """Drop what was read and decode as many further characters; False at the end of the file.

        Asking for as much again as is held keeps the work on one long value linear.
        """
        if self._ended:
            return False
        self._offset = self._byte(self._position)
        parts = [self._text[self._position :]]
        self._position = 0
        wanted = at_least
        while wanted > 0 and not self._ended:
            block = next(self._blocks, None)
            self._ended = block is None
            # Half a unit of UTF-16 at the end is no surrogate, and no JSON ends with one.
            part = self._decoder.decode(block or b"", final=self._ended and self._codec.unit == 1)
            if part and self._fresh:
                self._fresh = False
                if part.startswith(_MARK):
                    part, self._offset = part[1:], len(self._codec.bom)
            parts.append(part)
            wanted -= len(part)
        self._text = "".join(parts)
        return True


def _match_end(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position
