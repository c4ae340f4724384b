"""What makes two runs ask the same, and what a changed file is known by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from triplelake.config import Settings, load_settings
from triplelake.engine.planning.keys import command_hash, content_hashes, extraction_key
from triplelake.prompt.fewshot import Example
from triplelake.prompt.ontology_file import load_ontology
from triplelake.prompt.prompts import load_prompts
from triplelake.types import LANGS, Lang

SAME: dict[str, Any] = {"fingerprint": "a model", "engine": "gbnf", "prompt": ("relations", "prefix")}
ONTOLOGY = load_ontology("ontologies/general.yaml")
PROMPTS = load_prompts("prompts")


def settings(**given: Any) -> Settings:
    return load_settings(None, {name.replace("__", "."): value for name, value in given.items()}, {})


@pytest.mark.parametrize(
    "other",
    [
        {"fingerprint": "another"},
        {"engine": "llguidance"},
        {"prompt": ("relations", "another prefix")},
        {"prompt": ("relations",)},
        {"prompt": ("relationsprefix",)},
        {"prompt": ("prefix", "relations")},
    ],
    ids=str,
)
def test_another_model_engine_or_prompt_is_another_question(other: dict[str, Any]) -> None:
    assert extraction_key(settings(), **SAME | other) != extraction_key(settings(), **SAME)


@pytest.mark.parametrize(
    "changed", [{"answer__max_tokens": 77}, {"answer__max_triples": 3}, {"chunking__max_tokens": 99}], ids=str
)
def test_settings_of_answers_and_chunks_are_part_of_the_question(changed: dict[str, Any]) -> None:
    assert extraction_key(settings(**changed), **SAME) != extraction_key(settings(), **SAME)


@pytest.mark.parametrize(
    "changed",
    [
        {"asking__stop_repeats": False},
        {"asking__tries": 1},
        {"run__lanes": 1},
        {"input": ("a",), "output": "b"},
        # What is wanted is no part of it: the engine that the pool follows is.
        {"answer__grammar": "gbnf"},
        {"answer__grammar": "llguidance"},
    ],
    ids=str,
)
def test_what_changes_no_answer_is_no_part_of_the_question(changed: dict[str, Any]) -> None:
    assert extraction_key(settings(**changed), **SAME) == extraction_key(settings(), **SAME)


def test_a_changed_file_is_told_by_its_own_hash_alone() -> None:
    assert ONTOLOGY is not None
    before = content_hashes(PROMPTS, ONTOLOGY, ("<user>",))
    assert set(before) == {"relations", "template", *(f"prompt {lang}" for lang in LANGS)}
    assert len(set(before.values())) == len(before)

    def changed(now: Any) -> set[str]:
        return {name for name in {*before, *now} if before.get(name) != now.get(name)}

    first, *others = ONTOLOGY.relations
    less = replace(ONTOLOGY, relations=tuple(others))
    described = replace(ONTOLOGY, relations=(replace(first, description={"en": "x"}), *others))
    other = {**PROMPTS, "en": replace(PROMPTS["en"], instructions="another")}
    gold: dict[Lang, list[Example]] = {"en": [Example("Ada met Bob.", "", "", (("Ada", "met", "Bob"),))]}
    assert changed(content_hashes(PROMPTS, less, ("<user>",))) == {"relations"}
    assert changed(content_hashes(PROMPTS, described, ("<user>",))) == {"relations"}
    assert changed(content_hashes(other, ONTOLOGY, ("<user>",))) == {"prompt en"}
    assert changed(content_hashes(PROMPTS, ONTOLOGY, ("<other>",))) == {"template"}
    assert changed(content_hashes(PROMPTS, ONTOLOGY, ("<user>",), gold)) == {"gold"}


def test_where_a_prompt_lies_changes_nothing() -> None:
    elsewhere = {lang: replace(prompt, file=Path("elsewhere"), shipped=False) for lang, prompt in PROMPTS.items()}
    assert content_hashes(elsewhere, ONTOLOGY, ()) == content_hashes(PROMPTS, ONTOLOGY, ())


@pytest.mark.parametrize(
    "changed",
    [
        {"input": ("other.jsonl",)},
        {"corpus__id_column": "id"},
        {"run__mode": "replace"},
        {"run__limit": 5},
        {"run__sample": 5},
        {"run__seed": 1},
        {"run__retry_failed": True},
    ],
    ids=str,
)
def test_another_choice_of_work_is_another_command(changed: dict[str, Any]) -> None:
    given = {"input": ("one.jsonl",)}
    assert command_hash(settings(**given | changed), "k") != command_hash(settings(**given), "k")


def test_a_command_asks_one_question_and_how_it_is_run_is_no_part_of_it() -> None:
    assert command_hash(settings(), "k") != command_hash(settings(), "another")
    assert command_hash(settings(run__lanes=1, run__wave_s=5.0), "k") == command_hash(settings(), "k")
