"""One name for each relation, whatever gold, answer or table calls it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from triplelake.evaluate.gold import Fact, GoldDocument
from triplelake.prompt.ontology import Ontology
from triplelake.text import detect_language
from triplelake.triples.facts import Facts
from triplelake.triples.predicates import Predicates
from triplelake.types import Lang


class Vocabulary:
    """Relations by id, name or alias. Without an ontology every name is a relation of its own.

    Args:
        ontology: that the run asked with, if any.
    """

    def __init__(self, ontology: Ontology | None) -> None:
        self._ontology = ontology
        self._ids = {relation.id for relation in ontology.relations} if ontology else set()
        self._predicates: dict[Lang, Predicates] = {}
        self._facts = Facts(ontology)

    @property
    def known(self) -> bool:
        """Whether there is an ontology."""
        return self._ontology is not None

    @property
    def symmetric(self) -> frozenset[str]:
        """The ids of relations that hold both ways round."""
        return self._facts.symmetric

    def knows(self, name: str, lang: Lang) -> bool:
        """Whether a name is a relation of the ontology."""
        return self._find(name, lang) is not None

    def relations(self, facts: Iterable[Fact], lang: Lang) -> list[Fact]:
        """Facts with the ids of their relations; a name that the ontology lacks stays.

        Each as the fact that it is, so that a symmetric relation and inverse ones compare alike both ways round.
        """
        return [self._facts.fact(subject, self._find(name, lang) or name, object) for subject, name, object in facts]

    def gold(self, documents: Sequence[GoldDocument]) -> tuple[list[GoldDocument], dict[str, int]]:
        """Gold with the ids of its relations, and how many facts it had of each relation that the ontology lacks.

        Those are left out: no answer could hold them.
        """
        if self._ontology is None:
            return list(documents), {}
        kept: list[GoldDocument] = []
        lacking: dict[str, int] = {}
        for document in documents:
            lang = detect_language(document.text)
            facts = []
            for subject, name, object in document.facts:
                if relation := self._find(name, lang):
                    facts.append(self._facts.fact(subject, relation, object))
                else:
                    lacking[name] = lacking.get(name, 0) + 1
            kept.append(replace(document, facts=tuple(dict.fromkeys(facts))))
        return kept, lacking

    def _find(self, name: str, lang: Lang) -> str | None:
        if self._ontology is None:
            return None
        if name in self._ids:
            return name
        if lang not in self._predicates:
            self._predicates[lang] = Predicates(self._ontology, lang)
        relation = self._predicates[lang].relation(name)
        return relation.id if relation else None
