"""Gold and answers compare alike where a relation holds both ways, or another says the same the other way round."""

from __future__ import annotations

import pytest

from triplelake.evaluate.answers import Answered, PublishedTriple
from triplelake.evaluate.gold import Fact, GoldDocument
from triplelake.evaluate.judge import judge
from triplelake.evaluate.metrics import pair_counts, relaxed_counts
from triplelake.evaluate.report import GoldReport, Run
from triplelake.prompt.ontology import Ontology, Relation
from triplelake.types import LANGS


def relation(id: str, *, symmetric: bool = False, inverse: str | None = None) -> Relation:
    return Relation(id, dict.fromkeys(LANGS, id), symmetric=symmetric, inverse=inverse)


FAMILY = Ontology(
    "family",
    (relation("parent", inverse="child"), relation("child", inverse="parent"), relation("spouse", symmetric=True)),
)
TEXT = "张三和李四结婚，生了张大。"


def judged(gold: Fact, said: Fact) -> GoldReport:
    answered = Answered("1", TEXT, "", "zh-Hans", (PublishedTriple(said, True, (), ()),), ())
    run = Run(output="kg", model=None, extraction_keys=(), settings={})
    return judge([(GoldDocument("1", TEXT, (gold,)), answered)], FAMILY, run=run, gold="gold", format="jsonl")


@pytest.mark.parametrize(
    ("gold", "said"),
    [
        (("张三", "spouse", "李四"), ("李四", "spouse", "張三")),
        (("张大", "parent", "张三"), ("张三", "child", "张大")),
        (("张三", "child", "张大"), ("张大", "parent", "张三")),
        (("錢鍾書", "spouse", "杨绛"), ("杨绛", "spouse", "钱\u200b钟书")),
    ],
)
def test_the_same_fact_said_the_other_way_round_is_right(gold: Fact, said: Fact) -> None:
    figures = judged(gold, said).groups["all"].figures
    values = {name: each.value for name, each in figures.items() if each is not None}
    assert [values[name] for name in ("f1", "f1_in_facts", "relaxed_f1", "pair_f1", "reversed")] == [1, 1, 1, 1, 0]


def test_a_direction_that_counts_still_counts() -> None:
    figures = judged(("张大", "parent", "张三"), ("张三", "parent", "张大")).groups["all"].figures
    assert figures["f1"] is not None and figures["f1"].value == 0
    assert figures["reversed"] is not None and figures["reversed"].value == 1


def test_names_cut_short_may_be_exchanged_too() -> None:
    gold, said = [("张三", "spouse", "李四")], [("小李四", "spouse", "张三")]
    assert relaxed_counts(gold, said).correct == 0
    assert relaxed_counts(gold, said, {"spouse"}).correct == 1


def test_a_pair_of_a_symmetric_relation_has_no_order_and_no_other_pair() -> None:
    assert pair_counts([("甲", "spouse", "乙")], [("乙", "friend", "甲")], {"spouse"}).correct == 1
    assert pair_counts([("甲", "parent", "乙")], [("乙", "friend", "甲")], {"spouse"}).correct == 0
