"""Metrics on numbers that can be counted by hand, and their laws."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triplelake.evaluate.metrics import (
    Counts,
    grounded_share,
    pair_counts,
    relaxed_counts,
    repeated_share,
    reversed_count,
    strict_counts,
    total,
)

FACTS = st.lists(st.tuples(*[st.sampled_from(["甲", "乙", "臺", "台", "Ann", "ANN"])] * 3), max_size=6)


def test_counts_by_hand() -> None:
    gold = [("晨霧", "author", "林知遠"), ("Acme", "founder", "Ann Lee"), ("甲", "capital", "乙")]
    predicted = [
        ("晨雾", "author", "林知远"),
        ("ACME", "owner", "ann lee"),
        ("ACME", "founder", "ann"),
        ("晨霧", "author", "林知遠"),
    ]
    strict, pairs = strict_counts(gold, predicted), pair_counts(gold, predicted)
    assert strict == Counts(correct=1, predicted=3, gold=3)
    assert pairs == Counts(correct=2, predicted=3, gold=3)
    assert strict.precision == pytest.approx(1 / 3)
    assert strict.recall == pytest.approx(1 / 3)
    assert Counts(1, 4, 2).f1 == pytest.approx(2 * (1 / 4) * (1 / 2) / (1 / 4 + 1 / 2))


def test_direction_and_relation_count_where_they_should() -> None:
    gold = [("甲", "parent", "乙")]
    assert strict_counts(gold, [("乙", "parent", "甲")]).correct == 0
    assert strict_counts(gold, [("甲", "child", "乙")]).correct == 0
    assert pair_counts(gold, [("甲", "child", "乙")]).correct == 1
    assert pair_counts(gold, [("乙", "parent", "甲")]).correct == 0


@pytest.mark.parametrize(
    ("said", "wanted", "nearly"),
    [
        ("北京大学", "北京大学数学系", True),  # 4 of 7 characters
        ("北京", "北京大学数学系", False),  # 2 of 7
        ("北大学", "北京大学", False),  # no run of it
        ("Ann", "Ann Lee", True),  # 1 of 2 words
        ("An", "Ann Lee", False),  # half a word is none
        ("Lee", "Ann Mary Lee", False),  # 1 of 3
        ("ANN  LEE", "Ann Lee", True),  # the same by comparison key
        ("臺北市", "台北", True),  # so are both scripts
    ],
)
def test_relaxed_takes_half_of_the_words_or_characters(said: str, wanted: str, nearly: bool) -> None:
    for subject, object in ((said, "甲"), ("甲", said)):
        gold = ("甲", "works_at", wanted) if object == said else (wanted, "works_at", "甲")
        assert relaxed_counts([gold], [(subject, "works_at", object)]) == Counts(nearly, 1, 1)
        assert relaxed_counts([gold], [(subject, "owns", object)]) == Counts(0, 1, 1)


def test_relaxed_takes_each_fact_once_and_as_many_as_possible() -> None:
    long, short, longer = ("Ann Lee", "r", "o"), ("Ann", "r", "o"), ("Ann Lee Ray", "r", "o")
    assert relaxed_counts([long], [short, long]) == Counts(1, 2, 1)
    # Two answers fit the second fact, one of them the first too: whatever is taken first, both facts are found.
    assert relaxed_counts([short, long], [long, longer]) == Counts(2, 2, 2)
    assert relaxed_counts([long, short], [longer, long]) == Counts(2, 2, 2)


def test_reversed_is_wrong_and_right_the_other_way_round() -> None:
    gold = [("甲", "parent", "乙"), ("丙", "spouse", "丁"), ("丁", "spouse", "丙")]
    assert reversed_count(gold, [("乙", "parent", "甲")]) == 1
    assert reversed_count(gold, [("乙", "child", "甲"), ("甲", "parent", "乙")]) == 0
    assert reversed_count(gold, [("丙", "spouse", "丁")]) == 0
    assert reversed_count([("ACME", "owner", "台湾")], [("臺灣", "owner", "acme"), ("台湾", "owner", "Acme")]) == 1


@pytest.mark.parametrize(
    ("counts", "values"),
    [
        (Counts(0, 0, 0), (1.0, 1.0, 1.0)),
        (Counts(0, 0, 3), (0.0, 0.0, 0.0)),
        (Counts(0, 2, 0), (0.0, 0.0, 0.0)),
        (Counts(2, 2, 2), (1.0, 1.0, 1.0)),
    ],
)
def test_nothing_said_or_nothing_to_find(counts: Counts, values: tuple[float, float, float]) -> None:
    assert (counts.precision, counts.recall, counts.f1) == values


def test_totals_are_micro_averages() -> None:
    assert total([Counts(1, 1, 1), Counts(0, 3, 1), Counts(0, 0, 2)]) == Counts(1, 4, 4)
    assert total([]) == Counts()


# No deadline: the first key of a process reads the tables of OpenCC.
@given(FACTS, FACTS)
def test_laws(gold: list[tuple[str, str, str]], predicted: list[tuple[str, str, str]]) -> None:
    strict, pairs = strict_counts(gold, predicted), pair_counts(gold, predicted)
    assert strict.correct <= min(strict.predicted, strict.gold)
    assert bool(strict.correct) <= bool(pairs.correct)
    relaxed = relaxed_counts(gold, predicted)
    assert strict.correct <= relaxed.correct <= min(strict.predicted, strict.gold)
    assert (relaxed.predicted, relaxed.gold) == (strict.predicted, strict.gold)
    assert strict_counts(predicted, gold).f1 == strict.f1
    assert strict_counts(gold, gold + gold) == strict_counts(gold, gold)
    assert strict_counts(gold, gold).f1 == 1.0
    assert 0 <= strict.f1 <= 1


def test_grounded_share() -> None:
    answers = [
        ("林知远写了《晨雾》。", [("晨雾", "作者", "林知远"), ("晨霧", "作者", "林知远")]),
        ("Acme", [("Acme", "is", "big")]),
    ]
    assert grounded_share(answers) == pytest.approx(1 / 3)
    assert grounded_share([("text", [])]) is None


def test_repeated_share() -> None:
    same = [
        ("臺灣", "capital", "臺北"),
        ("台湾", "capital", "台北"),
        ("臺灣", "capital", "臺北"),
        ("臺灣", "largest city", "臺北"),
    ]
    assert repeated_share([same, [("台湾", "capital", "台北")]]) == pytest.approx(2 / 5)
    assert repeated_share([[]]) is None
