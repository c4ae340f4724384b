"""The relation lists that come with gold data, as ontologies of ours."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from triplelake.errors import InputError
from triplelake.evaluate.gold import READERS, json_lines
from triplelake.filesystems import local_file
from triplelake.prompt.ontology import Note, Ontology, Relation, Signature
from triplelake.prompt.ontology_file import load_ontology
from triplelake.types import LANGS


def by_predicates(name: str, predicates: Mapping[str, Iterable[Signature]]) -> Ontology:
    """An ontology of predicates that are known by one name, which is id and name in every language.

    Args:
        predicates: signatures by predicate, in the order to show; none means any types.
    """
    relations = tuple(
        Relation(
            id=predicate,
            names={lang: predicate for lang in LANGS},
            signatures=tuple(dict.fromkeys(signatures)) or (Signature(),),
        )
        for predicate, signatures in predicates.items()
    )
    return Ontology(name, relations)


def from_duie(path: Path) -> Ontology:
    """The predicates of a DuIE file, in the order of their first occurrence, with the types found there.

    Args:
        path: the published schema (a line per predicate with `subject_type` and `object_type`), or data
            with a `spo_list`.
    """
    predicates: dict[str, list[Signature]] = {}
    for number, line in json_lines(path):
        try:
            for spo in line.get("spo_list", [line]):
                types = Signature(spo["subject_type"], spo["object_type"]["@value"])
                predicates.setdefault(spo["predicate"], []).append(types)
        except (KeyError, TypeError):
            reason = "has a predicate without subject_type and object_type.@value"
            raise InputError(f"{path}, line {number}", reason, "Use DuIE 2.0 data or its schema file.") from None
    return by_predicates(path.stem, predicates)


def from_text2kgbench(path: Path) -> Ontology:
    """A Text2KGBench ontology: labels are ids and names, domain and range are the types' labels.

    A label that occurs twice is one relation with both signatures. An empty domain or range means any
    type; so does one that the file does not declare, and a note says so.
    """
    try:
        tree = json.loads(path.read_text(encoding="utf-8-sig"))
        labels = {concept["qid"]: concept["label"] for concept in tree["concepts"]}
        title = tree["title"]
        declared = [(each["label"], each["domain"], each["range"]) for each in tree["relations"]]
    except OSError as error:
        raise InputError(str(path), error.strerror or "cannot be read", "Check the path.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            str(path), f"is not a Text2KGBench ontology ({error})", "It needs concepts and relations."
        ) from None
    predicates: dict[str, list[Signature]] = {}
    notes: list[str] = []
    for label, *sides in declared:
        predicates.setdefault(label, []).append(Signature(*(labels.get(side) for side in sides)))
        notes += [
            f"{label}: type {side} is not declared; any type is allowed"
            for side in sides
            if side and side not in labels
        ]
    made = by_predicates(title, predicates)
    return Ontology(made.name, made.relations, tuple(map(Note, dict.fromkeys(notes))))


def of_gold(path: Path, format: str) -> Ontology:
    """The relations of a gold file, with their types where the format has them.

    Raises:
        InputError: the file cannot be read, or holds no fact.
    """
    if format == "duie":
        return from_duie(path)
    facts = [fact for document in READERS[format](path) for fact in document.facts]
    # Space around a name is none of it: a file of the ontology is read without.
    return by_predicates(path.stem, {relation.strip(): () for _, relation, _ in facts})


def read_ontology(setting: str) -> Ontology | None:
    """As `load_ontology`; also an ontology of Text2KGBench, by its ending .json."""
    return from_text2kgbench(local_file(setting)) if setting.endswith(".json") else load_ontology(setting)


def write_ontology(ontology: Ontology, path: Path) -> None:
    """Write relations known by one name as CSV in the form that `load_ontology` reads.

    Raises:
        InputError: there is none, or the file cannot be written.
    """
    if not ontology.relations:
        raise InputError(ontology.name, "holds no relation", "Choose a gold file with facts.")
    rows = [
        (relation.id, relation.id, relation.id, signature.subject_type or "", signature.object_type or "")
        for relation in ontology.relations
        for signature in relation.signatures
    ]
    try:
        with path.open("w", encoding="utf-8", newline="") as out:
            csv.writer(out).writerows([("id", "name_zh", "name_en", "subject_type", "object_type"), *rows])
    except OSError as error:
        raise InputError(str(path), error.strerror or "cannot be written", "Choose another file.") from None
