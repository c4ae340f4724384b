"""Which relation an answer names."""

from __future__ import annotations

import unicodedata

from triplelake.forms import visible
from triplelake.prompt.ontology import Ontology, Relation
from triplelake.text import comparison_key
from triplelake.types import LANGS, Lang


class Predicates:
    """Finds relations by what a model calls them."""

    def __init__(self, ontology: Ontology, lang: Lang) -> None:
        self._ontology = ontology
        self._lang = lang
        self._shown = ontology.by_name(lang)
        self._folded: dict[str, Relation] | None = None

    def relation(self, name: str) -> Relation | None:
        """By the name shown; else by comparison key, first the language's names and aliases, then the others'."""
        if shown := self._shown.get(name):
            return shown
        if self._folded is None:
            self._folded = self._by_key()
        return self._folded.get(comparison_key(name))

    def _by_key(self) -> dict[str, Relation]:
        found: dict[str, Relation] = {}
        for lang in sorted(LANGS, key=lambda other: other != self._lang):
            for name, relation in self._ontology.by_name(lang, aliases=True).items():
                found.setdefault(comparison_key(name), relation)
        return found


def free_predicate(name: str) -> str:
    """The predicate of open mode: NFKC with single spaces and nothing invisible, else as the answer says it."""
    return " ".join(unicodedata.normalize("NFKC", visible(name)).split())
