"""Which texts are nearly the same as texts that a model must not be trained on.

Two texts are near-duplicates if they share most of their shingles: runs of four characters of what `comparison_key`
leaves of a text, so that case, width, script and white space do not count. The search is exact. A text of which a share
of the shingles is held by another one has at least one of any larger rest of them in it (the prefix filter of
Chaudhuri et al. 2006), so the rarest ones lead to all candidates, and few texts are compared in full.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from triplelake.text import comparison_key

SHINGLE = 4
"""Characters: two Chinese words, or a short English one."""

ALIKE = 6
"""Near-duplicates share so many tenths of all their shingles, each counted once (Jaccard). Sentences of one pattern
about different things (“《…》是连载于…的网络小说，作者是…”) share five at most, and are none."""

HELD = 9
"""Or one text holds so many tenths of the other's shingles: a sentence in the passage that it was taken from."""

LONG_ENOUGH = 16
"""Shingles from which on a text that stands in another one makes the two near-duplicates. A shorter one, a heading or
a phrase, stands in many texts that have nothing else in common."""

Shingles = frozenset[str]


def shingles(text: str) -> Shingles:
    """The runs of four characters of a text; a shorter text is one run."""
    key = comparison_key(text)
    return frozenset(key[start : start + SHINGLE] for start in range(max(1, len(key) - SHINGLE + 1)))


def are_near(one: Shingles, other: Shingles) -> bool:
    """Whether two texts are near-duplicates."""
    shared = len(one & other)
    if 10 * shared >= ALIKE * (len(one) + len(other) - shared):
        return True
    shorter = min(len(one), len(other))
    return shorter >= LONG_ENOUGH and 10 * shared >= HELD * shorter


class NearDuplicates:
    """Finds out whether a text is near one of a set of texts.

    Args:
        texts: that are kept apart.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = list(dict.fromkeys(map(shingles, texts)))
        self._holders: dict[str, list[int]] = defaultdict(list)
        for rank, each in enumerate(self._texts):
            for shingle in each:
                self._holders[shingle].append(rank)
        self._by_prefix: dict[str, list[int]] = defaultdict(list)
        for rank, each in enumerate(self._texts):
            for shingle in self._prefix(each):
                self._by_prefix[shingle].append(rank)

    def has_near(self, text: str) -> bool:
        """Whether a text is a near-duplicate of one of them."""
        found = shingles(text)
        return any(are_near(found, self._texts[rank]) for rank in self._candidates(found))

    def _candidates(self, found: Shingles) -> Iterator[int]:
        seen: set[int] = set()
        # What the shorter of two shares with the other is the larger part of it, so its own prefix leads there.
        for shingle_list, holders, is_longer in (
            (self._prefix(found), self._holders, False),
            (found, self._by_prefix, True),
        ):
            for shingle in shingle_list:
                for rank in holders.get(shingle, ()):
                    if rank not in seen and (len(self._texts[rank]) <= len(found)) is is_longer:
                        seen.add(rank)
                        yield rank

    def _prefix(self, found: Shingles) -> list[str]:
        """So many of the rarest shingles that one of them is in whatever shares `ALIKE` tenths of all of them."""
        size = len(found) - -(-ALIKE * len(found) // 10) + 1
        return sorted(found, key=lambda shingle: (len(self._holders.get(shingle, ())), shingle))[:size]
