"""The encodings that text comes in, and how each is decoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Encoding = Literal["utf-8", "gb18030", "big5", "utf-16-le", "utf-16-be"]
"""What a file's bytes are. The two byte orders of UTF-16 are one choice for a person."""


@dataclass(frozen=True, slots=True)
class Codec:
    """How an encoding is read.

    Args:
        name: for a person.
        python: name of the codec in the standard library.
        bom: the byte order mark that declares it; empty where there is none.
        newline: a line feed. No other character holds it at a multiple of its length: a second byte of GB18030 or
            Big5 is never 0x0A, though it may be a backslash or a brace.
        lenient: an error handler that puts a lone surrogate where nothing can be decoded, of which the bytes can be
            told again.
    """

    name: str
    python: str
    bom: bytes
    newline: bytes
    lenient: Literal["surrogateescape", "surrogatepass"]

    @property
    def unit(self) -> int:
        """Bytes of the smallest unit: a character starts at a multiple of it."""
        return len(self.newline)

    def guess(self, raw: bytes) -> str:
        """The text of bytes that are not all text, with a lone surrogate for what is none."""
        return raw[: len(raw) - len(raw) % self.unit].decode(self.python, self.lenient)

    def size(self, text: str) -> int:
        """How many bytes a text took that was decoded leniently."""
        return len(text.encode(self.python, self.lenient))

    def fault(self, error: UnicodeDecodeError, offset: int) -> str:
        """Why bytes cannot be decoded, the first of them standing at `offset` of the file."""
        bad = error.object[error.start : error.end]
        if self.unit == 2 and len(bad) == 2:
            return self.surrogate(int.from_bytes(bad, "little" if self.newline[0] else "big"), offset + error.start)
        return self.byte(bad[0], offset + error.start)

    def byte(self, byte: int, offset: int) -> str:
        """The reason given for a byte that cannot be decoded."""
        return f"is not {self.name}: byte 0x{byte:02X} at byte {offset}"

    def surrogate(self, value: int, offset: int) -> str:
        """The reason given for half of a character of UTF-16."""
        return f"is not {self.name}: lone surrogate U+{value:04X} at byte {offset}"


CODECS: Mapping[Encoding, Codec] = {
    "utf-8": Codec("UTF-8", "utf-8", b"\xef\xbb\xbf", b"\n", "surrogateescape"),
    "gb18030": Codec("GB18030", "gb18030", b"\x84\x31\x95\x33", b"\n", "surrogateescape"),
    # Big5 as Windows writes it: `big5` of the standard library lacks some characters of it, such as 碁 and 裏.
    "big5": Codec("Big5", "cp950", b"", b"\n", "surrogateescape"),
    "utf-16-le": Codec("UTF-16", "utf-16-le", b"\xff\xfe", b"\n\0", "surrogatepass"),
    "utf-16-be": Codec("UTF-16", "utf-16-be", b"\xfe\xff", b"\0\n", "surrogatepass"),
}


def declared(raw: bytes) -> Encoding | None:
    """The encoding that a byte order mark at the start declares."""
    return next((encoding for encoding, codec in CODECS.items() if codec.bom and raw.startswith(codec.bom)), None)
