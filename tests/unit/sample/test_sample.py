"""The sample corpus of the demo is what the demo and the end-to-end tests take it for."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import regex
import yaml

from triplelake.prompt.ontology_file import load_ontology
from triplelake.text import detect_language, unit_bounds, units

CONF = Path(__file__).resolve().parents[3] / "conf"
RUN = 12

# What the passages deny, plan, guess or imagine; every one of them tempts a reader of single sentences. Nothing but
# this list knows what a new passage denies, so that gold which states it would not be noticed.
NOT_ASSERTED = [
    ("hans-11", "云岭科技", "parent_company", "北辰集团"),
    ("hans-12", "星桥大厦", "located_in", "滨江区"),
    ("hans-12", "远帆银行", "headquarters", "星桥大厦"),
    ("hans-13", "沈若白", "spouse", "顾长青"),
    ("hans-14", "程一鸣", "alma_mater", "东海大学"),
    ("hans-14", "程一鸣", "occupation", "船长"),
    ("hans-22", "夜航", "author", "江浦"),
    ("hant-07", "捷運銀杏線", "released_on", "2031年"),
    ("hant-08", "方子騫", "spouse", "許恩"),
    ("hant-08", "北極光", "founded_by", "方子騫"),
    ("hant-12", "潮退", "director", "羅啟文"),
    ("en-14", "Solent Solar", "parent_company", "Brightwater Energy"),
    ("en-15", "Harbour Line", "released_on", "2032"),
    ("en-16", "Leo Castellan", "spouse", "Mara Finch"),
    ("en-17", "Ines Duarte", "alma_mater", "Oxford"),
    ("en-17", "Ines Duarte", "occupation", "lawyer"),
    ("en-18", "The Salt Road", "author", "Edmund Vale"),
    ("en-19", "Orchid Foods", "parent_company", "Nordkorn"),
    ("en-20", "Samir Haddad", "award", "Calder Prize"),
    ("en-33", "Rosalind Franklin", "award", "Nobel Prize"),
    ("en-34", "Paper Comets", "released_on", "2020"),
    ("en-34", "Paper Comets", "cast_member", "Ewan Tierney"),
]


class Passage(NamedTuple):
    id: str
    title: str
    text: str
    triples: list[tuple[str, str, str]]


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read_sample() -> list[Passage]:
    gold = {row["id"]: row["triples"] for row in read_jsonl(CONF / "demo" / "gold.jsonl")}
    rows = read_jsonl(CONF / "demo" / "corpus.jsonl")
    return [Passage(**row, triples=[tuple(triple) for triple in gold[row["id"]]]) for row in rows]


SAMPLE = read_sample()
GENERAL = load_ontology(str(CONF / "ontologies" / "general.yaml"))
assert GENERAL  # None stands for `none` alone
ONTOLOGY = {relation.id: relation for relation in GENERAL.relations}

each_passage = pytest.mark.parametrize("passage", SAMPLE, ids=lambda passage: passage.id)


def is_span(surface: str, text: str) -> bool:
    """Whether `surface` stands in `text` without cutting a number or a word."""
    bounds = set(unit_bounds(text))
    starts = (match.start() for match in regex.finditer(regex.escape(surface), text, overlapped=True))
    return any(start in bounds and start + len(surface) in bounds for start in starts)


def runs(text: str) -> set[str]:
    """Every run of `RUN` characters; of `RUN` words and spaces in a script that writes words."""
    parts = units(text)
    return {"".join(parts[i : i + RUN]) for i in range(len(parts) - RUN + 1)}


def strings(node: object) -> Iterator[str]:
    """All strings of a YAML tree."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)


def test_gold_and_corpus_hold_the_same_passages_in_the_same_order() -> None:
    corpus, gold = (read_jsonl(CONF / "demo" / name) for name in ("corpus.jsonl", "gold.jsonl"))
    assert [row["id"] for row in corpus] == [row["id"] for row in gold]
    assert len({row["id"] for row in corpus}) == len(corpus)
    assert len({row["text"] for row in corpus}) == len(corpus)


