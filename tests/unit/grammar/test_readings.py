"""Wrapped lines: what a text reads as, and what of the text a part of it was made of."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triplelake.config import AnswerSettings
from triplelake.prompt.grammar import build_grammar
from triplelake.readings import Reading, join_lines, readings
from triplelake.text import unit_bounds
from triplelake.triples.derive import derive
from triplelake.types import GrammarEngine, Request

ZH = "　　林知远于一九二四年赴美国留学，先在宾夕法尼亚\n大学学习建筑，一九二八年与何若兰在加拿大渥太\n华结婚。\n晨雾"
EN = (
    "Ada Lee was born in London in 1815. She worked for years with Charles\n"
    "Babbage on the Engine, and later as a professor at the University of Cam-\n"
    "bridge and at the well known Royal Astronomical Society of Turin.\n"
)
PIECES = [
    "天地玄黄宇宙洪荒日月",
    "林",
    "word ",
    "Cam-",
    "bridge",
    "\n",
    "\r\n",
    " \n",
    "\u2028",
    "，",
    "。",
    "12",
    "a" * 12,
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("宾夕法尼亚\n大学", "宾夕法尼亚大学"),
        ("宾夕法尼亚 \r\n大学", "宾夕法尼亚大学"),
        ("University of\nTurin", "University of Turin"),
        ("Cam-\nbridge", "Cambridge"),
        ("Baden-\nBaden", "Baden- Baden"),
        ("使用\nPython", "使用 Python"),
        ("無行", "無行"),
    ],
)
def test_line_ends_are_joined_by_what_stands_around_them(text: str, joined: str) -> None:
    assert join_lines(text) == joined


@given(TEXTS, st.data())
def test_a_part_of_the_reading_is_what_joining_its_interval_gives(text: str, data: st.DataObject) -> None:
    reading = Reading(text)
    bounds = unit_bounds(reading.text)
    start = data.draw(st.sampled_from(bounds))
    end = data.draw(st.sampled_from(bounds))
    part = reading.text[start:end]
    if start < end and part == part.strip() and not part.startswith("-"):
        first, last = reading.interval(start, end)
        assert join_lines(text[first:last]) == join_lines(part)


@given(TEXTS)
def test_only_line_ends_and_what_goes_with_them_are_left_out(text: str) -> None:
    shown = Reading(text).text
    assert [char for char in shown if not char.isspace() and char != "-"] == [
        char for char in text if not char.isspace() and char != "-"
    ]


@pytest.mark.parametrize("grounding", ["constrain", "verify"])
@pytest.mark.parametrize(
    ("lang", "text", "name", "held"),
    [
        ("zh-Hans", ZH, "宾夕法尼亚大学", "宾夕法尼亚\n大学"),
        ("zh-Hans", ZH, "加拿大渥太华", "加拿大渥太\n华"),
        ("en", EN, "Charles Babbage", "Charles\nBabbage"),
        ("en", EN, "University of Cambridge", "University of Cam-\nbridge"),
    ],
)
def test_an_entity_goes_over_the_end_of_a_wrapped_line(
    read_gbnf: Any, grounding: Any, lang: Any, text: str, name: str, held: str
) -> None:
    request = Request("r", text, "", "", lang)
    answer = AnswerSettings(grounding=grounding)
    other = "何若兰" if lang == "zh-Hans" else "London"
    said = json.dumps([[name, "在", other]], ensure_ascii=False, separators=(",", ":"))
    if grounding == "constrain":
        spoken = said.replace("在", "studied at") if lang == "en" else said
        assert read_gbnf(build_grammar("gbnf", request, None, answer)).admits(spoken)
    [triple] = derive(request, said, truncated=False, ontology=None, answer=answer).triples
    assert triple.subject == name
    assert triple.grounding == "normalised"
    assert triple.subject_span is not None
    assert text[triple.subject_span.start : triple.subject_span.end] == held


@pytest.mark.parametrize("text", [ZH, EN])
def test_a_paragraph_ends_every_entity_and_a_part_of_a_word_is_none(read_gbnf: Any, text: str) -> None:
    request = Request("r", text, "", "", "zh-Hans" if text == ZH else "en")
    entities = read_gbnf(build_grammar("gbnf", request, None, AnswerSettings())).language("e0")
    assert not any("\n" in entity for entity in entities)
    assert not any(entity.endswith("结婚。晨雾") for entity in entities)
    assert not any(entity.startswith("bridge") or entity.endswith("Cam") for entity in entities)


@pytest.mark.parametrize("engine", ["llguidance", "gbnf"])
def test_where_the_chunker_cut_a_run_no_entity_begins_or_ends(engine: GrammarEngine) -> None:
    left, right = "甲" * 30 + "国中石油股", "份有限公司" + "乙" * 30
    read = readings(Request("r", right, "", left, "zh-Hans"))
    assert read["chunk"].cut_start and read["context"].cut_end
    for surface, found in (("份有限公司", False), ("有限公司", True), ("石油股", False), ("中石油", True)):
        request = Request("r", right, "", left, "zh-Hans")
        said = json.dumps([[surface, "属", "乙乙"]], ensure_ascii=False, separators=(",", ":"))
        derived = derive(request, said, truncated=False, ontology=None, answer=AnswerSettings())
        assert bool(derived.triples) == found, surface
    assert not readings(Request("r", "他生于绍兴", "", "浙江。", "zh-Hans"))["chunk"].cut_start
