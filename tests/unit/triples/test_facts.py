"""A fact is one fact whichever way it is said."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from triplelake.config import AnswerSettings
from triplelake.prompt.ontology import Ontology, Relation
from triplelake.triples.derive import derivation_id, derive
from triplelake.triples.facts import Facts, Reading
from triplelake.types import LANGS, Request

ANSWER = AnswerSettings()


def relation(id: str, **more: Any) -> Relation:
    return Relation(id=id, names=dict.fromkeys(LANGS, id), **more)


FAMILY = Ontology(
    "family",
    (relation("parent", inverse="child"), relation("child", inverse="parent"), relation("spouse", symmetric=True)),
)


def test_direction_counts_where_no_ontology_says_otherwise() -> None:
    assert Facts(None).reading("a", "b", "c") == Reading("b", False)


@pytest.mark.parametrize(
    "again", [("李四", "spouse", "张三"), ("张三", "spouse", "李四")], ids=["exchanged", "as before"]
)
def test_one_answer_says_a_fact_once(again: tuple[str, str, str]) -> None:
    asked = Request("r", "张三和李四结婚。", "", "", "zh-Hans")
    completion = json.dumps([("张三", "spouse", "李四"), again], ensure_ascii=False)
    derived = derive(asked, completion, truncated=False, ontology=FAMILY, answer=ANSWER)
    assert [triple.subject for triple in derived.triples] == ["张三"]
    assert derived.dropped == {"duplicate": 1}


def test_how_facts_are_read_is_part_of_the_derivation() -> None:
    parent, child, spouse = FAMILY.relations
    ids = {
        derivation_id(Ontology("x", relations), ANSWER)
        for relations in (
            FAMILY.relations,
            (parent, child, replace(spouse, symmetric=False)),
            (replace(parent, inverse=None), replace(child, inverse=None), spouse),
        )
    }
    assert len(ids) == 3
