"""Relation lists of gold data as ontologies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from triplelake.errors import InputError
from triplelake.evaluate.ontologies import (
    by_predicates,
    from_duie,
    from_text2kgbench,
    of_gold,
    read_ontology,
    write_ontology,
)
from triplelake.prompt.ontology import Signature
from triplelake.types import LANGS


def spo(predicate: str, subject_type: str, object_type: str) -> dict[str, Any]:
    return {"predicate": predicate, "subject_type": subject_type, "object_type": {"@value": object_type}}


def test_a_predicate_is_id_and_name_in_every_language() -> None:
    made = by_predicates("two", {"作者": [Signature("书", "人")] * 2, "genre": ()})
    author, genre = made.relations
    assert (author.id, author.signatures) == ("作者", (Signature("书", "人"),))
    assert (genre.id, genre.signatures) == ("genre", (Signature(),))
    for lang in LANGS:
        assert made.by_name(lang) == {"作者": author, "genre": genre}


def test_duie_data_and_schema_give_the_same_ontology(tmp_path: Path) -> None:
    first, second, third = spo("作者", "图书", "人物"), spo("首都", "国家", "城市"), spo("作者", "歌曲", "人物")
    data, schema = tmp_path / "data" / "duie.jsonl", tmp_path / "schema" / "duie.jsonl"
    for path, lines in (
        (data, [{"text": "甲", "spo_list": [first, second]}, {"text": "乙", "spo_list": [third, first]}]),
        (schema, [first, second, third]),
    ):
        path.parent.mkdir()
        path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    made = from_duie(data)
    assert made == from_duie(schema)
    assert [relation.id for relation in made.relations] == ["作者", "首都"]
    assert made.relations[0].signatures == (Signature("图书", "人物"), Signature("歌曲", "人物"))


def test_duie_without_types_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "duie.jsonl"
    path.write_text('{"spo_list": [{"predicate": "p"}]}', encoding="utf-8")
    with pytest.raises(InputError, match="line 1: has a predicate without subject_type"):
        from_duie(path)


def test_text2kgbench_ontology(tmp_path: Path) -> None:
    tree = {
        "title": "Film Ontology",
        "concepts": [{"qid": "Q1", "label": "film"}, {"qid": "Q2", "label": "human"}],
        "relations": [
            {"pid": "P1", "label": "director", "domain": "Q1", "range": "Q2"},
            {"pid": "P2", "label": "cost", "domain": "Q1", "range": ""},
            {"pid": "P3", "label": "league", "domain": "Q2", "range": "Q9"},
            {"pid": "P3", "label": "league", "domain": "Q1", "range": "Q9"},
        ],
    }
    path = tmp_path / "film.json"
    path.write_text(json.dumps(tree), encoding="utf-8")
    made = from_text2kgbench(path)
    assert made.name == "Film Ontology"
    assert {relation.id: relation.signatures for relation in made.relations} == {
        "director": (Signature("film", "human"),),
        "cost": (Signature("film", None),),
        "league": (Signature("human", None), Signature("film", None)),
    }
    assert [note.text for note in made.notes] == ["league: type Q9 is not declared; any type is allowed"]


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"concepts": []}', '{"title": "t", "concepts": [{}], "relations": []}']
)
def test_what_is_no_text2kgbench_ontology_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match="is not a Text2KGBench ontology"):
        from_text2kgbench(path)
    with pytest.raises(InputError, match="No such file"):
        from_text2kgbench(tmp_path / "none.json")


def test_the_relations_of_gold_are_an_ontology_that_a_run_can_take(tmp_path: Path) -> None:
    gold = tmp_path / "duie.jsonl"
    facts = [
        {"subject": "甲", "object": {"@value": "乙"}, **spo("作者", "图书", "人物")},
        {"subject": "甲", "object": {"@value": "丙"}, **spo("作者", "歌曲", "人物")},
        {"subject": "甲", "object": {"@value": "丁"}, **spo("首都", "国家", "")},
    ]
    gold.write_text(json.dumps({"text": "甲乙丙丁", "spo_list": facts}), encoding="utf-8")
    write_ontology(of_gold(gold, "duie"), tmp_path / "relations.csv")
    read = read_ontology(str(tmp_path / "relations.csv"))
    assert read is not None
    author, capital = read.relations
    assert (author.id, set(author.names.values())) == ("作者", {"作者"})
    assert author.signatures == (Signature("图书", "人物"), Signature("歌曲", "人物"))
    assert capital.signatures == (Signature("国家", None),)

    plain = tmp_path / "gold.jsonl"
    plain.write_text('{"id": "1", "triples": [["a", "born in", "b"], ["a", "born in", "c"]]}', encoding="utf-8")
    assert [relation.id for relation in of_gold(plain, "jsonl").relations] == ["born in"]
    spaced = tmp_path / "spaced.jsonl"
    spaced.write_text('{"id": "a", "triples": [["A", "born in", "B"], ["A", "born in ", "C"]]}\n', encoding="utf-8")
    assert [relation.id for relation in of_gold(spaced, "jsonl").relations] == ["born in"]
    plain.write_text('{"id": "1", "triples": []}', encoding="utf-8")
    with pytest.raises(InputError, match="holds no relation"):
        write_ontology(of_gold(plain, "jsonl"), tmp_path / "none.csv")


def test_an_ontology_of_text2kgbench_is_known_by_its_ending(tmp_path: Path) -> None:
    tree = {"title": "One", "concepts": [], "relations": [{"label": "director", "domain": "", "range": ""}]}
    (tmp_path / "one.json").write_text(json.dumps(tree), encoding="utf-8")
    read = read_ontology(str(tmp_path / "one.json"))
    assert read is not None
    assert [relation.id for relation in read.relations] == ["director"]
    assert read_ontology("none") is None
