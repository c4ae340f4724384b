"""A line: facts that an answer can say, in the order of the text, each once; and the product reads them back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lines_by_hand import PROFILE, known

from triplelake.config import AnswerSettings, ChunkingSettings
from triplelake.evaluate.gold import GoldDocument
from triplelake.prompt.answer_form import FORMS
from triplelake.training import lines as reasons
from triplelake.training.lines import LineMaker, MadeLine
from triplelake.training.texts import cut_document, merged
from triplelake.training.traditional import traditional
from triplelake.triples.derive import derive
from triplelake.triples.parse import AnswerReader
from triplelake.types import LANGS, Request

Make = Callable[..., LineMaker]

FILM = "《雾港灯塔》是霍听澜执导的电影，由苏映棠、简弗宁主演。"
DIRECTED, STARS, STARS_TOO = (
    ("雾港灯塔", "director", "霍听澜"),
    ("雾港灯塔", "主演", "苏映棠"),
    ("雾港灯塔", "cast_member", "简弗宁"),
)


def _line(made: MadeLine | str) -> MadeLine:
    assert isinstance(made, MadeLine), made
    return made


def test_a_line_is_what_the_profile_asks_and_the_form_answers(maker: Make) -> None:
    made = _line(maker().make(known(FILM, STARS_TOO, STARS, DIRECTED)))
    assert made.line.facts == (
        ("雾港灯塔", "导演", "霍听澜"),
        ("雾港灯塔", "主演", "苏映棠"),
        ("雾港灯塔", "主演", "简弗宁"),
    )
    assert made.line.prompt.startswith("<|user|>\n") and made.line.prompt.endswith(f"{FILM}<|end|>\n<|bot|>\n")
    assert made.line.answer == (
        '[["雾港灯塔","导演","霍听澜"],["雾港灯塔","主演","苏映棠"],["雾港灯塔","主演","简弗宁"]]'
    )
    assert made.relations == ("director", "cast_member")
    grouped = _line(maker(profile=replace(PROFILE, answer="relations")).make(known(FILM, STARS_TOO, STARS, DIRECTED)))
    assert grouped.line.answer.startswith('{"导演":[["雾港灯塔","霍听澜"]],"主演":[[')


def test_a_text_without_facts_is_answered_with_nothing_only_if_that_is_known(maker: Make) -> None:
    assert _line(maker().make(known("昨天下了雨。"))).line.answer == "[]"
    assert maker().make(known("昨天下了雨。", is_complete=False)) == reasons.NOTHING_KNOWN
    assert maker().make(known(" \n")) == reasons.NO_TEXT
    assert maker().make(known("结束<|end|>了")) == reasons.MARKED


@pytest.mark.parametrize(
    ("text", "fact", "reason"),
    [
        (FILM, ("雾港灯塔", "颜色", "霍听澜"), reasons.NO_RELATION),
        (FILM, ("雾港灯塔", "director", "沈若白"), reasons.NOT_THERE),
        (FILM, ("", "director", "霍听澜"), reasons.NOT_THERE),
        (FILM, ("霍听澜", "director", "霍听澜"), reasons.ITSELF),
        ("Annabel wrote Dew.", ("Dew", "author", "Anna"), reasons.UNSAYABLE),
        ("他生于1987年。", ("他", "birth_date", "987年"), reasons.UNSAYABLE),
        (FILM, ("雾港灯塔", "director", "霍听澜执导的电影，由苏映棠"), reasons.UNSAYABLE),
    ],
)
def test_what_no_answer_could_say_is_left_out_and_counted(
    maker: Make, text: str, fact: tuple[str, str, str], reason: str
) -> None:
    made = maker()
    assert made.make(known(text, fact)) == reasons.NOTHING_LEFT
    assert made.left_out == {reason: 1}


def test_one_of_the_two_stands_in_the_text_itself(maker: Make) -> None:
    made = maker()
    titled = known("全市人口约82万。", ("沅澜市", "population", "约82万"), title="沅澜市")
    assert len(_line(made.make(titled)).line.facts) == 1
    above = known("全市人口约82万。", ("沅澜市", "located_in", "瑟兰尼亚"), title="沅澜市", context="瑟兰尼亚的港口。")
    assert made.make(above) == reasons.NOTHING_LEFT
    assert made.left_out[reasons.NOT_IN_CHUNK] == 1


def test_a_fact_is_said_once_and_an_answer_is_no_longer_than_the_grammar_lets_it(maker: Make) -> None:
    made = maker()
    pair = "闻栖迟与霍听澜结婚。"
    facts = [("霍听澜", "spouse", "闻栖迟"), ("闻栖迟", "spouse", "霍听澜"), ("闻栖迟", "配偶", "霍听澜")]
    assert len(_line(made.make(known(pair, *facts))).line.facts) == 1
    assert made.left_out == {reasons.TWICE: 2}
    many = known("甲乙丙丁", *(("甲", name, "乙") for name in ("director", "author", "spouse", "located_in")))
    assert len(_line(made.make(many)).line.facts) == 2
    assert made.left_out[reasons.OVER_LIMIT] == 2


NAMES = [
    "霍听澜",
    "苏映棠",
    "Ann Lee",
    "J. K. Rowling",
    "1987年4月12日",
    "《空山来信》",
    "82万",
    "Ｎ·雪",
    "a\nb",
    "若，白",
]
RELATIONS = ["director", "导演", "author", "birth_date", "spouse", "population", "founded_by"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.sampled_from([*NAMES, "是", "和", " of ", "，", "。", "\n"]), min_size=1, max_size=12).map("".join),
    st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(RELATIONS), st.sampled_from(NAMES)), max_size=12),
    st.sampled_from([*FORMS]),
    st.sampled_from(LANGS),
)
def test_the_product_reads_back_what_a_line_answers(
    maker: Make, text: str, facts: list[tuple[str, str, str]], form: Any, lang: Any
) -> None:
    made = maker(profile=replace(PROFILE, answer=form))
    line = made.make(known(text, *facts, lang=lang))
    if isinstance(line, str):
        return
    said = line.line.facts
    reader = AnswerReader()
    reader.read(line.line.answer, whole=True)
    assert reader.done and sorted(reader.items) == sorted(said)
    derived = derive(
        Request("", text, "", "", lang),
        line.line.answer,
        truncated=False,
        ontology=made.ontology,
        answer=AnswerSettings(),
    )
    assert derived.error_code is None and not derived.dropped and len(derived.triples) == len(said)
    assert line == made.make(known(text, *facts[::-1], lang=lang))
    assert len(said) + sum(made.left_out.values()) / 2 == len(facts)


def test_a_long_document_is_cut_as_a_run_cuts_it() -> None:
    film, person = FILM + "此片拍了很久。" * 20, "闻栖迟1987年生于沅澜市。" + "她写了许多书。" * 20
    born = ("闻栖迟", "born_in", "沅澜市")
    document = GoldDocument("d", f"{film}\n\n{person}", (born, DIRECTED))

    def cut(document: GoldDocument) -> Any:
        return cut_document(document, ChunkingSettings(), origin="gold:g", name="d", is_complete=True)

    chunks = cut(document)
    assert "".join(each.text for each in chunks) == document.text
    assert [each.facts for each in chunks if each.facts] == [(DIRECTED,), (born,)]
    assert all(each.is_complete and each.whole for each in chunks)
    # A fact that stands nowhere may be stated anywhere.
    doubtful = cut(replace(document, facts=(born, ("沈若白", "spouse", "陶霁言"))))
    assert not any(each.is_complete for each in doubtful)
    assert cut(GoldDocument("e", "昨天下了雨。", ()))[0].whole == ""


def test_a_text_of_several_sources_is_that_of_the_first() -> None:
    gold, again = known(FILM, DIRECTED), known(FILM, STARS)
    silver = known(FILM, STARS_TOO, origin="facts:kg")
    (kept,), left_out = merged([gold, again, silver])
    assert (kept.facts, kept.origin, left_out) == ((DIRECTED, STARS), "gold:g", 1)


def test_a_traditional_copy_says_the_same(maker: Make) -> None:
    made = maker()
    line = _line(made.make(known("《发》的作者是头发花白的郑国后。", ("发", "author", "郑国后"))))
    copy = traditional(line)
    assert copy is not None
    again = _line(made.make(copy)).line
    assert (again.lang, again.id) == ("zh-Hant", line.line.id)
    assert all(subject in again.text and object in again.text for subject, _, object in again.facts)
    assert traditional(_line(made.make(known("Dew is old.", lang="en")))) is None
