"""Which fact a triple says: the same one for a symmetric relation and for inverse ones, whichever way it is said."""

from __future__ import annotations

from dataclasses import dataclass

from triplelake.prompt.ontology import Ontology
from triplelake.text import comparison_key


@dataclass(frozen=True, slots=True)
class Reading:
    """How a triple is read as a fact.

    Args:
        predicate: that the fact goes under.
        inverted: the fact has the triple's object as its subject, and the other way round.
    """

    predicate: str
    inverted: bool


class Facts:
    """Reads triples as facts. Without an ontology every triple is read as it is said.

    Of two inverse relations facts go under the one that the ontology has first. Of a symmetric one the argument with
    the smaller comparison key is the subject.
    """

    def __init__(self, ontology: Ontology | None) -> None:
        relations = ontology.relations if ontology else ()
        self.symmetric = frozenset(relation.id for relation in relations if relation.symmetric)
        ranks = {relation.id: rank for rank, relation in enumerate(relations)}
        self.inverted = {
            relation.id: relation.inverse
            for relation in relations
            if relation.inverse is not None and ranks.get(relation.inverse, len(ranks)) < ranks[relation.id]
        }
        """The relations whose facts go under another one, and that one."""

    def reading(self, subject: str, predicate: str, object: str) -> Reading:
        """How this triple is read."""
        if predicate in self.symmetric:
            return Reading(predicate, comparison_key(object) < comparison_key(subject))
        return Reading(self.inverted.get(predicate, predicate), predicate in self.inverted)

    def fact(self, subject: str, predicate: str, object: str) -> tuple[str, str, str]:
        """Subject, predicate and object of the fact that this triple says."""
        reading = self.reading(subject, predicate, object)
        return (object, reading.predicate, subject) if reading.inverted else (subject, predicate, object)
