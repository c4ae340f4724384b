"""From the entries of an ontology file to its relations: merging, completing, refusing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import opencc
import regex

from triplelake.errors import InputError
from triplelake.prompt.inverses import with_inverses
from triplelake.prompt.ontology import Note, Relation, Signature
from triplelake.text import comparison_key
from triplelake.types import LANGS, TRAITS, Lang

SUFFIX: Mapping[Lang, str] = {lang: traits.suffix for lang, traits in TRAITS.items()}
"""What the keys of a language end with."""
_SINGLE = (
    "id",
    *(f"{field}_{suffix}" for field in ("name", "description") for suffix in SUFFIX.values()),
    "object_pattern",
    "symmetric",
    "inverse",
)
LISTS = (*(f"aliases_{suffix}" for suffix in SUFFIX.values()), "subject_type", "object_type")
"""Fields that may hold several texts."""
FIELDS = (*_SINGLE, *LISTS)
"""All fields of an entry."""
_TRUTH = {"true": True, "yes": True, "false": False, "no": False}


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a file: the line where it begins and the texts of its fields, without empty ones."""

    line: int
    values: Mapping[str, tuple[str, ...]]

    def one(self, name: str) -> str | None:
        texts = self.values.get(name, ())
        return texts[0] if texts else None

    def many(self, name: str) -> tuple[str, ...]:
        return self.values.get(name, ())

    @property
    def id(self) -> str | None:
        names = (self.one(f"name_{suffix}") for suffix in SUFFIX.values())
        return self.one("id") or next((name for name in names if name), None)


@dataclass(slots=True)
class _RelationBuilder:
    """A relation while its entries are read; `lines` tells which line gave a signature."""

    line: int
    single: dict[str, str]
    aliases: dict[Lang, list[str]] = field(default_factory=dict)
    lines: dict[Signature, int] = field(default_factory=dict)


def relations_of(entries: Iterable[Entry], file: Path) -> tuple[tuple[Relation, ...], tuple[Note, ...]]:
    """Relations in order of their first entry, and notes on what was merged or derived.

    Raises:
        InputError: an entry without a name, the same relation with the same types twice, entries of one
            relation that contradict one another, a name of two relations, a pattern that is none, a relation that
            cannot be symmetric or have this inverse.
    """
    builders: dict[str, _RelationBuilder] = {}
    for entry in entries:
        if not any(entry.one(f"name_{suffix}") for suffix in SUFFIX.values()) and entry.id not in builders:
            raise InputError(f"{file}, line {entry.line}", "a relation without a name", "Give name_zh or name_en.")
        _add(builders, entry, file)
    derived: dict[tuple[Lang, str], list[str]] = {}
    relations = tuple(_relation(relation_id, builder, derived) for relation_id, builder in builders.items())
    relations, paired = with_inverses(
        relations, {relation_id: builder.line for relation_id, builder in builders.items()}, file
    )
    _refuse_shared_names(relations, builders, file)
    merged = [
        Note(
            f"relation `{relation_id}` has {len(builder.lines)} signatures, merged from lines "
            f"{', '.join(str(line) for line in sorted(set(builder.lines.values())))}"
        )
        for relation_id, builder in builders.items()
        if len(set(builder.lines.values())) > 1
    ]
    by_language = [Note(f"{lang} name {how}: {', '.join(names)}", lang) for (lang, how), names in derived.items()]
    return relations, (*merged, *paired, *by_language)


