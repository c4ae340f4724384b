"""Where sentences end, as far as evidence needs it.

A small fixed rule and not the chunker's: evidence is part of `triple_id`, so a better sentence
splitter must not make every stored id a different one.
"""

from __future__ import annotations

from bisect import bisect_right

import regex

from triplelake.types import Span

_ABBREVIATIONS = r"(?:\p{Lu}|Mr|Mrs|Ms|Dr|St|Jr|Sr|Prof|Gen|Col|Lt|Capt|Sgt|Rev|Hon|Gov|Sen|No|Vol|vs|cf|ca|e\.g|i\.e)"
_SENTENCE_END = regex.compile(
    rf"(?:[。！？!?；…]+|(?<!\b{_ABBREVIATIONS})\.+(?=[\s\"'”’»)\]]|\Z)(?!\s+\p{{Ll}}))[”’」』）)\]》»\"']*|[\r\n]+"
)


class Sentences:
    """The sentences of a text; they tile it."""

    def __init__(self, text: str) -> None:
        self._text = text
        ends = {match.end() for match in _SENTENCE_END.finditer(text)} | {len(text)}
        self.bounds = (0, *sorted(ends - {0}))

    def index(self, offset: int) -> int:
        """The rank of the sentence that holds the code point at `offset`, from 0."""
        return bisect_right(self.bounds, offset) - 1

    def around(self, start: int, end: int) -> Span:
        """The sentences that hold `[start, end)`, without the white space around them."""
        first, last = self.bounds[self.index(start)], self.bounds[self.index(end - 1) + 1]
        return trimmed(self._text, first, last)


def trimmed(text: str, start: int, end: int) -> Span:
    """`[start, end)` of the chunk without the white space at its ends."""
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return Span("chunk", start, end)
