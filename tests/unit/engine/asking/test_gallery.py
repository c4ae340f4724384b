"""Gold as examples: what can be one, and why the rest cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from triplelake.commands.idle import idle_settings
from triplelake.config import Settings
from triplelake.engine.asking.gallery import gallery, most_tokens, read_gallery
from triplelake.errors import InputError
from triplelake.prompt.ontology_file import load_ontology
from triplelake.prompt.profile import ModelProfile
from triplelake.prompt.prompts import load_prompts
from triplelake.prompt.render import Renderer

ONTOLOGY = load_ontology("ontologies/general.yaml")
BASE = ModelProfile("base", "plain")
BOOK: dict[str, Any] = {"id": "1", "text": "《暮雨》是何若兰写的小说。", "triples": [["暮雨", "author", "何若兰"]]}
NOVEL: dict[str, Any] = {"id": "2", "text": "Dew is a novel by Ann Lee.", "triples": [["Dew", "author", "Ann Lee"]]}
NOTHING: dict[str, Any] = {"id": "3", "text": "昨天下了一整天的雨。", "triples": []}
BAD = [
    {"id": "4", "text": "《远山》。", "triples": [["远山", "colour", "远山"]]},
    {"id": "5", "text": "《远山》是一部电影。", "triples": [["远山", "director", "沈若白"]]},
    {"id": "6", "text": "", "triples": [["远山", "director", "沈若白"]]},
    {"id": "7", "text": "很长。" * 900 + "《远山》由沈若白导演。", "triples": [["远山", "director", "沈若白"]]},
]


def settings(file: Path, *documents: dict[str, Any], **prompt: Any) -> Settings:
    file.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in documents), encoding="utf-8")
    return Settings.model_validate({"prompt": {"gold": str(file), **prompt}})


def test_each_language_has_the_examples_that_the_grammar_could_say(tmp_path: Path) -> None:
    found, left_out = read_gallery(settings(tmp_path / "gold.jsonl", BOOK, NOVEL, NOTHING, *BAD), ONTOLOGY)
    assert {lang: [each.text for each in examples] for lang, examples in found.items()} == {
        "zh-Hans": [BOOK["text"], NOTHING["text"]],
        "en": [NOVEL["text"]],
    }
    assert left_out.startswith(f"{tmp_path / 'gold.jsonl'}: 4 of its texts are no examples: 1 ")
    assert "1 have no text" in left_out
    assert found["zh-Hans"][0].triples == (("暮雨", "author", "何若兰"),)


def test_a_profile_that_shows_no_empty_answer_shows_none_here_either(tmp_path: Path) -> None:
    chosen = settings(tmp_path / "gold.jsonl", BOOK, NOTHING)
    examples, left_out = read_gallery(chosen, ONTOLOGY)
    assert left_out == ""
    shown = gallery(examples, chosen, BASE)
    told = gallery(examples, chosen, ModelProfile("chat", "server", empty="told"))
    assert shown is not None and told is not None
    assert (len(shown.of("zh-Hans")), len(told.of("zh-Hans"))) == (2, 1)
    assert gallery({}, chosen, BASE) is None


def test_a_judged_sheet_gives_its_sentences_with_what_is_right(tmp_path: Path) -> None:
    rows = [
        ("1", "暮雨", "author", "何若兰", BOOK["text"], "对"),
        ("2", "何若兰", "author", "暮雨", BOOK["text"], "错"),
        ("3", "Dew", "author", "Ann Lee", NOVEL["text"], "no"),
        ("4", "远山", "director", "沈若白", "《远山》由沈若白导演。", "?"),
        ("5", "'-12", "author", "何若兰", "《-12》是何若兰写的。", "yes"),
        ("6", "暮雨", "author", "何若兰", "《暮雨》出版了。", "yes"),
    ]
    head = "triple_id,subject,predicate,object,evidence,verdict\n"
    sheet = tmp_path / "review.csv"
    sheet.write_text(head + "".join(",".join(row) + "\n" for row in rows), encoding="utf-8")
    found, left_out = read_gallery(Settings.model_validate({"prompt": {"gold": str(sheet)}}), ONTOLOGY)
    assert {lang: [(each.text, each.triples) for each in examples] for lang, examples in found.items()} == {
        "zh-Hans": [
            (BOOK["text"], (("暮雨", "author", "何若兰"),)),
            ("《-12》是何若兰写的。", (("-12", "author", "何若兰"),)),
        ]
    }
    assert "1 have a subject or an object that does not stand in their text" in left_out


def test_gold_without_any_example_is_refused_with_the_reasons(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        read_gallery(settings(tmp_path / "gold.jsonl", *BAD), ONTOLOGY)
    assert refused.value.subject == str(tmp_path / "gold.jsonl")
    for reason in ("relation that the ontology lacks", "does not stand in their text", "have no text", "longer than"):
        assert f"1 {'have' if reason != 'longer than' else 'are'}" in refused.value.reason
        assert reason in refused.value.reason
    assert read_gallery(Settings(), ONTOLOGY) == ({}, "")


def test_room_is_left_for_the_longest(tmp_path: Path) -> None:
    long = {**BOOK, "id": "9", "text": BOOK["text"] * 9}
    chosen = settings(tmp_path / "gold.jsonl", BOOK, long, NOVEL, retrieved=1)
    examples, left_out = read_gallery(chosen, ONTOLOGY)
    assert left_out == ""
    renderer = Renderer(load_prompts("prompts"), ONTOLOGY, BASE, gallery=gallery(examples, chosen, BASE))
    assert most_tokens(renderer, "zh-Hans", chosen) > 9 * most_tokens(renderer, "en", chosen) / 2
    assert most_tokens(renderer, "zh-Hant", chosen) == 0
    plain = Renderer(load_prompts("prompts"), ONTOLOGY, BASE)
    assert most_tokens(plain, "zh-Hans", chosen) == 0


def test_a_number_without_gold_does_nothing_and_is_told() -> None:
    told = idle_settings(Settings.model_validate({"prompt": {"retrieved": 8}}), "jsonl")
    assert told == ["prompt.retrieved: prompt.gold names no examples to retrieve"]