def _add(builders: dict[str, _RelationBuilder], entry: Entry, file: Path) -> None:
    relation_id = entry.id
    assert relation_id is not None  # an entry without id has no name either and was refused
    builder = builders.setdefault(relation_id, _RelationBuilder(entry.line, {}))
    where = f"{file}, line {entry.line}"
    for name in _SINGLE[1:]:
        value = entry.one(name)
        if value is not None and builder.single.setdefault(name, value) != value:
            reason = f"relation `{relation_id}` has another {name} than in line {builder.line}"
            raise InputError(where, reason, f"Give {name} once, or use another id.")
    if pattern := entry.one("object_pattern"):
        try:
            regex.compile(pattern)
        except regex.error as error:
            reason = f"object_pattern of `{relation_id}` is no regular expression: {error}"
            raise InputError(where, reason, "Mend it, or leave it out: any object is then allowed.") from None
    if (symmetric := entry.one("symmetric")) and symmetric.casefold() not in _TRUTH:
        reason = f"symmetric of `{relation_id}` is `{symmetric}`"
        raise InputError(where, reason, "Write true or false, or leave it out.")
    for lang, suffix in SUFFIX.items():
        builder.aliases.setdefault(lang, []).extend(entry.many(f"aliases_{suffix}"))
    for signature in _signatures(entry):
        if (first := builder.lines.get(signature)) is not None:
            types = f"{signature.subject_type or 'any'} → {signature.object_type or 'any'}"
            reason = f"relation `{relation_id}` with the types {types} stands in line {first} already"
            raise InputError(where, reason, "Remove one of them, or give it other types.")
        builder.lines[signature] = entry.line


def _signatures(entry: Entry) -> Iterator[Signature]:
    for subject_type in entry.many("subject_type") or (None,):
        for object_type in entry.many("object_type") or (None,):
            yield Signature(subject_type, object_type)


def _relation(relation_id: str, builder: _RelationBuilder, derived: dict[tuple[Lang, str], list[str]]) -> Relation:
    given = _in_each_script(builder, "name")
    shown = next(filter(None, given.values()))
    names: dict[Lang, str] = {lang: given[lang] or shown for lang in LANGS}
    for lang in LANGS:
        if f"name_{SUFFIX[lang]}" not in builder.single:
            how = "made by OpenCC from the other script" if given[lang] else "missing, the other language's is shown"
            derived.setdefault((lang, how), []).append(names[lang])
    aliases = {
        lang: tuple(dict.fromkeys(alias for alias in _aliases(builder, lang) if alias != names[lang])) for lang in LANGS
    }
    return Relation(
        id=relation_id,
        names=names,
        aliases={lang: found for lang, found in aliases.items() if found},
        description={lang: text for lang, text in _in_each_script(builder, "description").items() if text},
        signatures=tuple(builder.lines),
        object_pattern=builder.single.get("object_pattern"),
        symmetric=_TRUTH[builder.single.get("symmetric", "false").casefold()],
        inverse=builder.single.get("inverse"),
    )


def _in_each_script(builder: _RelationBuilder, field_name: str) -> dict[Lang, str]:
    """A field's text in each language, made from that of its twin where it has none of its own; else empty."""
    said = {lang: builder.single.get(f"{field_name}_{suffix}", "") for lang, suffix in SUFFIX.items()}
    return {lang: text or _from_twin(lang, said) for lang, text in said.items()}


def _from_twin(lang: Lang, said: Mapping[Lang, str]) -> str:
    traits = TRAITS[lang]
    return _convert(traits.from_twin, said[traits.twin]) if traits.twin else ""


def _aliases(builder: _RelationBuilder, lang: Lang) -> Iterator[str]:
    yield from builder.aliases[lang]
    traits = TRAITS[lang]
    if traits.twin:
        yield from (_convert(traits.from_twin, alias) for alias in builder.aliases[traits.twin])


def _refuse_shared_names(relations: tuple[Relation, ...], builders: Mapping[str, _RelationBuilder], file: Path) -> None:
    for lang in LANGS:
        owners: dict[str, str] = {}
        for relation in relations:
            for name in (relation.names[lang], *relation.aliases.get(lang, ())):
                # By key, as an answer is read: of two names that differ in script or by a dot it would find the first.
                owner = owners.setdefault(comparison_key(name), relation.id)
                if owner != relation.id:
                    first = f"in line {builders[owner].line}, of `{owner}`"
                    reason = f"`{name}` is a name of `{relation.id}` and, {first}"
                    where = f"{file}, line {builders[relation.id].line}"
                    raise InputError(where, reason, "A name or alias may belong to one relation of a language only.")


def _convert(direction: str, text: str) -> str:
    return _converter(direction).convert(text) if text else ""


@cache
def _converter(direction: str) -> opencc.OpenCC:
    return opencc.OpenCC(direction)
