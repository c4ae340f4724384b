"""What an open run writes beside its tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fill import put

from triplelake.commands.suggest_ontology import suggest
from triplelake.prompt.ontology_file import load_ontology
from triplelake.tables.schemas import DOCUMENTS, TRIPLES
from triplelake.tables.store import Store

pytestmark = pytest.mark.spark

_VERSION = {"doc_version": "v1", "extraction_key": "key", "derivation": "1"}


def triple(document: str, predicate: str, lang: str, grounding: str = "exact") -> dict[str, Any]:
    named = {"doc_id": document, "subject": "岚砚科技", "predicate": predicate, "object": "陶霁言"}
    return {**_VERSION, **named, "lang": lang, "grounding": grounding, "flags": []}


def test_the_predicates_of_the_current_triples_by_their_number(store: Store) -> None:
    assert suggest(store) is None
    put(store, DOCUMENTS, [{**_VERSION, "doc_id": name, "state": "published"} for name in ("a", "b")])
    triples = [
        *(triple(document, "创始人", "zh-Hans") for document in ("a", "b")),
        triple("a", "創始人", "zh-Hant"),
        *(triple("b", "works for", "en") for _ in range(2)),
        triple("b", "not in the text", "en", grounding="none"),
        *(triple("of an old state", "gone", "en") for _ in range(9)),
    ]
    put(store, TRIPLES, triples)
    found = suggest(store)
    assert found
    file, count = found
    assert (Path(file).parent, count) == (Path(store.output), 2)
    ontology = load_ontology(file)
    assert ontology
    assert [relation.id for relation in ontology.relations] == ["创始人", "works for"]
    assert "name_zh: 创始人" in Path(file).read_text("utf-8")
    assert "# 3 mentions, as in: 岚砚科技 – 陶霁言" in Path(file).read_text("utf-8")
