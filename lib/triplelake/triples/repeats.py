"""Noticing that a model has come to its end: it says a triple again that its answer holds already."""

from __future__ import annotations

from triplelake.pool.protocol import Finished
from triplelake.triples.parse import AnswerError, AnswerReader

_ENDS = ('"', "]", "}", "\n")
"""What a triple ends with, in one form or another: a token without them needs no look."""


class Repeats:
    """Watches one answer while it is decoded, and ends it before the first triple that it repeats.

    A greedy model that repeats itself mostly goes round in circles until its limit. On every model that was measured F1
    is no less, but for a thousandth, without what comes behind the first repetition (docs/measured.md).
    """

    def __init__(self) -> None:
        self._reader = AnswerReader()
        self._seen: set[tuple[str, str, str]] = set()
        self._looked_at = 0

    def __call__(self, text: str) -> Finished | None:
        """The whole answer where it has begun to repeat itself; `text` is all of it so far."""
        fresh, self._looked_at = text[self._looked_at :], len(text)
        if not any(mark in fresh for mark in _ENDS):
            return None
        try:
            self._reader.read(text)
        except AnswerError:
            # What is wrong with it is told when it is read as a whole.
            return None
        for number, triple in enumerate(self._reader.items[len(self._seen) :], start=len(self._seen)):
            if triple in self._seen:
                said, closing = self._reader.ends[number - 1]
                return Finished(text[:said] + closing, said)
            self._seen.add(triple)
        return None
