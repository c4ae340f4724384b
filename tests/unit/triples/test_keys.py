"""Which writings are one entity. The tables of docs/tables.md are read here, so that they stay true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triplelake.forms import character_forms, visible, visible_places
from triplelake.text import comparison_key, fold, unit_bounds
from triplelake.triples.identity import entity_id
from triplelake.triples.occurrences import SearchedText
from triplelake.triples.predicates import free_predicate
from triplelake.triples.pronouns import is_pronoun

DOCS = Path(__file__).resolve().parents[3] / "docs"
_ROW = re.compile(r"^\| `([^`]+)` \| `([^`]+)` \| (one|two|一个|两个) \|", re.MULTILINE)

SAME = [
    ("钱钟书", "錢鍾書"),
    ("钱锺书", "錢鍾書"),
    ("钟繇", "鍾繇"),
    ("魏征", "魏徵"),
    ("卫生署", "衞生署"),
    ("叙利亚", "敍利亞"),
    ("台湾", "臺灣"),
    ("真人秀", "眞人秀"),
    ("乾隆", "干隆"),
    ("饼干", "餅乾"),
    ("瞭望", "了望"),
    ("了解", "瞭解"),
    ("曼哈顿计划", "曼哈頓計畫"),
    ("沉默的羔羊", "沈默的羔羊"),
    ("借口", "藉口"),
    ("宁浩", "甯浩"),
    ("李泽钜", "李澤鉅"),
    ("凭着", "憑著"),
    ("王\u200b安石", "王安石"),
    ("\ufeffIBM", "IBM"),
    ("Cha\u00adnel", "chanel"),
    ("葛\U000e0100城", "葛城"),
    ("❤\ufe0f", "❤"),
    ("a\u2060b\u200e", "ab"),
    ("北京\x07", "北京"),
    ("e\u200b\u0301", "é"),
    ("ΐ", "Ϊ\u0301"),
    *((f"列夫{dot}托尔斯泰", "列夫·托尔斯泰") for dot in "•・‧･∙⋅"),
    *((f"O{mark}Brien", "O'Brien") for mark in "’‘ʼ＇`´′"),
    *((f"让{mark}雅克", "让-雅克") for mark in "‐‑–—−－﹣"),
    ("“一带一路”倡议", "「一帶一路」倡議"),
    ("二○○八年", "二〇〇八年"),
    ("⻓城⻋站", "长城车站"),
    ("1990〜1995", "1990～1995"),
]
DIFFERENT = [
    ("里根", "雷根"),
    ("悉尼", "雪梨"),
    ("项链", "項鍊"),
    ("张哲", "张喆"),
    ("张坤", "张堃"),
    ("渡边", "渡辺"),
    ("列夫托尔斯泰", "列夫·托尔斯泰"),
    ("J.K.罗琳", "J·K·罗琳"),
    ("《晨雾》", "晨雾"),
    ("毛坏", "毛坯"),
    ("New York", "NewYork"),
    ("十五", "15"),
    ("像", "象"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_writings_of_one_entity_have_one_id_and_folding_finds_them(one: str, other: str) -> None:
    assert comparison_key(one) == comparison_key(other)
    assert entity_id(one) == entity_id(other)
    for text, surface in ((one, other), (other, one)):
        found = SearchedText(f"他说，{text}。").folded(surface)
        assert [visible(f"他说，{text}。"[start:end]) for start, end in found] == [visible(text)]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_other_names_stay_apart(one: str, other: str) -> None:
    assert comparison_key(one) != comparison_key(other)


@pytest.mark.parametrize("file", ["tables.md", "tables.zh-CN.md"])
def test_the_documented_pairs_are_as_documented(file: str) -> None:
    rows = _ROW.findall((DOCS / file).read_text("utf-8"))
    assert len(rows) > 15
    for one, other, same in rows:
        written = [re.sub(r"U\+([0-9A-F]{4,5})", lambda code: chr(int(code[1], 16)), name) for name in (one, other)]
        assert (comparison_key(written[0]) == comparison_key(written[1])) == (same in {"one", "一个"}), (one, other)


def test_each_form_is_its_own_form() -> None:
    forms = character_forms()
    assert all(len(one) == len(form) == 1 for one, form in forms.items())
    assert not forms.keys() & set(forms.values())
    assert 5000 < len(forms) < 6000


_ODD = "a e\u0301\u200b\u00ad\ufe0f\ufeff臺台鍾· ’\n\u3000ﬁß👩\u200d👧İ"


@given(st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(_ODD))))
def test_a_key_is_its_own_key(text: str) -> None:
    assert comparison_key(comparison_key(text)) == comparison_key(text)
    assert fold(text) == fold(visible(text))
    assert "".join(text[place] for place in visible_places(text)[:-1]) == visible(text)


@given(st.text(st.sampled_from(_ODD + "北京"), max_size=20), st.data())
def test_what_is_found_by_folding_has_the_key_and_stands_at_bounds(text: str, data: st.DataObject) -> None:
    bounds = unit_bounds(text)
    start, end = sorted((data.draw(st.sampled_from(bounds)), data.draw(st.sampled_from(bounds))))
    surface = text[start:end]
    found = SearchedText(text).folded(surface)
    for first, last in found:
        assert comparison_key(text[first:last]) == comparison_key(surface)
        assert {first, last} <= set(bounds)


@pytest.mark.parametrize(
    ("text", "surface", "original"),
    [
        ("是\u200b王\u200b安石\u200b。", "王安石", "王\u200b安石"),
        ("在葛\U000e0100。", "葛", "葛\U000e0100"),
        ("his Cha\u00adnel bag", "CHANEL", "Cha\u00adnel"),
        ("生于錢鍾書。", "钱钟书", "錢鍾書"),
    ],
)
def test_offsets_are_of_the_text_with_all_that_nobody_sees(text: str, surface: str, original: str) -> None:
    [(start, end)] = SearchedText(text).folded(surface)
    assert text[start:end] == original


def test_an_invisible_character_hides_no_pronoun_and_makes_no_other_predicate() -> None:
    assert is_pronoun("他\u200b") and is_pronoun("h\u00ade") and is_pronoun("這裏")
    assert free_predicate("创始\u200b人\ufeff") == "创始人"
