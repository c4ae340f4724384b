"""What the trainer refuses of its data before it loads anything."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[3] / "infra" / "train"))

from fake.little_course import ONTOLOGY, PLAIN, write_course

from train_data import check_prompts, check_relations, facts_of, read_course, without_example
from triplelake.errors import InputError

THREE = ONTOLOGY + "  - {id: capital, name_zh: 首都, name_en: capital}\n"


def change(file: Path, edit: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Edit the first line."""
    first, rest = file.read_text(encoding="utf-8").split("\n", 1)
    file.write_text(json.dumps(edit(json.loads(first)), ensure_ascii=False) + "\n" + rest, encoding="utf-8")


def test_a_course_is_read(tmp_path: Path) -> None:
    course = read_course(write_course(tmp_path / "data"))
    assert (len(course.train), len(course.dev), course.end) == (60, 10, "\n")
    assert facts_of(course.train) == 50
    assert without_example(course) == []
    check_prompts(course, "prompts")
    assert check_relations(course, allow=False) == ""


def test_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no training data"):
        read_course(tmp_path / "nowhere")


def test_too_few_texts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds 19 texts, and fewer than 20"):
        read_course(write_course(tmp_path / "data", texts=19))
    assert len(read_course(write_course(tmp_path / "enough", texts=20)).train) == 20


def test_a_dev_text_that_is_trained_on_is_refused(tmp_path: Path) -> None:
    folder = write_course(tmp_path / "data")
    first = json.loads((folder / "train.jsonl").read_text(encoding="utf-8").split("\n")[0])
    change(folder / "dev.jsonl", lambda line: line | {"id": first["id"]})
    with pytest.raises(InputError, match=r"holds 1 texts of train\.jsonl"):
        read_course(folder)


def test_a_relation_without_an_example_is_named_unless_it_is_allowed(tmp_path: Path) -> None:
    course = read_course(write_course(tmp_path / "data", ontology=THREE))
    assert without_example(course) == ["首都"]
    with pytest.raises(InputError, match="1 relations of the ontology have no example: 首都"):
        check_relations(course, allow=False)
    assert "首都" in check_relations(course, allow=True)


def test_a_prompt_that_a_run_would_not_ask_is_shown(tmp_path: Path) -> None:
    folder = write_course(tmp_path / "data")
    change(folder / "train.jsonl", lambda line: line | {"prompt": "Say all that you know."})
    with pytest.raises(InputError, match=r"Say all that you know.*not '抽取三元组"):
        check_prompts(read_course(folder), "prompts")


def test_a_servers_own_template_is_not_known_without_a_server(tmp_path: Path) -> None:
    course = read_course(write_course(tmp_path / "data"))
    check_prompts(replace(course, profile=replace(PLAIN, template="server")), "prompts")
