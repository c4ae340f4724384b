"""What can be had without a model: the floor that a run must be above."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import permutations

from triplelake.evaluate.gold import Fact, GoldDocument
from triplelake.text import comparison_key, unit_bounds
from triplelake.triples.identity import stable_hash

_FOLDS = 5


def nothing(documents: Sequence[GoldDocument]) -> list[tuple[Fact, ...]]:
    """No fact for any document."""
    return [()] * len(documents)


def dictionary(documents: Sequence[GoldDocument]) -> list[tuple[Fact, ...]]:
    """The facts that a dictionary of frequent relations finds in each document.

    The dictionary knows which relations a name has stood in, and on which side. Of two known names of a document that
    have both stood in one relation, it says the relation in which they stood most often. What it knows of a document
    comes from the gold of the other four fifths of the documents; equal texts are in one fifth.
    """
    folds = [int(stable_hash(document.text), 16) % _FOLDS for document in documents]
    dictionaries = {
        fold: _Dictionary(document for document, other in zip(documents, folds, strict=True) if other != fold)
        for fold in set(folds)
    }
    return [tuple(dictionaries[fold].find(document.text)) for document, fold in zip(documents, folds, strict=True)]


class _Dictionary:
    """Names with the relations that they stood in, by side."""

    def __init__(self, documents: Iterable[GoldDocument]) -> None:
        self._subjects: dict[str, Counter[str]] = defaultdict(Counter)
        self._objects: dict[str, Counter[str]] = defaultdict(Counter)
        for document in documents:
            for subject, relation, object in document.facts:
                self._subjects[comparison_key(subject)][relation] += 1
                self._objects[comparison_key(object)][relation] += 1
        self._longest = max(map(len, (*self._subjects, *self._objects)), default=0)

    def find(self, text: str) -> Iterable[Fact]:
        """What it says of a text."""
        for subject, object in permutations(self._names(comparison_key(text)), 2):
            subjects, objects = self._subjects.get(subject, Counter()), self._objects.get(object, Counter())
            # Among equals the name decides, so that equal gold gives equal figures.
            common = sorted((-subjects[each] * objects[each], each) for each in subjects.keys() & objects.keys())
            if common:
                yield subject, common[0][1], object

    def _names(self, text: str) -> list[str]:
        """The known names in a text, each once, the longest first where one begins at the same place as another."""
        found: dict[str, None] = {}
        bounds = unit_bounds(text)
        rank = 0
        while rank < len(bounds) - 1:
            ends = [end for end in range(rank + 1, len(bounds)) if bounds[end] - bounds[rank] <= self._longest]
            for end in reversed(ends):
                name = text[bounds[rank] : bounds[end]]
                if name in self._subjects or name in self._objects:
                    found[name] = None
                    rank = end - 1
                    break
            rank += 1
        return list(found)
