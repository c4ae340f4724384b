"""What the grounded GBNF grammar admits: grounded triples of the ontology, all of them, and nothing else."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from triplelake.config import AnswerSettings
from triplelake.prompt.answer_form import BY_RELATION, BY_SUBJECT, FORMS, LINES, AnswerForm, Grouped, Listed
from triplelake.prompt.grammar import automaton, build_grammar
from triplelake.prompt.grammar.spans import material
from triplelake.prompt.ontology import Ontology, Relation, Signature
from triplelake.prompt.profile import ModelProfile
from triplelake.triples.parse import parse_answer
from triplelake.types import LANGS, Lang, Request

YEAR = r"\d{4}年?"
ONTOLOGY = Ontology(
    "test",
    (
        Relation(
            "author", {"zh-Hans": "作者", "zh-Hant": "作者", "en": "author"}, signatures=(Signature("work", "person"),)
        ),
        Relation("born", {"zh-Hans": '出生"地\\', "zh-Hant": "出生\n地]|", "en": 'place of "birth"'}),
        Relation("year", {"zh-Hans": "年份", "zh-Hant": "年份", "en": "year"}, object_pattern=YEAR),
        Relation("until", {"zh-Hans": "截止", "zh-Hant": "截止", "en": "until"}, object_pattern=YEAR),
        Relation("never", {"zh-Hans": "無", "zh-Hant": "無", "en": "never"}, object_pattern=r"\p{Thai}+"),
    ),
)
PIECES = [
    *"鲁迅生于绍興天地玄黃 aab-·&'.,:/",
    *('"', "\\", "]", "[", "|", "::=", "\n", "\r\n", "\0", "\x85", "\u2028", "\u200d", "\ufeff"),
    *("2003", "1881年", "J. K. ", "Washington, D.C.", "word ", "New York ", "</s>", "<end_of_turn>", "<|im_end|>"),
    *('"]]', '"],["', "{0,3}", "root ::= ", "e0 ", "%regex", "#", "(?:", ".*", "[^x]", "\\x00", "\\u0041", "，", "。"),
    *("😀", "👩‍🚀", "🇨🇳", "é", "e\u0301", "!\u0301", "ก็", "नि", "العربية", "かな", "\ue000", "\uffff", "𠀀"),
]
TEXTS = st.lists(st.sampled_from(PIECES) | st.characters(exclude_categories=["Cs"]), max_size=25).map("".join)
REQUESTS = st.builds(Request, st.just("r"), TEXTS, TEXTS, TEXTS, st.sampled_from(LANGS))
EntitiesOf = Callable[[Request, int], set[str]]


def _answer(*triples: tuple[str, str, str]) -> str:
    return json.dumps(triples, ensure_ascii=False, separators=(",", ":"))


@given(request_=REQUESTS, limit=st.integers(4, 20))
def test_entities_are_exactly_the_spans(read_gbnf: Any, entities_of: EntitiesOf, request_: Request, limit: int) -> None:
    answer = AnswerSettings(max_entity_chars=limit)
    grammar = read_gbnf(build_grammar("gbnf", request_, ONTOLOGY, answer))
    said = grammar.language("e0") if "e0" in grammar.rules else set()
    assert said == entities_of(request_, limit)


@given(
    request_=REQUESTS,
    seed=st.integers(0, 2**32),
    limit=st.integers(4, 40),
    triples=st.integers(1, 4),
    form=st.sampled_from([*FORMS.values()]),
)
def test_every_text_of_the_grammar_is_an_answer_with_grounded_triples(
    read_gbnf: Any, entities_of: EntitiesOf, request_: Request, seed: int, limit: int, triples: int, form: AnswerForm
) -> None:
    answer = AnswerSettings(max_entity_chars=limit, max_triples=triples)
    grammar = read_gbnf(build_grammar("gbnf", request_, ONTOLOGY, answer, form))
    entities = entities_of(request_, limit)
    relations = ONTOLOGY.by_name(request_.lang)
    rng = random.Random(seed)
    for _ in range(5):
        text = grammar.sample(rng)
        found = parse_answer(text, truncated=False).items
        if isinstance(form, Listed):
            assert form.write(found, lang=request_.lang) == text
            assert len(found) <= triples
        else:
            assert_grouped(text, form, [*relations], triples)
        for subject, predicate, object_ in found:
            pattern = relations[predicate].object_pattern
            assert subject in entities
            assert object_ in entities
            assert pattern is None or regex.fullmatch(pattern, object_)


def assert_grouped(text: str, form: Grouped, relations: list[str], most: int) -> None:
    """Each relation comes at most once in its group, in the order of the ontology, and no more often than it may."""
    said = json.loads(text, object_pairs_hook=list)
    groups = [group for _, group in said] if form == BY_SUBJECT else [said]
    assert len(groups) <= most
    for group in groups:
        ranks = [relations.index(name) for name, _ in group]
        assert ranks == sorted(set(ranks))
        assert all(1 <= len(items) <= most for _, items in group)


@settings(max_examples=50)
@given(request_=REQUESTS)
def test_every_span_can_be_said_with_every_relation_that_allows_it(
    read_gbnf: Any, entities_of: EntitiesOf, request_: Request
) -> None:
    grammar = read_gbnf(build_grammar("gbnf", request_, ONTOLOGY, AnswerSettings(max_entity_chars=12)))
    assert grammar.admits("[]")
    for entity in sorted(entities_of(request_, 12))[:20]:
        for name, relation in ONTOLOGY.by_name(request_.lang).items():
            allowed = relation.object_pattern is None or regex.fullmatch(relation.object_pattern, entity)
            assert grammar.admits(_answer((entity, name, entity))) == bool(allowed)


@pytest.mark.parametrize(
    ("lang", "text", "good", "bad"),
    [
        (
            "zh-Hans",
            "林知远写了《晨雾》，2003年出版。",
            ("晨雾", "作者", "林知远"),
            ("晨雾》，2003年", "作者", "林知远"),
        ),
        ("zh-Hant", "林知遠寫了《晨霧》，2003年出版。", ("晨霧", "年份", "2003年"), ("晨霧", "年份", "林知遠")),
        ("en", "Ann Lee wrote Dew in 2003.", ("Dew", "author", "Ann Lee"), ("Dew", "author", "nn Lee")),
        ("en", "Ann Lee wrote Dew in 2003.", ("Dew", "year", "2003"), ("Dew", "year", "200")),
    ],
)
def test_examples(read_gbnf: Any, lang: Lang, text: str, good: tuple[str, str, str], bad: tuple[str, str, str]) -> None:
    grammar = read_gbnf(build_grammar("gbnf", Request("r", text, "", "", lang), ONTOLOGY, AnswerSettings()))
    assert grammar.admits(_answer(good))
    assert grammar.admits(_answer(good, good))
    assert not grammar.admits(_answer(bad))
    assert not grammar.admits(_answer((good[0], "unknown", good[2])))
    assert not grammar.admits(_answer(good) + " ")


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        (
            BY_SUBJECT,
            (
                '{"晨雾":{"作者":["林知远"],"年份":["2003年","2003"]},"林知远":{"作者":["晨雾"]}}',
                '{"晨雾":{"年份":["2003"]}}',
                "{}",
            ),
            (
                '{"晨雾":{"年份":["2003"],"作者":["林知远"]}}',
                '{"晨雾":{"作者":["林知远"],"作者":["晨雾"]}}',
                '{"晨雾":{}}',
                "[]",
            ),
        ),
        (
            BY_RELATION,
            (
                '{"作者":[["晨雾","林知远"],["林知远","晨雾"]],"年份":[["晨雾","2003"]]}',
                '{"年份":[["晨雾","2003年"]]}',
                "{}",
            ),
            (
                '{"年份":[["晨雾","2003"]],"作者":[["晨雾","林知远"]]}',
                '{"年份":[["晨雾","林知远"]]}',
                '{"作者":[]}',
                "[]",
            ),
        ),
    ],
    ids=["subjects", "relations"],
)
def test_groups_hold_each_relation_once_and_in_order(
    read_gbnf: Any, form: Grouped, good: tuple[str, ...], bad: tuple[str, ...]
) -> None:
    request = Request("r", "林知远写了《晨雾》，2003年出版。", "", "", "zh-Hans")
    grammar = read_gbnf(build_grammar("gbnf", request, ONTOLOGY, AnswerSettings(), form))
    assert [text for text in good if not grammar.admits(text)] == []
    assert [text for text in bad if grammar.admits(text)] == []


@pytest.mark.parametrize(
    ("form", "answer"), [(BY_SUBJECT, '{"A":{"is":["甲"]}}'), (BY_RELATION, '{"is":[["A","甲"]]}')]
)
def test_groups_in_open_mode(read_gbnf: Any, form: Grouped, answer: str) -> None:
    grammar = read_gbnf(build_grammar("gbnf", Request("r", "A 甲", "", "", "en"), None, AnswerSettings(), form))
    assert grammar.admits(answer)
    assert grammar.admits("{}")


@pytest.mark.parametrize(("lang", "none"), [("zh-Hans", "无"), ("zh-Hant", "無"), ("en", "none")])
def test_lines_are_those_that_the_form_writes(read_gbnf: Any, lang: Lang, none: str) -> None:
    request = Request("r", "林知远写了《晨雾》，2003年出版。", "", "", lang)
    grammar = read_gbnf(build_grammar("gbnf", request, ONTOLOGY, AnswerSettings(), LINES))
    author, year = (each for each in ONTOLOGY.by_name(lang) if ONTOLOGY.by_name(lang)[each].id in ("author", "year"))
    one, other = ("晨雾", author, "林知远"), ("晨雾", year, "2003年")
    for said in ((), (one,), (one, other), (other, one, one)):
        assert grammar.admits(LINES.write(said, lang=lang))
    assert grammar.admits(none)
    whole = LINES.write((one, other))
    for bad in (
        "",
        f"{whole}\n",
        f"\n{whole}",
        f"{none}\n{whole}",
        whole.replace("\n", "\n\n"),
        f"{whole}|",
        "[]",
        "无",
    ):
        assert grammar.admits(bad) == (bad == none)


def test_no_entity_of_a_line_holds_what_ends_it(read_gbnf: Any) -> None:
    request = Request("r", "甲|乙\n丙", "", "", "zh-Hans")
    grammar = read_gbnf(build_grammar("gbnf", request, ONTOLOGY, AnswerSettings(), LINES))
    assert grammar.admits("甲|作者|乙\n乙|作者|丙")
    assert not any(grammar.admits(answer) for answer in ("甲|乙|作者|丙", "甲|作者|乙\n丙", "甲\\u007c乙|作者|丙"))
    verify = AnswerSettings(grounding="verify")
    for ontology in (ONTOLOGY, None):
        static = read_gbnf(build_grammar("gbnf", request, ontology, verify, LINES))
        assert static.admits("任何词|作者|别的词\n甲|作者|丁")
        assert not any(static.admits(answer) for answer in ("甲|乙|作者|丙", "甲|作者|乙\n丙", "甲|作者|乙\n"))


def test_a_relation_with_a_bar_is_said_by_its_number(read_gbnf: Any) -> None:
    grammar = read_gbnf(
        build_grammar("gbnf", Request("r", "甲乙", "", "", "zh-Hant"), ONTOLOGY, AnswerSettings(), LINES)
    )
    answer = LINES.write([("甲", "出生\n地]|", "乙")])
    assert answer == "甲|出生\\n地]\\u007c|乙"
    assert grammar.admits(answer)
    assert parse_answer(answer, truncated=False).items == (("甲", "出生\n地]|", "乙"),)


@pytest.mark.parametrize("stop", ["\n", "\n\n"])
def test_a_base_model_ends_its_lines_with_a_blank_one(read_gbnf: Any, stop: str) -> None:
    profile = ModelProfile("base", "plain", stop=(stop, "</s>"), answer="lines")
    assert profile.ends == ("\n\n", "</s>")
    request = Request("r", "甲乙", "", "", "zh-Hans")
    grammar = read_gbnf(build_grammar("gbnf", request, ONTOLOGY, AnswerSettings(), profile.form))
    for said, whole in (("甲|作者|乙", True), ("无", True), ("甲|作者|乙\n甲|作者|甲", True), ("甲|作者|乙\n", False)):
        assert grammar.admits(f"{said}\n\n") == whole
        assert not grammar.admits(said)
    assert ModelProfile("base", "plain", stop=(stop,)).ends == (stop,)
    assert ModelProfile("chat", "server", answer="lines", stop=("</s>",)).form == LINES


def test_title_and_context_count_but_are_not_joined(read_gbnf: Any) -> None:
    request = Request("r", "他生于绍兴", "鲁迅", "浙江", "zh-Hans")
    grammar = read_gbnf(build_grammar("gbnf", request, ONTOLOGY, AnswerSettings()))
    assert grammar.admits(_answer(("鲁迅", "作者", "浙江")))
    for joined in ("绍兴鲁迅", "鲁迅浙江", "浙江他"):
        assert not grammar.admits(_answer((joined, "作者", "鲁迅")))


def test_triples_are_limited_by_the_setting_and_by_the_chunk(read_gbnf: Any) -> None:
    one = ("甲", "作者", "乙")
    short = Request("r", "甲乙", "", "", "zh-Hans")
    long = Request("r", "甲乙" * 100, "", "", "zh-Hans")
    for request, setting, limit in ((short, 8, 2), (long, 8, 8), (long, 3, 3), (long, 1, 1)):
        grammar = read_gbnf(build_grammar("gbnf", request, ONTOLOGY, AnswerSettings(max_triples=setting)))
        assert grammar.admits(_answer(*[one] * limit))
        assert not grammar.admits(_answer(*[one] * (limit + 1)))


@pytest.mark.parametrize("text", ["", "。。。", '"\\\n[]'])
def test_without_an_entity_only_the_empty_answer_is_left(read_gbnf: Any, text: str) -> None:
    grammar = read_gbnf(build_grammar("gbnf", Request("r", text, "", "", "en"), ONTOLOGY, AnswerSettings()))
    assert grammar.language("root") == {"[]"}


def test_without_a_relation_that_matches_only_the_empty_answer_is_left(read_gbnf: Any) -> None:
    ontology = Ontology("years", (ONTOLOGY.relations[2],))
    grammar = read_gbnf(build_grammar("gbnf", Request("r", "没有年份", "", "", "zh-Hans"), ontology, AnswerSettings()))
    assert grammar.language("root") == {"[]"}


@pytest.mark.parametrize(
    ("lang", "good", "bad"),
    [
        ("zh-Hans", ("毕业于", "一二三四五六七八九十百千"), ("毕业 于", "a", "一二三四五六七八九十百千万", '于"')),
        ("zh-Hant", ("畢業於",), ("畢業，於", "")),
        ("en", ("graduated from", "né à", "one two three four"), ("one two three four five", "a  b", " a", 'a"', "x1")),
    ],
)
def test_open_mode_admits_short_free_predicates(
    read_gbnf: Any, lang: Lang, good: tuple[str, ...], bad: tuple[str, ...]
) -> None:
    grammar = read_gbnf(build_grammar("gbnf", Request("r", "A 甲", "", "", lang), None, AnswerSettings()))
    assert all(grammar.admits(f'[["A","{predicate}","甲"]]') for predicate in good)
    assert not any(grammar.admits(f'[["A","{predicate}","甲"]]') for predicate in bad)


@pytest.mark.slow
def test_a_text_without_stops_stays_affordable(
    read_gbnf: Any, entities_of: EntitiesOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = Request("r", "".join(map(chr, range(0x4E00, 0x4E00 + 1000))), "", "", "zh-Hans")
    answer = AnswerSettings(max_entity_chars=40)
    spans = material(request, 40)
    assert len(automaton.entity_automaton(spans)) < 5 * 1000
    said = read_gbnf(build_grammar("gbnf", request, ONTOLOGY, answer)).language("e0")
    entities = entities_of(request, 40)
    assert said < entities
    assert {entity for entity in entities if len(entity) <= 30} <= said
    monkeypatch.setattr(automaton, "EXACT_SIZE", 1_000_000)
    assert read_gbnf(build_grammar("gbnf", request, ONTOLOGY, answer)).language("e0") == entities