def test_half_chinese_half_english_and_ten_traditional_at_least() -> None:
    languages = Counter(detect_language(passage.text) for passage in SAMPLE)
    assert len(SAMPLE) >= 64
    chinese, english = languages["zh-Hans"] + languages["zh-Hant"], languages["en"]
    assert chinese == english, f"{chinese} Chinese passages and {english} English ones: add as many of the other"
    assert languages["zh-Hant"] >= 10


@each_passage
def test_language_is_the_one_its_id_names(passage: Passage) -> None:
    named = {"hans": "zh-Hans", "hant": "zh-Hant", "en": "en"}[passage.id.partition("-")[0]]
    assert detect_language(passage.text) == named


@each_passage
def test_length(passage: Passage) -> None:
    if passage.id.startswith("en"):
        assert 20 <= len(passage.text.split()) <= 80, f"{len(passage.text.split())} words, not 20 to 80"
    else:
        assert 30 <= len(passage.text) <= 160, f"{len(passage.text)} characters, not 30 to 160"


@each_passage
def test_gold_is_verbatim_and_never_cuts_a_word(passage: Passage) -> None:
    for triple in passage.triples:
        subject, _, obj = triple
        assert is_span(subject, passage.text) or is_span(subject, passage.title), triple
        assert is_span(obj, passage.text) or is_span(obj, passage.title), triple
        assert is_span(subject, passage.text) or is_span(obj, passage.text), "one argument must stand in the text"


@each_passage
def test_gold_is_free_of_doubles_and_self_loops(passage: Passage) -> None:
    assert len(set(passage.triples)) == len(passage.triples)
    assert all(subject != obj for subject, _, obj in passage.triples)


@each_passage
def test_gold_agrees_with_the_general_ontology(passage: Passage) -> None:
    for _, predicate, obj in passage.triples:
        pattern = ONTOLOGY[predicate].object_pattern
        assert pattern is None or regex.fullmatch(pattern, obj), f"{obj} is no object of {predicate}"


def test_every_relation_of_the_general_ontology_has_gold() -> None:
    used = {predicate for passage in SAMPLE for _, predicate, _ in passage.triples}
    assert used <= set(ONTOLOGY)
    assert sorted(set(ONTOLOGY) - used) == [], "conf/demo/gold.jsonl has no triple of these: let a passage state each"


def test_some_subjects_stand_in_the_title_only() -> None:
    title_only = [
        passage.id for passage in SAMPLE if any(not is_span(subject, passage.text) for subject, _, _ in passage.triples)
    ]
    assert {name.partition("-")[0] for name in title_only} == {"hans", "hant", "en"}
    assert len(title_only) >= 6


@pytest.mark.parametrize("fact", NOT_ASSERTED, ids=lambda fact: f"{fact[0]}-{fact[2]}")
def test_denied_planned_and_imagined_facts_are_not_gold(fact: tuple[str, str, str, str]) -> None:
    name, *triple = fact
    (passage,) = (passage for passage in SAMPLE if passage.id == name)
    assert is_span(triple[0], passage.text), "the temptation must be there"
    assert is_span(triple[2], passage.text)
    assert triple[1] in ONTOLOGY
    assert tuple(triple) not in passage.triples


def test_denied_planned_and_imagined_facts_are_many_enough() -> None:
    assert len({name for name, *_ in NOT_ASSERTED}) >= 8
    assert sum(not passage.triples for passage in SAMPLE) >= 4
    listed = {name for name, *_ in NOT_ASSERTED}
    forgotten = [passage.id for passage in SAMPLE if not passage.triples and passage.id not in listed]
    assert forgotten == [], "a passage without gold denies something: put that into NOT_ASSERTED, which guards it"


def test_the_few_shot_examples_give_nothing_away() -> None:
    prompts = sorted((CONF / "prompts").glob("*.yaml"))
    assert len(prompts) >= 3
    shown = {run for path in prompts for text in strings(yaml.safe_load(path.read_text("utf-8"))) for run in runs(text)}
    for passage in SAMPLE:
        assert not runs(passage.text) & shown, passage.id
