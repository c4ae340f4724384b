"""Hashes of texts: alike where people would call the text the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triplelake.fingerprints import text_hash


@pytest.mark.parametrize("other", ["魯迅,浙江紹興人。", " 鲁迅，浙江绍兴人｡\n", "鲁迅，浙江绍兴人。"])
def test_script_width_and_white_space_around_change_nothing(other: str) -> None:
    assert text_hash(other) == text_hash("鲁迅，浙江绍兴人。")


def test_case_changes_nothing_and_a_word_does() -> None:
    assert text_hash("Ada  Lovelace\twrote.") == text_hash("ADA LOVELACE WROTE.")
    assert text_hash("Ada Lovelace wrote.") != text_hash("Ada Lovelace wrote")


@given(st.text(), st.text(alphabet=" \t\n", min_size=1), st.text())
def test_white_space_is_one_space(before: str, space: str, after: str) -> None:
    assert text_hash(before + space + after) == text_hash(f"  {before} {after}\n")
