"""A draw: rare relations first, every length, few empty answers, and each draw begins a larger one."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from lines_by_hand import made

from triplelake.training.draw import draw, length_class
from triplelake.training.lines import MadeLine

RELATIONS = st.lists(st.lists(st.sampled_from("pqrs"), unique=True, max_size=3), max_size=40)


def _lines(relations: list[list[str]]) -> list[MadeLine]:
    return [made(f"{rank}" + "x" * (rank * 37 % 600), *each) for rank, each in enumerate(relations)]


def test_rare_relations_come_first_and_frequent_ones_stay_more_frequent() -> None:
    lines = [
        made(f"{relation} {rank}", relation)
        for relation, many in (("often", 1600), ("seldom", 100), ("once", 1))
        for rank in range(many)
    ]
    drawn = draw(lines, n=103, per_relation=None, empty=0, seed=3)
    found = Counter(each.relations[0] for each in drawn.lines)
    assert [each.relations[0] for each in drawn.lines[:3]] == ["once", "seldom", "often"]
    # As the square roots, 40 to 10.
    assert found["once"] == 1 and 19 <= found["seldom"] <= 22
    assert drawn.not_drawn == len(lines) - 103


def test_a_relation_has_texts_of_every_length() -> None:
    short, long = ([made(f"{rank}{'话' * size}", "r") for rank in range(50)] for size in (5, 300))
    drawn = draw([*short, *long[:10]], n=20, per_relation=None, empty=0, seed=0)
    assert Counter(length_class(each.line.text) for each in drawn.lines) == {"≤32": 10, ">128": 10}


def test_a_relation_that_has_enough_gets_no_more() -> None:
    lines = [made(f"{rank}", *(("a", "b") if rank % 10 == 0 else ("a",))) for rank in range(100)]
    drawn = draw(lines, n=None, per_relation=15, empty=0, seed=0)
    found = Counter(relation for each in drawn.lines for relation in each.relations)
    assert found["b"] == 10 and 15 <= found["a"] <= 24
    assert drawn.capped == 100 - found["a"]


@given(RELATIONS, st.floats(0, 0.9), st.integers(0, 50), st.sampled_from([None, 1, 3]), st.integers(0, 3))
def test_draws_nest_and_lose_nothing(
    relations: list[list[str]], empty: float, n: int, per_relation: int | None, seed: int
) -> None:
    lines = _lines(relations)
    whole = draw(lines, n=None, per_relation=per_relation, empty=empty, seed=seed)
    again = draw(random.Random(n).sample(lines, len(lines)), n=n, per_relation=per_relation, empty=empty, seed=seed)
    assert again.lines == whole.lines[:n]
    for drawn in (whole, again):
        assert len({each.line.id for each in drawn.lines}) == len(drawn.lines)
        assert sum(not each.relations for each in drawn.lines) <= empty * len(drawn.lines)
        assert len(drawn.lines) + drawn.capped + drawn.too_empty + drawn.not_drawn == len(lines)
