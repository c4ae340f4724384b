"""Pronouns and pointing phrases in three scripts, and names that look like them."""

from __future__ import annotations

import pytest

from triplelake.triples.pronouns import is_pronoun


@pytest.mark.parametrize(
    "surface",
    [
        *(
            "他",
            "她",
            "它",
            "他们",
            "其",
            "自己",
            "该公司",
            "本片",
            "这部电影",
            "我国",
            "他的妻子",
            "其父",
            "贵公司",
            "該州",
        ),
        *("他們", "該公司", "這部電影", "我們", "該劇", "牠", "妳們", "誰"),
        *("he", "He", "it", "It", "They", "his", "her", "the company", "The company", "this film", "its"),
        *("The former", "ｈｅ", "his  wife", "them", "us", "which"),
    ],
)
def test_pointing(surface: str) -> None:
    assert is_pronoun(surface)


@pytest.mark.parametrize(
    "surface",
    [
        *("林知远", "本州", "贵州", "那曲", "其其格", "该隐", "本田", "我的前半生", "他乡", "公司", "中国"),
        *("貴州", "臺灣", "本草綱目"),
        *("US", "IT", "Us", "WHO", "The Firm", "The Company", "Hera", "Acme Company", "company", "Itō", "HE"),
        "",
    ],
)
def test_naming(surface: str) -> None:
    assert not is_pronoun(surface)
