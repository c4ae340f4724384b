"""Relations that say one fact both ways: completing inverses, refusing those that cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from triplelake.errors import InputError
from triplelake.prompt.files import nearest
from triplelake.prompt.ontology import Note, Relation


def with_inverses(
    relations: tuple[Relation, ...], lines: Mapping[str, int], file: Path
) -> tuple[tuple[Relation, ...], tuple[Note, ...]]:
    """The relations, each that another names as its inverse naming that one, and a note on each pair.

    Args:
        lines: where each begins, by id.

    Raises:
        InputError: a relation both symmetric and with an inverse; an inverse that is no relation of the file, is the
            relation itself, is symmetric, or has another inverse; types that differ once subject and object are
            exchanged.
    """
    by_id = {relation.id: relation for relation in relations}
    inverses: dict[str, str] = {}
    for relation in relations:
        where = f"{file}, line {lines[relation.id]}"
        if relation.symmetric:
            _check_symmetric(relation, where)
        if relation.inverse is None:
            continue
        other = by_id.get(relation.inverse)
        if other is None:
            reason = f"the inverse of `{relation.id}` is `{relation.inverse}`, which is no relation of this file"
            raise InputError(where, reason, nearest(relation.inverse, tuple(by_id)))
        _check_pair(relation, other, where)
        for one, its_inverse in ((relation.id, other.id), (other.id, relation.id)):
            if inverses.setdefault(one, its_inverse) != its_inverse:
                reason = f"`{one}` would be the inverse of `{inverses[one]}` and of `{its_inverse}`"
                raise InputError(
                    where, reason, "A relation has one inverse: make one relation of the two, with aliases."
                )
    notes = [
        Note(f"facts of `{relation.inverse}` count as facts of `{relation.id}`, subject and object exchanged")
        for relation in (replace(each, inverse=inverses.get(each.id)) for each in relations)
        if relation.inverse and list(by_id).index(relation.id) < list(by_id).index(relation.inverse)
    ]
    return tuple(replace(each, inverse=inverses.get(each.id)) for each in relations), tuple(notes)


def _check_symmetric(relation: Relation, where: str) -> None:
    if relation.inverse is not None:
        reason = f"`{relation.id}` is symmetric and has an inverse"
        raise InputError(where, reason, "A symmetric relation is its own inverse: remove one of the two.")
    if _types(relation, "subject_type") != _types(relation, "object_type"):
        reason = f"`{relation.id}` is symmetric, and the types of its subject and its object differ"
        raise InputError(where, reason, "Give both the same types, or none.")


def _check_pair(relation: Relation, other: Relation, where: str) -> None:
    if other is relation:
        reason = f"`{relation.id}` is its own inverse"
        raise InputError(where, reason, "Write `symmetric: true` instead.")
    if other.symmetric:
        reason = f"the inverse of `{relation.id}` is `{other.id}`, which is symmetric"
        raise InputError(where, reason, "A symmetric relation is its own inverse: remove one of the two.")
    if other.inverse not in (None, relation.id):
        reason = f"the inverse of `{relation.id}` is `{other.id}`, whose inverse is `{other.inverse}`"
        raise InputError(where, reason, "Let both name each other, or one of them the other.")
    here = _types(relation, "subject_type"), _types(relation, "object_type")
    there = _types(other, "object_type"), _types(other, "subject_type")
    if any(one is not None and two is not None and one != two for one, two in zip(here, there, strict=True)):
        reason = f"`{other.id}` is the inverse of `{relation.id}`, and their types are not those exchanged"
        raise InputError(where, reason, "The subject's types of the one are the object's types of the other.")


def _types(relation: Relation, side: Literal["subject_type", "object_type"]) -> frozenset[str] | None:
    """None where any type may be."""
    types = {getattr(signature, side) for signature in relation.signatures}
    return None if None in types else frozenset(types)
