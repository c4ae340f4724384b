"""Identities: hashes that are the same in every run and on every machine.

What goes into each and why is in the design, under "Names and identity". A change of anything here
makes every stored id a different one; the known vectors in the tests stand guard.
"""

from __future__ import annotations

import hashlib

from triplelake.text import comparison_key

_HEX_DIGITS = 32


def stable_hash(*parts: str) -> str:
    """128 bits of SHA-256 over the parts, as 32 hex digits.

    Each part is preceded by its length in bytes, so that no two lists of parts feed the same bytes:
    `("ab", "c")` and `("a", "bc")` differ, and so do `("a",)` and `("a", "")`.
    """
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()[:_HEX_DIGITS]


def doc_version(text: str, title: str | None) -> str:
    """The state of a document: no title and an empty one are the same state."""
    return stable_hash(text, title or "")


def request_id(extraction_key: str, lang: str, text: str, title: str, context: str) -> str:
    """A question and all that can change its answer: equal questions are asked once.

    The language is part of it, because the same short text may be asked in either script of Chinese.
    """
    return stable_hash(extraction_key, lang, text, title, context)


def chunk_id(doc_id: str, doc_version: str, extraction_key: str, ordinal: int) -> str:
    """A slice of one version of one document under one way of cutting."""
    return stable_hash(doc_id, doc_version, extraction_key, str(ordinal))


def entity_id(surface: str) -> str:
    """An entity: the same for 錢鍾書 and 钱钟书, ＩＢＭ and ibm. The type is an attribute, not identity."""
    return stable_hash(comparison_key(surface))


def fact_id(subject: str, predicate: str, object: str) -> str:
    """A statement, whoever makes it: the arguments by their comparison keys, the predicate as it is.

    The arguments and the predicate are those of the fact, which `Facts` reads out of a triple.
    """
    return stable_hash(comparison_key(subject), predicate, comparison_key(object))


def triple_id(doc_id: str, fact_id: str, evidence_text: str, rank: int) -> str:
    """A mention of a fact in a document, `rank` telling apart equal evidence, from 0.

    No offset, run or model is in it: a reviewer's verdict survives a re-run and an edit elsewhere.
    """
    return stable_hash(doc_id, fact_id, evidence_text, str(rank))


def text_hash(text: str) -> str:
    """A text, however it is written: SHA-256, in hex, of its comparison key (NFKC, case, script, single spaces).

    By it training data and evaluations know a text again. No id of the tables is made of it.
    """
    return hashlib.sha256(comparison_key(text).encode("utf-8")).hexdigest()
