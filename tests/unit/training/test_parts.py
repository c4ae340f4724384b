"""Two parts by document, of which neither knows what the other one or an evaluation holds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lines_by_hand import made

from triplelake.errors import InputError
from triplelake.training.lines import MadeLine
from triplelake.training.near import are_near, shingles
from triplelake.training.parts import NEAR_APART, NEAR_DEV, TOO_EMPTY, Wanted, split

BASE = "《雾港灯塔》是霍听澜执导的电影，由苏映棠、简弗宁主演，于2009年在栎川市上映。"


def _near(one: Sequence[str], other: Sequence[str]) -> bool:
    return any(are_near(shingles(a), shingles(b)) for a, b in product(one, other))


def _texts(lines: Sequence[MadeLine]) -> list[str]:
    return [each.line.text for each in lines]


@given(
    st.lists(
        st.tuples(st.text(alphabet="abc ", min_size=1, max_size=40), st.booleans(), st.sampled_from("1234567")),
        unique_by=lambda each: made(each[0]).line.id,
        max_size=25,
    ),
    st.lists(st.text(alphabet="abc ", min_size=1, max_size=40), max_size=3),
    st.builds(
        Wanted,
        n=st.sampled_from([None, 5, 12]),
        dev=st.sampled_from([0, 0.1, 0.5, 2.0]),
        empty=st.sampled_from([0, 0.3]),
        seed=st.integers(0, 2),
    ),
)
def test_nothing_leaks(texts: list[tuple[str, bool, str]], apart: list[str], wanted: Wanted) -> None:
    lines = [made(text, *(("r",) if has else ()), document=document) for text, has, document in texts]
    try:
        parts = split(lines, apart, wanted)
    except InputError:
        return
    train, dev = _texts(parts.train), _texts(parts.dev)
    assert not _near(train, dev) and not _near(train, apart) and not _near(dev, apart)
    assert not {each.document for each in parts.train} & {each.document for each in parts.dev}
    assert len(parts.train) + len(parts.dev) + sum(parts.left_out.values()) == len(lines)
    assert split(lines[::-1], apart, wanted).train == parts.train


def test_what_is_near_is_counted_by_what_it_is_near_to() -> None:
    others = [made(f"第{rank}篇讲的是{chr(0x5200 + 97 * rank) * 9}", "r", document=str(rank)) for rank in range(20)]
    lines = [*others, made(BASE, "r"), made(BASE.replace("2009", "2011"), "r", document="copy")]
    assert split(lines, [BASE.replace("2009", "1999")], Wanted()).left_out[NEAR_APART] == 2
    for seed in range(50):
        parts = split(lines, [], Wanted(dev=1.0, seed=seed))
        if parts.dev[0].line.text.startswith("《雾港"):
            assert parts.left_out == {NEAR_DEV: 1}
            break
    else:
        pytest.fail("no seed put it into dev")


def test_empty_answers_are_bounded_in_both_parts() -> None:
    lines = [made(f"{rank}{chr(0x5200 + rank) * 9}", *(("r",) if rank % 2 else ())) for rank in range(400)]
    parts = split(lines, [], Wanted(dev=0.25, empty=0.2))
    for part in (parts.train, parts.dev):
        assert 0 < sum(not each.relations for each in part) <= 0.2 * len(part)
    assert parts.left_out[TOO_EMPTY] == 400 - len(parts.train) - len(parts.dev)


@pytest.mark.parametrize(
    ("lines", "apart", "reason"),
    [
        ([made("甲一"), made("乙二")], [], "no text with facts is left"),
        ([made(BASE, "r"), made("乙二", "r")], [BASE, "乙二"], NEAR_APART),
        ([made("甲一", "r", document="d"), made("乙二", "r", document="d")], [], "are of one document"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(lines: list[MadeLine], apart: list[str], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        split(lines, apart, Wanted())
