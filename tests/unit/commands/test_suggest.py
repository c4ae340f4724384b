"""The predicates of an open run as an ontology: whatever they are, the file can be read again."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import Row

from triplelake.commands.suggest_ontology import Used, _mostly, as_ontology, merged
from triplelake.prompt.ontology import Ontology
from triplelake.prompt.ontology_file import load_ontology
from triplelake.text import comparison_key
from triplelake.types import LANGS, Lang


def read(used: list[Used]) -> Ontology:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "suggested.yaml"
        file.write_text(as_ontology(used), encoding="utf-8")
        found = load_ontology(str(file))
    assert found
    return found


def test_it_is_in_order_and_in_the_languages_of_the_texts() -> None:
    used = merged(
        [
            Used("出生于", 5, ("陶霁言", "栎川市"), "zh-Hans"),
            Used("works for", 4, ("Bram", "Pendrith\nMedia"), "en"),
            Used("創始人", 3, ("岚砚科技", "陶霁言"), "zh-Hant"),
            Used("创始人", 3, ("霁禾传媒", "苏映棠"), "zh-Hans"),
        ]
    )
    assert [(each.predicate, each.mentions) for each in used] == [("創始人", 6), ("出生于", 5), ("works for", 4)]
    relations = read(used).relations
    assert [each.id for each in relations] == ["創始人", "出生于", "works for"]
    assert (relations[0].names["zh-Hant"], relations[0].names["zh-Hans"]) == ("創始人", "创始人")
    assert relations[2].names["en"] == "works for"
    assert "# 4 mentions, as in: Bram – Pendrith Media\n" in as_ontology(used)


@pytest.mark.parametrize(
    ("mentions", "lang"),
    [
        ((1, 1, 3), "en"),
        ((1, 1, 2), "zh-Hans"),
        ((1, 2, 2), "zh-Hant"),
        ((2, 1, 2), "zh-Hans"),
        ((0, 1, 0), "zh-Hant"),
    ],
)
def test_scripts_count_together_and_then_the_one_with_more(mentions: tuple[int, ...], lang: Lang) -> None:
    assert _mostly(Row(**dict(zip(LANGS, mentions, strict=True)))) == lang


TEXTS = st.text(st.characters(codec="utf-8"))


@given(st.lists(st.tuples(TEXTS.filter(str.strip), st.sampled_from(LANGS), TEXTS, TEXTS), min_size=1, max_size=8))
def test_any_predicates_can_be_read_again(found: list[tuple[str, Lang, str, str]]) -> None:
    said = [(text.strip(), lang, one, other) for text, lang, one, other in found]
    used = merged(Used(text, 1, (one, other), lang) for text, lang, one, other in said)
    assert sum(each.mentions for each in used) == len(said)
    ontology = read(used)
    assert [comparison_key(each.id) for each in ontology.relations] == [comparison_key(each.predicate) for each in used]
