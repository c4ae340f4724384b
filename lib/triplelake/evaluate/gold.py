"""Documents whose triples people have written down, read from the formats they come in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from triplelake.errors import InputError
from triplelake.prompt.ontology import Ontology

Fact = tuple[str, str, str]
"""Subject, relation id, object."""


@dataclass(frozen=True, slots=True)
class GoldDocument:
    """A document and the facts that it states.

    Args:
        id: unique in its file.
        facts: without repetition, in the order of the file; empty where the document states none.
    """

    id: str
    text: str
    facts: tuple[Fact, ...]
    title: str = ""


def read_gold(path: Path) -> list[GoldDocument]:
    """Our own format: JSON Lines `{"id", "text"?, "title"?, "triples": [[subject, relation, object], …]}`.

    A relation is an id, or a name, of the ontology that it is compared with. Without texts, facts are compared with
    documents of the same ids.

    Raises:
        InputError: unreadable, or a line that is not of this form; named by its number. So do all readers here.
    """

    def document(line: Mapping[str, Any], number: int) -> GoldDocument:
        facts = [_fact(*triple) for triple in line["triples"]]
        text, title = line.get("text", ""), line.get("title") or ""
        return GoldDocument(_text(line["id"]), _text(text), _distinct(facts), _text(title))

    return _each_once(path, _read(path, document))


def read_facts(path: Path) -> dict[str, tuple[Fact, ...]]:
    """Facts by document, of a file in our own format."""
    return {each.id: each.facts for each in read_gold(path)}


def read_duie(path: Path) -> list[GoldDocument]:
    """DuIE 2.0: JSON Lines `{"text", "spo_list": [{"subject", "predicate", "object": {"@value"}}]}`.

    The predicate is its own relation id; of a complex object only `@value` is taken. Ids are line numbers.
    """

    def document(line: Mapping[str, Any], number: int) -> GoldDocument:
        facts = [_fact(spo["subject"], spo["predicate"], spo["object"]["@value"]) for spo in line["spo_list"]]
        return GoldDocument(str(number), _text(line["text"]), _distinct(facts))

    return _read(path, document)


def read_text2kgbench(path: Path) -> list[GoldDocument]:
    """Text2KGBench: JSON Lines, a line per triple (`sent, sub_label, rel_label, obj_label`: its train split)
    or per sentence (`sent, triples: [{sub, rel, obj}]`: its ground truth).

    Lines with one sentence are one document, with the id of the first. A relation's label is its id.
    """

    def document(line: Mapping[str, Any], number: int) -> GoldDocument:
        if "triples" in line:
            facts = [_fact(triple["sub"], triple["rel"], triple["obj"]) for triple in line["triples"]]
        else:
            facts = [_fact(line["sub_label"], line["rel_label"], line["obj_label"])]
        return GoldDocument(_text(line["id"]), _text(line["sent"]), _distinct(facts))

    merged: dict[str, GoldDocument] = {}
    for read in _read(path, document):
        known = merged.setdefault(read.text, read)
        merged[read.text] = replace(known, facts=_distinct([*known.facts, *read.facts]))
    return list(merged.values())


READERS: Mapping[str, Callable[[Path], list[GoldDocument]]] = {
    "jsonl": read_gold,
    "duie": read_duie,
    "text2kgbench": read_text2kgbench,
}
"""The formats by name."""


def gold_format(path: Path) -> str:
    """The format of a file, by the keys of its first line.

    Raises:
        InputError: it is none of them, or holds nothing.
    """
    _, first = next(json_lines(path), (0, {}))
    if "spo_list" in first:
        return "duie"
    if "sent" in first:
        return "text2kgbench"
    if "triples" in first:
        return "jsonl"
    raise InputError(
        str(path),
        "is no gold file by its first line" if first else "holds nothing",
        'Each line is {"id", "text", "triples": [[subject, relation, object], …]}, or of DuIE, or of Text2KGBench.',
    )


def within(documents: list[GoldDocument], ontology: Ontology) -> tuple[list[GoldDocument], int]:
    """The documents with those facts only whose relation the ontology has, and how many facts it lacks."""
    ids = {relation.id for relation in ontology.relations}
    kept = [replace(each, facts=tuple(fact for fact in each.facts if fact[1] in ids)) for each in documents]
    return kept, sum(len(each.facts) for each in documents) - sum(len(each.facts) for each in kept)


def _read(path: Path, document: Callable[[Mapping[str, Any], int], GoldDocument]) -> list[GoldDocument]:
    documents: list[GoldDocument] = []
    for number, line in json_lines(path):
        try:
            documents.append(document(line, number))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            what = f"lacks {error}" if isinstance(error, KeyError) else f"is not of this format ({error})"
            raise InputError(
                f"{path}, line {number}", what, "Compare it with the format that the reader names."
            ) from None
    return documents


def json_lines(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The objects of a JSON Lines file with their line numbers, from 1; blank lines are skipped.

    Raises:
        InputError: unreadable, not UTF-8, or a line that is not a JSON object.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(str(path), error.strerror or "cannot be read", "Check the path.") from None
    except UnicodeDecodeError:
        raise InputError(str(path), "is not UTF-8", "Convert it to UTF-8.") from None
    # Not splitlines(): a JSON string may hold U+2028 and its like as they are.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise InputError(f"{path}, line {number}", f"is not JSON: {error}", "Mend that line.") from None
        if not isinstance(value, dict):
            reason = f"holds a {type(value).__name__}, not an object"
            raise InputError(f"{path}, line {number}", reason, 'Each line is one object, {"text": …}.')
        yield number, value


def _fact(subject: Any, predicate: Any, object: Any) -> Fact:
    return _text(subject), _text(predicate), _text(object)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a string")
    return value


def _distinct(facts: list[Fact]) -> tuple[Fact, ...]:
    return tuple(dict.fromkeys(facts))


def _each_once(path: Path, documents: list[GoldDocument]) -> list[GoldDocument]:
    twice = _first_repeated(document.id for document in documents)
    if twice is not None:
        raise InputError(str(path), f"the id {twice!r} occurs twice", "Give every document an id of its own.")
    return documents


def _first_repeated(ids: Iterator[str]) -> str | None:
    seen: set[str] = set()
    for each in ids:
        if each in seen:
            return each
        seen.add(each)
    return None
