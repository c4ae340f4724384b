"""Texts whose facts are known, before it is asked whether an answer could say them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from triplelake.config import ChunkingSettings
from triplelake.corpus.chunking import chunk_document
from triplelake.evaluate.gold import Fact, GoldDocument
from triplelake.readings import join_lines
from triplelake.triples.identity import text_hash
from triplelake.types import Chunk, Lang


@dataclass(frozen=True, slots=True)
class KnownText:
    """A text, as a run would ask about it, with what is known of it.

    Args:
        origin: where the facts are from, for people: `gold:FILE`, `sheet:FILE`, `facts:OUTPUT`.
        document: that holds it; texts of one document go into the same part.
        facts: by id, name or alias of their relations, in any order.
        is_complete: what is not among its facts is not stated, so that without any the right answer is empty.
        whole: hash of the document's text where the text is a part of it only; else empty.
    """

    origin: str
    document: str
    text: str
    lang: Lang
    facts: tuple[Fact, ...]
    is_complete: bool
    title: str = ""
    context: str = ""
    whole: str = ""


AGAIN = "it stands in a source that comes before"


def merged(texts: Iterable[KnownText]) -> tuple[list[KnownText], int]:
    """Each text once, whatever its case, width and script, and how many were left out.

    The same text of the same kind of source has the facts of both: two sheets may judge different triples of it. Of
    another kind, or with another title or context, it is left out: what comes first is what is known best.
    """
    kept: dict[str, KnownText] = {}
    left_out = 0
    for each in texts:
        name = text_hash(each.text)
        known = kept.setdefault(name, each)
        if known is each:
            continue
        if _asked(known) == _asked(each):
            facts = tuple(dict.fromkeys((*known.facts, *each.facts)))
            kept[name] = replace(known, facts=facts, is_complete=known.is_complete or each.is_complete)
        else:
            left_out += 1
    return list(kept.values()), left_out


def _asked(known: KnownText) -> tuple[str, ...]:
    return known.origin.partition(":")[0], known.text, known.title, known.context


def cut_document(
    document: GoldDocument, chunking: ChunkingSettings, *, origin: str, name: str, is_complete: bool
) -> list[KnownText]:
    """A document in the chunks that a run would ask about, each with its facts.

    A fact is that of the first chunk in which both of its arguments stand; else of the first one in which one of them
    does, since the other may be in title or context. Where a fact has no such place, nobody knows which chunk states
    it, and none of them counts as complete.

    Args:
        name: of the document.
        is_complete: the document states no other facts.
    """
    chunks = chunk_document(document.text, document.title, chunking)
    facts: list[list[Fact]] = [[] for _ in chunks]
    texts = [join_lines(chunk.text) for chunk in chunks]
    for fact in document.facts:
        place = _place(fact, texts)
        is_complete = is_complete and place is not None
        if chunks:
            facts[place or 0].append(fact)
    whole = text_hash(document.text) if len(chunks) > 1 else ""
    return [
        _known(chunk, document, tuple(found), origin=origin, name=name, is_complete=is_complete, whole=whole)
        for chunk, found in zip(chunks, facts, strict=True)
    ]


def _known(
    chunk: Chunk,
    document: GoldDocument,
    facts: tuple[Fact, ...],
    *,
    origin: str,
    name: str,
    is_complete: bool,
    whole: str,
) -> KnownText:
    return KnownText(origin, name, chunk.text, chunk.lang, facts, is_complete, document.title, chunk.context, whole)


def _place(fact: Fact, texts: Sequence[str]) -> int | None:
    """The chunk that a fact belongs to."""
    ends = [join_lines(fact[0]), join_lines(fact[2])]
    held = [sum(end in text for end in ends) for text in texts]
    return held.index(max(held)) if any(held) else None
