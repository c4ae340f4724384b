"""Near-duplicates are found by the search exactly where comparing all pairs finds them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triplelake.training.near import NearDuplicates, are_near, shingles

LONG = "《雾港灯塔》是霍听澜执导的电影，由苏映棠、简弗宁主演，于2009年在栎川市上映。"

# A small alphabet and edits of one another, so that many pairs are near and many are almost.
TEXTS = st.lists(st.text(alphabet="abcd", max_size=30), max_size=8).flatmap(
    lambda texts: st.permutations([*texts, *(text[: len(text) * 9 // 10] + "x" for text in texts)])
)


@given(TEXTS, TEXTS)
def test_the_search_finds_what_comparing_all_finds(apart: list[str], texts: list[str]) -> None:
    search = NearDuplicates(apart)
    for text in texts:
        assert search.has_near(text) is any(are_near(shingles(text), shingles(each)) for each in apart)


@pytest.mark.parametrize(
    ("one", "other", "near"),
    [
        (LONG, LONG, True),
        (LONG, LONG.replace("2009", "2010"), True),
        (LONG, "《霧港燈塔》是霍聽瀾執導的電影，由蘇映棠、簡弗寧主演，於２００９年在櫟川市上映。", True),
        ("Dew is a novel by Ann Lee.", "DEW  IS A\tNOVEL BY ANN LEE.", True),
        (LONG, "上集说到这里。" + LONG + "此后又过了许多年，他才再次回到这座城市，见到了当年的朋友们。" * 3, True),
        (LONG, "《空山来信》是闻栖迟写的小说，于1987年在沅澜市出版。", False),
        ("他是作家。", LONG + "他是作家。", False),
    ],
)
def test_what_is_near(one: str, other: str, near: bool) -> None:
    assert are_near(shingles(one), shingles(other)) is near
    assert NearDuplicates([one]).has_near(other) is near
    assert NearDuplicates([other]).has_near(one) is near
