"""The types that an ontology's signatures give to the entities of one answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from triplelake.prompt.ontology import Relation


@dataclass(frozen=True, slots=True)
class Typed:
    """The types of a triple's arguments, and whether one of them has a type that contradicts another triple."""

    subject_type: str | None
    object_type: str | None
    conflict: bool


def assign_types(uses: Sequence[tuple[str, Relation | None, str]]) -> list[Typed]:
    """Types for the (subject key, relation, object key) of one answer, in order; no relation in open mode.

    A relation with one signature gives its types. Of several signatures those types remain that the
    entity's other triples of the answer leave possible, and a single one left is the type; else it is
    None. An entity for which nothing is left has a conflict, in every triple that gives it a type.
    """
    allowed = [(_types(relation, "subject_type"), _types(relation, "object_type")) for _, relation, _ in uses]
    possible: dict[str, frozenset[str]] = {}
    for (subject, _, object), (subject_types, object_types) in zip(uses, allowed, strict=True):
        for key, types in ((subject, subject_types), (object, object_types)):
            if types is not None:
                possible[key] = possible.get(key, types) & types

    def type_of(key: str, types: frozenset[str] | None) -> tuple[str | None, bool]:
        if types is None:
            return None, False
        left = possible[key] or types
        return (next(iter(left)) if len(left) == 1 else None), not possible[key]

    typed: list[Typed] = []
    for (subject, _, object), (subject_types, object_types) in zip(uses, allowed, strict=True):
        subject_type, subject_conflict = type_of(subject, subject_types)
        object_type, object_conflict = type_of(object, object_types)
        typed.append(Typed(subject_type, object_type, subject_conflict or object_conflict))
    return typed


def _types(relation: Relation | None, side: Literal["subject_type", "object_type"]) -> frozenset[str] | None:
    """The types that the relation allows on one side; None where any type may be."""
    named: set[str] = set()
    for signature in relation.signatures if relation else ():
        name: str | None = getattr(signature, side)
        if name is None:
            return None
        named.add(name)
    return frozenset(named) if named else None
