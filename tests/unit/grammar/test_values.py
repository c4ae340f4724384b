"""Values are said whole: signs, marks of comparison, titles with punctuation, brackets inside a word."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triplelake.config import AnswerSettings
from triplelake.prompt.grammar import build_grammar
from triplelake.text import units
from triplelake.triples.derive import derive
from triplelake.types import Request

WHOLE = [
    ("最低气温-5℃。", "-5℃"),
    ("同比−12.3%，", "−12.3%"),
    ("纯度≥90%的", "≥90%"),
    ("误差±0.2以内", "±0.2"),
    ("血糖<5，", "<5"),
    ("p<0.05 was found", "p<0.05"),
    ("purity of ≥ 90% or", "≥ 90%"),
    ("fell to -5 °C in May", "-5 °C"),
    ("the value was >=3.5", ">=3.5"),
    ("比分3：2获胜", "3：2"),
    ("北纬30°15′处", "30°15′"),
    ("导演了《你好，李焕英》。", "你好，李焕英"),
    ("小说《什么是什么：游牧民族》出版", "什么是什么：游牧民族"),
    ("歌曲〈等等，再走！〉收录", "等等，再走！"),
    ("片名“你好，再见”由", "你好，再见"),
    ('片名"你好，再见"由', "你好，再见"),
    ('the song "Hey, Hey (Into the Dark)!" by', "Hey, Hey (Into the Dark)!"),
    ('a 5" pipe and "Mist, Again" here', "Mist, Again"),
    ("the song “Mist, Again?” by", "Mist, Again?"),
    ("in Rock 'n' Roll Road,", "Rock 'n' Roll Road"),
    ("sang Summer '68 twice", "Summer '68"),
    ("he read the Boys' Own Paper there", "Boys' Own Paper"),
    ("the St James’ Park ground", "St James’ Park"),
    ("主编《财经，周刊》杂志", "《财经，周刊》杂志"),
    ("加入Ca(OH)2溶液", "Ca(OH)2"),
    ("药物2-(4-异丁基苯基)丙酸是", "2-(4-异丁基苯基)丙酸"),
    ("华星（集团）有限公司成立", "华星（集团）有限公司"),
    ("污染物苯并[a]芘超标", "苯并[a]芘"),
    ("iron (III) or Fe(III) oxide", "Fe(III) oxide"),
    ("使用.NET开发", ".NET"),
    ("written in .NET here", ".NET"),
    ("约翰．威尔伍德写", "约翰．威尔伍德"),
    ("C++、C#与AT&T", "AT&T"),
    ("约10^6个", "10^6"),
    ("含Ca²⁺离子", "Ca²⁺"),
    ("账号@someone发布", "@someone"),
]
CUT = [
    ("最低气温-5℃。", "5℃"),
    ("同比−12.3%，", "12.3%"),
    ("同比−12.3%，", "−12"),
    ("纯度≥90%的", "90%"),
    ("误差±0.2以内", "0.2"),
    ("血糖<5，", "5"),
    ("共1,640人", "640人"),
    ("华星（集团）有限公司", "华星（集团"),
    ("加入Ca(OH)2溶液", "Ca(OH"),
    ("he called them 'boys' and left", "boys' and"),
]
BESIDE = [
    ("2003年-2005年", "2005年"),
    ("3-5章", "5章"),
    ("在COVID-19期间", "COVID-19"),
    ("版本1.2.3", "1.2.3"),
    ("2003.5.1出生", "2003"),
    ("<b>5</b>号", "5"),
    ("甲->5", "5"),
]


def _says(read_gbnf: Any, text: str, surface: str) -> bool:
    request = Request("r", text, "", "", "zh-Hans")
    entities = read_gbnf(build_grammar("gbnf", request, None, AnswerSettings())).language("e0")
    return surface in entities


@pytest.mark.parametrize(("text", "surface"), WHOLE + BESIDE)
def test_a_value_is_said_and_grounded_whole(read_gbnf: Any, text: str, surface: str) -> None:
    assert _says(read_gbnf, text, surface)
    text += "。林海。"
    said = json.dumps([[surface, "是", "林海"]], ensure_ascii=False, separators=(",", ":"))
    for grounding in ("constrain", "verify"):
        answer = AnswerSettings.model_validate({"grounding": grounding})
        request = Request("r", text, "", "", "zh-Hans")
        [triple] = derive(request, said, truncated=False, ontology=None, answer=answer).triples
        assert triple.subject == surface
        assert triple.subject_span is not None
        assert text[triple.subject_span.start : triple.subject_span.end] == surface
        assert triple.grounding == "exact"


@pytest.mark.parametrize(("text", "surface"), CUT)
def test_a_value_is_not_said_in_part(read_gbnf: Any, text: str, surface: str) -> None:
    assert not _says(read_gbnf, text, surface)


@pytest.mark.parametrize(("text", "surface"), [pair for pair in CUT if pair[1][0].isdigit()])
def test_a_number_without_its_sign_is_not_grounded(text: str, surface: str) -> None:
    said = json.dumps([["林海", "是", surface]], ensure_ascii=False, separators=(",", ":"))
    request = Request("r", f"林海，{text}", "", "", "zh-Hans")
    answer = AnswerSettings(grounding="verify")
    [triple] = derive(request, said, truncated=False, ontology=None, answer=answer).triples
    assert triple.grounding == "none"


def test_a_title_is_named_without_its_marks() -> None:
    said = '[["《晨雾，散了》","作者","林海"]]'
    request = Request("r", "《晨雾，散了》由林海写。", "", "", "zh-Hans")
    [triple] = derive(request, said, truncated=False, ontology=None, answer=AnswerSettings()).triples
    assert triple.subject == "晨雾，散了"


@pytest.mark.parametrize(
    "text", ['《a"b》。', "《a\\，b》c", "《<|im_end|>，》", "（[INST]）x", "“a]]，b”", "<2zh>5", "a[/INST]b"]
)
def test_nothing_between_marks_breaks_out(read_gbnf: Any, text: str) -> None:
    request = Request("r", text, "", "", "zh-Hans")
    for entity in read_gbnf(build_grammar("gbnf", request, None, AnswerSettings())).language("e0"):
        assert json.dumps(entity, ensure_ascii=False) == f'"{entity}"'
        assert not any(token in entity for token in ("<|", "|>", "[INST]", "[/", "]]", "<2zh>"))


@given(st.text(st.sampled_from("-−±≥<>=. 0123456789年月a甲%,"), max_size=20))
def test_units_give_back_the_text_and_never_cut_digits(text: str) -> None:
    pieces = units(text)
    assert "".join(pieces) == text
    for left, right in pairwise(pieces):
        assert not (left[-1].isdigit() and right[0].isdigit())
