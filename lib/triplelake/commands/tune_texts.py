"""The texts that `triplelake tune-prompt` asks about, of what a user has: gold, a judged sheet, or texts alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from heapq import nsmallest
from itertools import islice
from pathlib import Path

from triplelake.config import Settings
from triplelake.corpus.chunking import chunk_document
from triplelake.corpus.inputs import find_input
from triplelake.corpus.readers import read_split
from triplelake.engine.asking.known import known_texts
from triplelake.errors import InputError
from triplelake.evaluate.gold import READERS, Fact, GoldDocument
from triplelake.evaluate.judged_sentences import judged_facts
from triplelake.evaluate.review import Review
from triplelake.evaluate.tuning import Kind, Text, drawn_texts
from triplelake.evaluate.vocabulary import Vocabulary
from triplelake.prompt.ontology import Ontology
from triplelake.text import detect_language
from triplelake.types import LANGS, Chunk, Record, Request

FEWEST = 5
"""Texts of each half, with facts where they are known: with fewer nothing can be told."""

_LOOKED_AT = 20_000
"""Records of the input that texts are drawn from, the first ones."""

_SPARE = 4
"""Records drawn for each text, since a half may get fewer of them and a text may come twice."""


@dataclass(frozen=True, slots=True)
class Texts:
    """What is asked about.

    Args:
        told: what it is, for people.
        notes: what was left out.
    """

    texts: tuple[Text, ...]
    told: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Draw:
    """How many texts are asked about, and the seed that draws them."""

    count: int
    seed: int


def of_gold(file: Path, format: str, settings: Settings, ontology: Ontology | None, draw: Draw) -> Texts:
    """Texts whose facts people have written down. Gold without texts has those of the input, by their ids.

    Raises:
        InputError: the file cannot be read, holds no texts or no fact of the ontology, or too few of them.
    """
    gold = READERS[format](file)
    facts = sum(len(each.facts) for each in gold)
    gold, lacking = Vocabulary(ontology).gold(
        gold if any(each.text for each in gold) else with_texts(gold, file, settings)
    )
    if ontology is not None and facts and not any(each.facts for each in gold):
        names = ", ".join(list(lacking)[:5])
        raise InputError(
            str(file),
            f"states no fact of a relation of the ontology {ontology.name}; its relations are: {names}",
            "Name its ontology with --ontology; `triplelake evaluate --write-ontology` makes one of gold.",
        )
    texts = [_text(each, "gold", settings) for each in gold if each.text.strip()]
    notes = (
        [f"{sum(lacking.values()):,} of its facts are left out, whose relation the ontology lacks"] if lacking else []
    )
    if without := len(gold) - len(texts):
        notes.append(f"{without:,} of its documents are left out, which have no text")
    asked = drawn_texts(texts, draw.count, draw.seed)
    _check(str(file), asked)
    return Texts(tuple(asked), file.name, tuple(notes))


def of_sheet(review: Review, file: Path, settings: Settings, ontology: Ontology | None, draw: Draw) -> Texts:
    """Sentences of which people have judged triples.

    What was judged right are facts of its sentence, and what was judged wrong are none; what nobody judged is neither.
    A triple whose subject or object is not in the sentence is left out: asked about the sentence alone, no arm could
    say it.

    Raises:
        InputError: too few of its sentences have a triple that is right.
    """
    vocabulary = Vocabulary(ontology)
    judged: dict[str, dict[bool, list[Fact]]] = defaultdict(lambda: {True: [], False: []})
    elsewhere = lacking = 0
    for sentence, (subject, predicate, object), right in judged_facts(review):
        lang = detect_language(sentence)
        if ontology is not None and not vocabulary.knows(predicate, lang):
            lacking += 1
        elif not (subject and object and subject in sentence and object in sentence):
            elsewhere += 1
        else:
            judged[sentence][right] += vocabulary.relations([(subject, predicate, object)], lang)
    texts = [
        replace(
            _text(GoldDocument(str(rank), sentence, tuple(facts[True])), "judged", settings), wrong=tuple(facts[False])
        )
        for rank, (sentence, facts) in enumerate(judged.items())
    ]
    notes = []
    if elsewhere:
        notes.append(f"{elsewhere:,} judged triples are left out, whose subject or object is not in `evidence`")
    if lacking:
        notes.append(f"{lacking:,} judged triples are left out, whose relation the ontology lacks")
    asked = drawn_texts(texts, draw.count, draw.seed)
    _check(str(file), asked)
    return Texts(tuple(asked), file.name, tuple(notes))


def of_nobody(settings: Settings, draw: Draw) -> Texts:
    """Texts of the input, a chunk of each, whose facts nobody has written down; and the known texts of their languages.

    Without an input the known texts alone, of all languages.

    Raises:
        InputError: the input cannot be read without Spark, or holds too few texts.
    """
    own: list[Text] = []
    if settings.input:
        records = nsmallest(_SPARE * draw.count, _records(settings), key=lambda record: _rank(record.text, draw.seed))
        own = drawn_texts([_chunk_of(record, settings) for record in records], draw.count, draw.seed)
        _check(", ".join(settings.input), own)
    langs = {request.lang for each in own for request in each.requests} or set(LANGS)
    known = [
        Text(each, "known", (Request(each.id, each.text, "", "", lang),))
        for lang in sorted(langs)
        for each in known_texts(lang)
    ]
    told = f"{len(known)} known texts ({', '.join(sorted(langs))})"
    return Texts((*own, *known), f"{', '.join(settings.input)} and {told}" if own else told)


def _check(name: str, texts: Sequence[Text]) -> None:
    halves = [[each for each in texts if each.chooses is half] for half in (True, False)]
    with_facts = [sum(each.kind == "own" or bool(each.document.facts) for each in half) for half in halves]
    if min(with_facts) < FEWEST:
        what = "texts" if any(each.kind == "own" for each in texts) else "texts with facts"
        raise InputError(
            name,
            f"gives {with_facts[0]} {what} to choose by and {with_facts[1]} to report on; each half needs {FEWEST}",
            "Ask about more of them (--n), or let people annotate or judge more.",
        )


def _records(settings: Settings, most: int | None = _LOOKED_AT) -> Iterator[Record]:
    found = find_input(settings)
    if found.columns is None:
        raise InputError(
            ", ".join(settings.input),
            f"is read with Spark ({found.format}), which this command does without",
            "Write some of its texts as JSON Lines, and name that file with --input.",
        )
    columns = found.columns
    read = (each for split in found.splits for each in read_split(split, columns))
    return islice((each for each in read if isinstance(each, Record)), most)


def with_texts(gold: Sequence[GoldDocument], file: Path, settings: Settings) -> list[GoldDocument]:
    """Gold with the texts and titles of the input's documents of the same ids; one that is not there stays without.

    Raises:
        InputError: there is no input, it is read with Spark, or none of the ids is there.
    """
    if not settings.input:
        raise InputError(
            str(file),
            "holds no texts, and there is no input with them",
            "Write `text` into its lines, or name the texts with the same ids: --input FILE --id-column NAME.",
        )
    wanted = {each.id for each in gold}
    texts = {each.id: each for each in _records(settings, None) if each.id in wanted}
    if not texts:
        raise InputError(
            str(file),
            f"holds no texts, and none of its ids is in {', '.join(settings.input)}",
            "Name the column with the ids (--id-column), or write `text` into its lines.",
        )
    return [
        replace(each, text=texts[each.id].text, title=texts[each.id].title or "") if each.id in texts else each
        for each in gold
    ]


def _text(document: GoldDocument, kind: Kind, settings: Settings) -> Text:
    chunks = chunk_document(document.text, document.title, settings.chunking)
    return Text(document, kind, tuple(_request(document, chunk) for chunk in chunks))


def _chunk_of(record: Record, settings: Settings) -> Text:
    """One chunk of a document, drawn by its text: a book is no more than a sentence."""
    chunks = chunk_document(record.text, record.title, settings.chunking)
    chunk = chunks[int.from_bytes(_rank(record.text, 0)) % len(chunks)]
    document = GoldDocument(record.place, chunk.text, (), record.title or "")
    return Text(document, "own", (_request(document, chunk),))


def _rank(text: str, seed: int) -> bytes:
    return sha256(f"{seed} {text}".encode()).digest()


def _request(document: GoldDocument, chunk: Chunk) -> Request:
    return Request(f"{document.id}/{chunk.ordinal}", chunk.text, document.title, chunk.context, chunk.lang)
