"""JSON: an array of objects or texts, or the same one after the other, of any size in little memory."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import BinaryIO

from triplelake.config import CorpusFormat
from triplelake.corpus.copies import object_of
from triplelake.corpus.encodings import CODECS, Codec
from triplelake.corpus.readers.jsonl import holds_json_lines
from triplelake.corpus.readers.raw import (
    MAX_RECORD_BYTES,
    TOO_LONG,
    RawRecord,
    Unreadable,
    place_of_lines,
    read_blocks,
)
from triplelake.corpus.readers.reader import Reader
from triplelake.corpus.readers.resync import AtEdge, Habits, decoder
from triplelake.corpus.records import fields_of, kind
from triplelake.corpus.splits import Split
from triplelake.types import Rejected

_SPACE = re.compile(r"[ \t\n\r]*")
_MARK = "\ufeff"
_UNDECODED = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class _Damage:
    """An item that cannot be read, in a person's words; the lines lost with it, and whether nothing follows."""

    reason: str
    lines: int = 1
    cut: bool = False


class _Broken(Unreadable):
    """What stands here is not JSON; the file can be read on."""


def read_json(stream: BinaryIO, split: Split) -> Iterator[RawRecord | Rejected]:
    """The objects or texts of the file's array, or of its top level. Places are `item N`, from 1.

    What cannot be read costs the items up to the next one that can be told from it (`resync`), all together one
    `Rejected` with the lines where that lies; the rest of the file where there is none. A byte that cannot be decoded
    costs only the item that holds it.

    Why the standard library: `ijson` with yajl ends the file at such a byte, and turns an unpaired
    surrogate escape into a question mark without a word.
    """
    window = _Window(stream, CODECS[split.encoding])
    number = 0
    try:
        for number, (value, undecoded) in enumerate(_values(window), 1):
            place = f"item {number}"
            if isinstance(value, _Damage):
                yield Rejected(split.path, place, value.reason, value.lines, value.cut)
            elif undecoded is not None:
                yield Rejected(split.path, place, undecoded)
            elif (fields := fields_of(value)) is not None:
                yield RawRecord(place, fields)
            else:
                yield Rejected(split.path, place, f"is {kind(value)}, not an object")
    except Unreadable as why:
        where = f" ({why.place})" if why.place else ""
        yield Rejected(split.path, f"item {number + 1}", why.reason + where, cut=True)


def _values(window: _Window) -> Iterator[tuple[object, str | None]]:
    """The values, each with why it is not all text, if so; what cannot be read as a `_Damage`."""
    first = window.peek()
    if first == "":
        raise Unreadable("is empty")
    array = first == "["
    if array:
        window.skip()
        if window.peek() == "]":
            window.skip()
            array = False
    while (following := window.peek()) or array:
        if not following:
            raise window.broken("expected a comma or the end of the array")
        try:
            value = window.value()
            undecoded = window.undecoded()
            following = window.peek()
            if not _may_follow(following, value, array):
                raise window.broken("expected a comma or the end of the array" if array else "expected another item")
        except _Broken as why:
            if array and following == "]" and window.peek() == "]":  # a comma before the end: nothing is lost
                yield _Damage(f"{why.reason} ({why.place})"), None
                window.skip()
                break
            yield window.damage(why), None
            if not window.peek():
                return
            continue
        window.habits.learn(value)
        yield value, undecoded
        if array and following in (",", "]"):
            window.skip()
            if following == "]":
                break
    if window.peek():
        raise window.broken("something follows the end of the array")


def _may_follow(following: str, value: object, array: bool) -> bool:
    """Whether a value ends where it seems to: a text that is followed by another may hold a bare quotation mark."""
    if not array:
        return True
    return following in ("", ",", "]") or (following == "{" and isinstance(value, dict))


class _Window:
    """A stretch of the decoded file that slides over it, holding one value at least.

    Attributes:
        habits: how the values stand.
    """

    def __init__(self, stream: BinaryIO, codec: Codec) -> None:
        self._blocks = read_blocks(stream)
        self._codec = codec
        self._decoder = codecs.getincrementaldecoder(codec.python)(codec.lenient)
        self._scan = decoder(object_of)
        self.habits = Habits(self._scan)
        self._text = ""
        self._position = 0
        self._offset = 0  # in the file, of the window's first byte
        self._line, self._counted = 1, 0  # the line of a position that only goes on, and that position
        self._value_start = 0
        self._indent: str | None = ""  # the space before what stands here, where it begins a line
        self._value_indent: str | None = None
        self._value_line = 1
        self._fresh = True
        self._ended = False

    def peek(self) -> str:
        """The next character that is not space; empty at the end."""
        while True:
            end = _match_end(self._text, self._position)
            space = self._text[self._position : end]
            if "\n" in space:
                self._indent = space.rpartition("\n")[2]
            elif space and self._indent is not None:
                self._indent += space
            self._position = end
            if self._position < len(self._text):
                return self._text[self._position]
            if not self._more():
                return ""

    def skip(self) -> None:
        self._position += 1
        self._indent = None

    def value(self) -> object:
        """The JSON value that starts here."""
        self.peek()
        self._value_indent, self._value_line = self._indent, self._line_here()
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
            raise self.broken(error.msg, min(error.pos, len(self._text)))
        self._value_start, self._position = self._position, end
        self._indent = None
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

    def broken(self, what: str, position: int | None = None) -> _Broken:
        at = self._byte(self._position if position is None else position)
        return _Broken(f"is not JSON: {what}", f"byte {at}")

    def damage(self, why: _Broken) -> _Damage:
        """Go on to the next item that can be told, or to the end, and say what is lost."""
        first = self._value_line
        reason = f"{why.reason} ({why.place})" if why.place else why.reason
        found = self._resync()
        last = self._line_here()
        if found:
            reason = (
                f"{reason}; {place_of_lines(first, last)}, byte {self._byte(self._position)}: "
                "the next item that can be told from it"
            )
            return _Damage(reason, max(1, last - first))
        return _Damage(f"{reason}; nothing from line {first} on is read", last - first + 1, cut=True)

    def _resync(self) -> bool:
        after = 0
        while True:
            try:
                found = self.habits.next_item(
                    self._text, self._position, self._position + after, self._value_indent, ended=self._ended
                )
                after = max(after, len(self._text) - self._position - 1)
            except AtEdge as edge:
                found, after = None, edge.position - self._position
            if found is not None:
                self._position = found
                self._indent = self._value_indent
                return True
            held = len(self._text) - self._position
            if self._ended or held > MAX_RECORD_BYTES:
                break
            self._more(at_least=held)
        while not self._ended:
            self._position = len(self._text)
            self._more()
        self._position = len(self._text)
        return False

    def _byte(self, position: int) -> int:
        return self._offset + self._codec.size(self._text[:position])

    def _line_here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._position)
        self._counted = self._position
        return self._line

    def _more(self, at_least: int = 1) -> bool:
        """Drop what was read and decode as many further characters; False at the end of the file.

        Asking for as much again as is held keeps the work on one long value linear.
        """
        if self._ended:
            return False
        self._offset = self._byte(self._position)
        self._line_here()
        parts = [self._text[self._position :]]
        self._position = self._counted = 0
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


def _instead(text: str, cut: bool) -> CorpusFormat | None:
    return "jsonl" if holds_json_lines(text, cut) else None


JSON = Reader("json", read_json, endings=(".json",), records="object", instead=_instead)
