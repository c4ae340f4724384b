"""The hard set of `make bench-asking`: its gold can be said under the ontology, and its passages are its own."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import yaml

from triplelake.evaluate.gold import GoldDocument, read_gold
from triplelake.evaluate.metrics import by_relation
from triplelake.prompt.fewshot import Example, check_relations, check_spans
from triplelake.prompt.ontology import Ontology
from triplelake.prompt.ontology_file import load_ontology
from triplelake.text import comparison_key, detect_language, fold
from triplelake.triples.signatures import assign_types
from triplelake.types import LANGS, Lang

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "tests/benchmarks/hard"
KINDS = ("denied", "planned", "empty", "long", "many")
FACTS = {"empty": (0, 0), "denied": (1, 8), "long": (8, 20), "many": (6, 12)}
ALIKE = 0.2
"""The largest share of the 8-grams of the shorter of two passages that the longer may have, too."""


@cache
def passages(lang: Lang) -> tuple[GoldDocument, ...]:
    return tuple(read_gold(FOLDER / f"{lang}.jsonl"))


@cache
def ontology() -> Ontology:
    found = load_ontology("ontologies/general.yaml")
    assert found is not None
    return found


def kind(document: GoldDocument) -> str:
    return document.id.partition("-")[0]


@pytest.mark.parametrize("lang", LANGS)
def test_eight_of_each_kind_in_the_language_that_they_are_asked_in(lang: Lang) -> None:
    assert Counter(map(kind, passages(lang))) == dict.fromkeys(KINDS, 8), "a new fact goes into a passage that is there"
    assert {detect_language(each.text) for each in passages(lang)} == {lang}
    for each in passages(lang):
        least, most = FACTS.get(kind(each), (0, 8))
        assert least <= len(each.facts) <= most, f"{each.id}: {len(each.facts)} facts, not {least} to {most}"
        if kind(each) == "long":
            length, bounds = (len(each.text.split()), (150, 300)) if lang == "en" else (len(each.text), (300, 700))
            told = f"{each.id}: {length} {'words' if lang == 'en' else 'characters'}, not {bounds[0]} to {bounds[1]}"
            assert bounds[0] <= length <= bounds[1], told


@pytest.mark.parametrize("lang", LANGS)
def test_gold_is_verbatim_and_of_the_ontology(lang: Lang) -> None:
    ids = {relation.id for relation in ontology().relations}
    for each in passages(lang):
        example = Example(each.text, "", "", each.facts)
        check_spans(example, each.id)
        check_relations([example], ontology(), lang, each.id)
        assert set(by_relation(each.facts)) <= ids


@pytest.mark.parametrize("lang", LANGS)
def test_the_types_of_the_facts_of_a_passage_agree(lang: Lang) -> None:
    relations = {relation.id: relation for relation in ontology().relations}
    for each in passages(lang):
        uses = [(comparison_key(s), relations[predicate], comparison_key(o)) for s, predicate, o in each.facts]
        for fact, typed in zip(each.facts, assign_types(uses), strict=True):
            assert not typed.conflict, (each.id, fact)


@pytest.mark.parametrize("lang", LANGS)
def test_every_relation_is_asked_for_in_every_language(lang: Lang) -> None:
    stated = {predicate for each in passages(lang) for _, predicate, _ in each.facts}
    missing = [relation.id for relation in ontology().relations if relation.id not in stated]
    file = (FOLDER / f"{lang}.jsonl").relative_to(ROOT)
    assert missing == [], f"{file} asks for none of these: let a passage that is there state each, in text and gold"


def test_no_passage_is_like_another_or_like_one_that_is_shipped() -> None:
    own = {f"{lang} {each.id}": grams(each.text) for lang in LANGS for each in passages(lang)}
    others = own | {text: grams(text) for text in shipped()}
    for name, of_one in own.items():
        for other, of_other in others.items():
            shared = len(of_one & of_other) / max(1, min(len(of_one), len(of_other)))
            assert name == other or shared <= ALIKE, (name, other, of_one & of_other)


def shipped() -> list[str]:
    """All texts of the demo, the known texts and the examples of prompts, those of `--init` and benchmarks included."""
    rows = [*(ROOT / "conf/known").glob("*.jsonl"), ROOT / "conf/demo/corpus.jsonl"]
    texts = [str(row["text"]) for file in rows for row in map(yaml.safe_load, file.read_text("utf-8").splitlines())]
    for file in [*(ROOT / "conf/prompts").glob("*.yaml"), *(ROOT / "conf/init").glob("*/prompts/*.yaml")]:
        texts += [example["text"] for example in yaml.safe_load(file.read_text("utf-8"))["examples"]]
    shots = yaml.safe_load((ROOT / "tests/benchmarks/shots.yaml").read_text("utf-8"))
    return texts + [example["text"] for examples in shots.values() for example in examples]


def grams(text: str) -> set[str]:
    """Its 8-grams, folded: the same passage in the other script is the same."""
    folded = "".join(fold(text).split())
    return {folded[start : start + 8] for start in range(len(folded) - 7)}
