"""What both grammar languages share: `verify`, determinism, and the text of a llguidance grammar."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from triplelake.config import AnswerSettings
from triplelake.prompt.answer_form import LINES, AnswerForm
from triplelake.prompt.grammar import build_grammar
from triplelake.prompt.ontology import Ontology, Relation
from triplelake.prompt.profile import ModelProfile
from triplelake.types import LANGS, GrammarEngine, Lang, Request

ONTOLOGY = Ontology(
    "test",
    (
        Relation("author", {"zh-Hans": "作者", "zh-Hant": "作者", "en": "author"}),
        Relation("born", {"zh-Hans": '"出\\生"\n', "zh-Hant": "出生]", "en": "born/in"}),
        Relation("year", {"zh-Hans": "年份", "zh-Hant": "年份", "en": "year"}, object_pattern=r"\d{4}年?"),
    ),
)
ENGINES: tuple[GrammarEngine, ...] = get_args(GrammarEngine)
VERIFY = AnswerSettings(grounding="verify", max_triples=3, max_entity_chars=10)
HOSTILE = '他说"]]\\ ::= x | <eos> %regex { "substring_chunks": ["a"] }\nstart: "x" # {0,9} /.*/ & 北京-上海'


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("ontology", [ONTOLOGY, None])
def test_verify_is_one_grammar_for_all_requests_of_a_language(
    engine: GrammarEngine, lang: Lang, ontology: Ontology | None
) -> None:
    texts = ["", "鲁迅生于绍兴", HOSTILE]
    grammars = {build_grammar(engine, Request(text, text, text, text, lang), ontology, VERIFY) for text in texts}
    assert len(grammars) == 1
    assert "北京" not in grammars.pop()


@pytest.mark.parametrize("lang", LANGS)
def test_verify_admits_any_plain_entity(read_gbnf: Any, lang: Lang) -> None:
    grammar = read_gbnf(build_grammar("gbnf", Request("r", "", "", "", lang), ONTOLOGY, VERIFY))
    for name in ONTOLOGY.by_name(lang):
        for entity in ("鲁迅", "Ann Lee", "《晨雾》，", "a", "1234567890", "é😀"):
            assert grammar.admits(_answer(entity, name, entity)), (entity, name)
        for entity in ("", " a", "12345678901", 'a"', "a\\", "a\n", "a\x00", "</s>", "[INST]", "<|x|>"):
            assert not grammar.admits(_answer(entity, name, "a")), (entity, name)
    good = json.loads(_answer("a", ONTOLOGY.relations[0].names[lang], "b")) * 3
    assert grammar.admits(json.dumps(good, ensure_ascii=False, separators=(",", ":")))
    assert not grammar.admits(json.dumps([*good, good[0]], ensure_ascii=False, separators=(",", ":")))


@pytest.mark.parametrize("engine", ENGINES)
@given(text=st.text(max_size=60), title=st.text(max_size=20), lang=st.sampled_from(LANGS))
def test_the_same_request_gives_the_same_bytes(engine: GrammarEngine, text: str, title: str, lang: Lang) -> None:
    request = Request("r", text, title, "", lang)
    grammar = build_grammar(engine, request, ONTOLOGY, AnswerSettings())
    assert grammar == build_grammar(engine, Request("s", text, title, "", lang), ONTOLOGY, AnswerSettings())
    assert grammar.encode("utf-8"), "no lone surrogate"
    assert "\0" not in grammar


def test_an_llguidance_grammar_holds_a_document_only_as_json_strings() -> None:
    request = Request("r", HOSTILE, "天天", "", "zh-Hans")
    grammar = build_grammar("llguidance", request, ONTOLOGY, AnswerSettings())
    lines = grammar.splitlines()
    assert lines[0] == "%llguidance {}"
    names = [line.partition(":")[0] for line in lines[1:]]
    assert names[:5] == ["start", "triple", "tail", "P0", "E"], "the year has no object in this text"
    assert all(regex.fullmatch(r"E\d+", name) for name in names[5:])
    literal = r'"(?:[^"\\]|\\.)*"(?: E\d+)?'
    for line in lines[5:]:
        assert regex.fullmatch(rf"E\d*: (?:{literal}(?: \| {literal})*|\({literal}(?: \| {literal})*\)\?)", line), line


@pytest.mark.parametrize(
    ("form", "end"), [(LINES, ""), (ModelProfile("b", "plain", stop=("\n",), answer="lines").form, r' "\n\n"')]
)
def test_lines_for_llguidance(form: AnswerForm, end: str) -> None:
    grammar = build_grammar("llguidance", Request("r", "天地", "", "", "zh-Hans"), ONTOLOGY, AnswerSettings(), form)
    assert grammar.splitlines()[1:4] == [
        rf'start: (triple ("\n" triple){{0,1}} | "无"){end}',
        'triple: E "|" tail',
        "tail: P0 E",
    ]


@pytest.mark.parametrize("engine", ENGINES)
def test_grammars_stay_small(engine: GrammarEngine) -> None:
    text = "".join(chr(0x4E00 + 37 * n % 5000) + "，" * (n % 15 == 14) for n in range(1000))
    grammar = build_grammar(engine, Request("r", text, "", "", "zh-Hans"), ONTOLOGY, AnswerSettings())
    assert len(grammar.encode()) < 45 * 1000


def _answer(subject: str, predicate: str, object_: str) -> str:
    return json.dumps([[subject, predicate, object_]], ensure_ascii=False, separators=(",", ":"))
