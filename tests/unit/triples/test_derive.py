"""From a raw answer to triples, in both modes and three scripts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triplelake.config import AnswerSettings
from triplelake.prompt.ontology import Ontology, Relation, Signature
from triplelake.text import comparison_key, units
from triplelake.triples.derive import DERIVATION_VERSION, Derivation, derivation_id, derive
from triplelake.triples.identity import fact_id
from triplelake.types import Lang, Request, Span

CONSTRAIN = AnswerSettings(grounding="constrain")
VERIFY = AnswerSettings(grounding="verify")


def relation(id: str, zh_hans: str, zh_hant: str, en: str, *signatures: Signature, **more: Any) -> Relation:
    names: dict[Lang, str] = {"zh-Hans": zh_hans, "zh-Hant": zh_hant, "en": en}
    return Relation(id, names, signatures=signatures or (Signature(),), **more)


ONTOLOGY = Ontology(
    "test",
    (
        relation(
            "author", "作者", "作者", "author", Signature("work", "person"), aliases={"zh-Hans": ("写作者", "撰写人")}
        ),
        relation("citizenship", "国籍", "國籍", "nationality", Signature("person", "country")),
        relation("capital", "首都", "首都", "capital", Signature("country", "place")),
        relation(
            "founded",
            "成立日期",
            "成立日期",
            "founding date",
            Signature("organisation", "date"),
            object_pattern=r".*\d.*",
        ),
        relation("director", "导演", "導演", "director", Signature("film", "person"), Signature("series", "person")),
        relation("premiere", "首播", "首播", "premiere", Signature("series", "date"), Signature("show", "date")),
        relation("related", "相关", "相關", "related to"),
    ),
)


def ask(
    text: str,
    triples: list[list[str]] | str,
    answer: AnswerSettings = CONSTRAIN,
    *,
    lang: Lang = "zh-Hans",
    title: str = "",
    context: str = "",
    truncated: bool = False,
    ontology: Ontology | None = ONTOLOGY,
) -> Derivation:
    completion = triples if isinstance(triples, str) else json.dumps(triples, ensure_ascii=False)
    request = Request("r", text, title, context, lang)
    return derive(request, completion, truncated=truncated, ontology=ontology, answer=answer)


def test_a_good_answer() -> None:
    [triple] = ask("《晨雾》是林知远写的小说。2003年出版。", [["晨雾", "作者", "林知远"]]).triples
    assert (triple.subject, triple.predicate, triple.object) == ("晨雾", "author", "林知远")
    assert (triple.subject_type, triple.object_type) == ("work", "person")
    assert (triple.subject_span, triple.object_span) == (Span("chunk", 1, 3), Span("chunk", 5, 8))
    assert triple.evidence == Span("chunk", 0, 13)
    assert (triple.grounding, triple.span_ambiguous, triple.flags) == ("exact", False, ())


def test_an_empty_list_is_a_good_answer() -> None:
    assert ask("海星公司否认收购了云帆科技。", "[]") == Derivation((), None, None, {})


@pytest.mark.parametrize(
    ("lang", "text", "name"),
    [
        ("zh-Hans", "何若兰是中国画家。", "国籍"),
        ("zh-Hant", "何若蘭是中國畫家。", "國籍"),
        ("en", "He Ruolan of China paints.", "nationality"),
    ],
)
def test_every_language_gives_the_same_predicate(lang: Lang, text: str, name: str) -> None:
    subject, object = {"zh-Hans": ("何若兰", "中国"), "zh-Hant": ("何若蘭", "中國"), "en": ("He Ruolan", "China")}[lang]
    [triple] = ask(text, [[subject, name, object]], lang=lang).triples
    assert triple.predicate == "citizenship"
    assert (triple.subject, triple.object) == (subject, object)


@pytest.mark.parametrize("name", ["作者", "撰写人", "撰寫人", "author", "Author", " 作者 "])
def test_a_predicate_is_known_by_alias_other_language_and_script(name: str) -> None:
    for answer in (CONSTRAIN, VERIFY):
        [triple] = ask("《晨雾》是林知远写的。", [["晨雾", name, "林知远"]], answer).triples
        assert triple.predicate == "author"


def test_the_language_asked_decides_between_equal_names() -> None:
    zh = relation("mayor", "市长", "市長", "chief")
    en = relation("tribe", "部落", "部落", "x", aliases={"zh-Hans": ("chief",)})
    both = Ontology("names", (zh, en))
    assert ask("甲乙", [["甲", "chief", "乙"]], ontology=both, lang="zh-Hans").triples[0].predicate == "tribe"
    assert ask("甲乙", [["甲", "chief", "乙"]], ontology=both, lang="en").triples[0].predicate == "mayor"


def test_an_unknown_predicate_is_an_error_under_constrain_and_dropped_under_verify() -> None:
    triples = [["晨雾", "出版社", "林知远"], ["晨雾", "作者", "林知远"]]
    bad = ask("《晨雾》是林知远写的。", triples)
    assert (bad.triples, bad.error_code) == ((), "unknown_predicate")
    assert bad.error_message is not None and "出版社" in bad.error_message
    good = ask("《晨雾》是林知远写的。", triples, VERIFY)
    assert [triple.predicate for triple in good.triples] == ["author"]
    assert (good.error_code, good.dropped) == (None, {"unknown_predicate": 1})


def test_open_mode_keeps_the_predicate_as_said() -> None:
    [triple] = ask("Acme bought Beta.", [["Acme", " ｂought\u3000 up ", "Beta"]], lang="en", ontology=None).triples
    assert triple.predicate == "bought up"
    assert (triple.subject_type, triple.object_type) == (None, None)


def test_an_ungrounded_entity_makes_the_answer_bad_under_constrain() -> None:
    bad = ask("《晨雾》是林知遠写的。", [["晨雾", "作者", "林知远"]])
    assert (bad.triples, bad.error_code, bad.dropped) == ((), "ungrounded", {})


def test_verify_grounds_after_folding_and_gives_the_surface_of_the_text() -> None:
    [triple] = ask("《晨霧》是林知遠寫的。", [["晨雾", "作者", "林知远"]], VERIFY).triples
    assert (triple.subject, triple.object, triple.grounding) == ("晨霧", "林知遠", "normalised")
    [english] = ask(
        "ACME  Corp was founded in １９９８.", [["Acme Corp", "founding date", "1998"]], VERIFY, lang="en"
    ).triples
    assert (english.subject, english.object) == ("ACME  Corp", "１９９８")
    assert english.subject_span == Span("chunk", 0, 10)


def test_verify_keeps_what_does_not_align() -> None:
    derived = ask("《晨雾》是他写的。", [["晨雾", "作者", "林知远"], ["云帆", "相关", "海星"]], VERIFY)
    assert [triple.grounding for triple in derived.triples] == ["none", "none"]
    assert all(triple.subject_span is None and triple.object_span is None for triple in derived.triples)
    assert [triple.flags for triple in derived.triples] == [(), ("not_in_chunk",)]


def test_title_and_context_may_hold_one_argument_but_not_both() -> None:
    triples = [["晨雾", "作者", "林知远"], ["泉州", "相关", "晨雾"]]
    derived = ask("此书由林知远写成。", triples, title="晨雾", context="泉州很美。")
    [triple] = derived.triples
    assert triple.subject_span == Span("title", 0, 2)
    assert derived.dropped == {"not_in_chunk": 1}
    assert derived.error_code is None


def test_duplicates_and_self_loops_are_dropped_by_key_and_counted() -> None:
    text = "臺灣作家Ann Lee，台湾人ANN LEE。晨霧。"
    same = [
        ["Ann Lee", "国籍", "臺灣"],
        ["ANN LEE", "国籍", "台湾"],
        ["台湾", "相关", "臺灣"],
        ["台湾", "国籍", "ANN LEE"],
    ]
    derived = ask(text, same)
    assert [(triple.subject, triple.object) for triple in derived.triples] == [("Ann Lee", "臺灣"), ("台湾", "ANN LEE")]
    assert derived.dropped == {"duplicate": 1, "self_loop": 1}


def test_limits_of_the_settings_hold_whatever_the_server_sends() -> None:
    text = "甲乙丙丁" + "戊" * 5
    triples = [
        ["甲", "相关", "戊" * 5],
        ["甲", "相关", "乙"],
        ["甲", "相关", "丙"],
        ["甲", "相关", "丙"],
        ["甲", "相关", "丁"],
    ]
    limits = AnswerSettings(max_triples=2, max_entity_chars=4)
    derived = ask(text, triples, limits)
    assert [triple.object for triple in derived.triples] == ["乙", "丙"]
    assert derived.dropped == {"too_long": 1, "duplicate": 1, "over_limit": 1}


@pytest.mark.parametrize("answer", [CONSTRAIN, VERIFY])
@pytest.mark.parametrize("blank", [["", "相关", "甲"], ["甲", "相关", " \n"]])
def test_blank_arguments_are_dropped(answer: AnswerSettings, blank: list[str]) -> None:
    assert ask("甲乙", [blank], answer).dropped == {"empty": 1}
    assert ask("甲乙", [["甲", " ", "乙"]], answer, ontology=None).dropped == {"empty": 1}


def test_a_cut_tail_keeps_the_triples_before_it() -> None:
    derived = ask("《晨雾》是林知远写的。", '[["晨雾","作者","林知远"],["林知', truncated=True)
    assert len(derived.triples) == 1
    assert derived.error_code == "truncated"
    assert derived.error_message == "the answer was cut off after 1 whole triples"
    assert ask("甲", '[["晨雾","作者","林', truncated=False).error_code == "unfinished"
    assert ask("《晨雾》是林知远写的。", '[["晨雾","作者","林知远"]]', truncated=True).error_code is None


@pytest.mark.parametrize(
    ("completion", "code"), [("", "empty_answer"), ("好的", "invalid_json"), ('{"a":1}', "not_triples")]
)
def test_a_bad_answer_is_an_error_not_an_exception(completion: str, code: str) -> None:
    derived = ask("甲", completion)
    assert (derived.triples, derived.error_code) == ((), code)


@pytest.mark.parametrize(
    ("text", "triple", "lang", "flags"),
    [
        ("他是中国人。", ["他", "国籍", "中国"], "zh-Hans", ("pronoun_subject",)),
        ("該公司與海星。", ["海星", "相關", "該公司"], "zh-Hant", ("pronoun_object",)),
        ("The company met Acme.", ["The company", "related to", "Acme"], "en", ("pronoun_subject",)),
        ("海星成立很久。", ["海星", "成立日期", "很久"], "zh-Hans", ("pattern_conflict",)),
        ("其于很久前成立。", ["其", "成立日期", "很久前"], "zh-Hans", ("pattern_conflict", "pronoun_subject")),
        ("海星成立于１９９８年。", ["海星", "成立日期", "１９９８年"], "zh-Hans", ()),
    ],
)
def test_flags(text: str, triple: list[str], lang: Lang, flags: tuple[str, ...]) -> None:
    assert ask(text, [triple], lang=lang).triples[0].flags == flags


def test_an_entity_with_two_types_is_flagged_in_each_triple_that_types_it() -> None:
    triples = [["何若兰", "国籍", "晨雾"], ["晨雾", "作者", "林知远"], ["晨雾", "相关", "何若兰"]]
    derived = ask("何若兰、晨雾、林知远。", triples)
    assert [triple.flags for triple in derived.triples] == [("type_conflict",), ("type_conflict",), ()]
    assert [triple.object_type for triple in derived.triples] == ["country", "person", None]


def test_flags_stay_sorted_when_a_type_conflict_joins_them() -> None:
    triples = [["他", "国籍", "很久"], ["海星", "成立日期", "很久"]]
    derived = ask("他、海星、很久。", triples)
    assert [triple.flags for triple in derived.triples] == [
        ("pronoun_subject", "type_conflict"),
        ("pattern_conflict", "type_conflict"),
    ]


def test_several_signatures_give_a_type_only_where_one_is_left() -> None:
    [alone] = ask("晨雾、林知远。", [["晨雾", "导演", "林知远"]]).triples
    assert (alone.subject_type, alone.object_type) == (None, "person")
    both = ask("晨雾、林知远、1998年。", [["晨雾", "导演", "林知远"], ["晨雾", "首播", "1998年"]]).triples
    assert [triple.subject_type for triple in both] == ["series", "series"]
    assert [triple.flags for triple in both] == [(), ()]


TEXTS = st.text("林知远晨雾海星他Ａa1é 。，\n😀臺", min_size=1, max_size=30)
NAMES = st.sampled_from(["作者", "国籍", "首都", "成立日期", "related to", "未知"])


@given(TEXTS, TEXTS, st.sampled_from([CONSTRAIN, VERIFY]), st.booleans(), st.data())
def test_what_comes_out_is_grounded_distinct_and_accounted_for(
    text: str, title: str, answer: AnswerSettings, open_mode: bool, data: st.DataObject
) -> None:
    surface = st.sampled_from([*units(text), *units(title), "何若兰", text[:2]])
    items = [list(item) for item in data.draw(st.lists(st.tuples(surface, NAMES, surface), max_size=10))]
    derived = ask(text, items, answer, title=title, ontology=None if open_mode else ONTOLOGY)
    if derived.error_code is not None:
        assert answer.grounding == "constrain"
        assert derived.error_code in {"ungrounded", "unknown_predicate"}
        assert derived.triples == ()
        return
    assert len(derived.triples) + sum(derived.dropped.values()) == len(items)
    facts = [fact_id(triple.subject, triple.predicate, triple.object) for triple in derived.triples]
    assert len(set(facts)) == len(facts)
    sources = {"chunk": text, "title": title, "context": ""}
    for triple in derived.triples:
        assert comparison_key(triple.subject) != comparison_key(triple.object)
        assert triple.flags == tuple(sorted(triple.flags))
        if triple.grounding == "none":
            assert answer.grounding == "verify"
            continue
        assert triple.subject_span is not None and triple.object_span is not None
        assert "chunk" in {triple.subject_span.source, triple.object_span.source}
        for span, said in ((triple.subject_span, triple.subject), (triple.object_span, triple.object)):
            assert sources[span.source][span.start : span.end] == said


def test_the_derivation_id_follows_what_changes_triples_and_nothing_else() -> None:
    assert DERIVATION_VERSION == "2"
    first = ONTOLOGY.relations[0]
    ids = {
        derivation_id(None, CONSTRAIN),
        derivation_id(ONTOLOGY, CONSTRAIN),
        derivation_id(ONTOLOGY, VERIFY),
        derivation_id(ONTOLOGY, AnswerSettings(max_triples=3)),
        derivation_id(ONTOLOGY, AnswerSettings(max_entity_chars=9)),
        derivation_id(Ontology("x", ONTOLOGY.relations[1:]), CONSTRAIN),
        derivation_id(Ontology("x", (replace(first, aliases={}),)), CONSTRAIN),
        derivation_id(Ontology("x", (replace(first, signatures=(Signature(),)),)), CONSTRAIN),
        derivation_id(Ontology("x", (replace(first, object_pattern="x"),)), CONSTRAIN),
        derivation_id(Ontology("x", (first,)), CONSTRAIN),
        derivation_id(Ontology("x", ()), CONSTRAIN),
    }
    assert len(ids) == 11
    described = Ontology("other name", tuple(replace(each, description={"en": "x"}) for each in ONTOLOGY.relations))
    asked_otherwise = AnswerSettings(grammar="gbnf", max_tokens=100)
    assert derivation_id(described, asked_otherwise) == derivation_id(ONTOLOGY, CONSTRAIN)
