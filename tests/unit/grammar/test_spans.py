"""What an entity may be made of, in Chinese and English."""

from __future__ import annotations

import pytest

from triplelake.prompt.grammar.spans import material
from triplelake.types import Request


def _sayable(text: str, max_chars: int = 40) -> list[str]:
    """The runs of a text that lie between stops, without what no entity may begin or end with."""
    spans = material(Request("r", text, "", "", "en"), max_chars)
    runs: list[str] = []
    covered = 0
    for start, reach in enumerate(spans.reaches):
        if reach > covered:
            runs.append("".join(unit or "" for unit in spans.units[start:reach]))
            covered = reach
    return runs


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("《晨雾》是林知远写的，2003年出版。", ["《晨雾》是林知远写的", "2003年出版", "晨雾"]),
        ("「晨霧」是林知遠寫的，2003年出版。", ["「晨霧」是林知遠寫的", "2003年出版", "晨霧"]),
        ("列夫·托尔斯泰（1828—1910）", ["列夫·托尔斯泰", "1828", "1910"]),
        ("苹果、香蕉；梨：甜！\n好吃？", ["苹果", "香蕉", "梨", "甜", "好吃"]),
        ("人口约1,640.5万，占35%", ["人口约1,640.5万", "占35%"]),
        ("史蒂夫.乔布斯,男,1955年生", ["史蒂夫.乔布斯", "男", "1955年生"]),
        ("She lives in Portland, Oregon. He left.", ["She lives in Portland, Oregon", "He left"]),
        ("J. K. Rowling met Dr. Lee in the U.S.", ["J. K. Rowling met Dr. Lee in the U.S"]),
        ("on July 4, 1776, at 12:30, apples, pears", ["on July 4, 1776", "at 12:30", "apples", "pears"]),
        ("Star Trek: Picard is Schindler’s List", ["Star Trek: Picard is Schindler’s List"]),
        ('the "Iron Gate" (a pub) – 5 °C', ["the", "5 °C", "Iron Gate", "a pub"]),
        ("R&D of C# and C++ at amazon.com/x", ["R&D of C# and C++ at amazon.com/x"]),
        ("end... of 'it'", ["end", "of", "it"]),
        ("no\r\nline\u2028or\u0085tab\tor\x00nul", ["no", "line", "or", "tab", "or", "nul"]),
        ("a</s>b<|im_end|>c[INST]d\\e{f}", ["a", "b", "c", "d", "e", "f", "s", "im_end", "INST"]),
        ("", []),
        ("，。！ …… -- ··", []),
    ],
)
def test_stops_part_a_text(text: str, runs: list[str]) -> None:
    assert _sayable(text) == runs


@pytest.mark.parametrize("text", ["👩‍🚀是宇航员", "🇨🇳的首都", "é́tude"])
def test_a_cluster_is_one_unit(text: str) -> None:
    assert _sayable(text) == [text]


def test_an_entity_reaches_its_limit_and_ends_with_an_edge() -> None:
    spans = material(Request("r", "one two three four", "", "", "en"), 9)
    assert "".join(unit or "" for unit in spans.units[0 : spans.reaches[0]]) == "one two"
    assert spans.reaches[1] == 0, "a space begins no entity"


def test_a_unit_longer_than_the_limit_is_in_no_entity() -> None:
    assert _sayable("honorificabilitudinitatibus is long", max_chars=8) == ["is long"]


def test_sources_are_kept_apart() -> None:
    assert _sayable("甲") == ["甲"]
    spans = material(Request("r", "甲乙", "丙", "丁", "zh-Hans"), 40)
    assert spans.units == ("甲", "乙", None, "丙", None, "丁", None)
    assert spans.words == 2
