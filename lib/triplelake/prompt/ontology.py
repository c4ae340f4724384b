"""The relations that a run may find, as values. Reading them from a file is `ontology_file`'s work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from triplelake.types import Lang


@dataclass(frozen=True, slots=True)
class Signature:
    """One pair of types that a relation may join; None means any type."""

    subject_type: str | None = None
    object_type: str | None = None


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation with a stable id.

    Args:
        id: what lands in `predicate`; never shown to the model.
        names: the name that the model is shown and answers with, per language; every language has one.
        aliases: other names that an unconstrained answer may use, per language.
        description: what it means, per language; may be empty.
        signatures: the pairs of types it may join; at least one.
        object_pattern: a regular expression (of the `regex` package) that the whole object must match.
        symmetric: holds the other way round, too: with subject and object exchanged it is the same fact.
        inverse: id of the relation that says the same with subject and object exchanged; that one names this one.
    """

    id: str
    names: Mapping[Lang, str]
    aliases: Mapping[Lang, tuple[str, ...]] = field(default_factory=dict)
    description: Mapping[Lang, str] = field(default_factory=dict)
    signatures: tuple[Signature, ...] = (Signature(),)
    object_pattern: str | None = None
    symmetric: bool = False
    inverse: str | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """What to tell once before a run: what reading a file merged or derived, or what it shows.

    Args:
        lang: it concerns runs with texts of this language only; None for all.
    """

    text: str
    lang: Lang | None = None


@dataclass(frozen=True, slots=True)
class Ontology:
    """Relations in the order in which they are shown.

    Args:
        name: for people.
        relations: unique ids; within a language, names and aliases are unique too.
        notes: what reading it merged or derived.
    """

    name: str
    relations: tuple[Relation, ...]
    notes: tuple[Note, ...] = ()

    def by_name(self, lang: Lang, *, aliases: bool = False) -> dict[str, Relation]:
        """Relations by the name shown in `lang`, also by alias if asked."""
        found = {relation.names[lang]: relation for relation in self.relations}
        if aliases:
            for relation in self.relations:
                for alias in relation.aliases.get(lang, ()):
                    found.setdefault(alias, relation)
        return found
