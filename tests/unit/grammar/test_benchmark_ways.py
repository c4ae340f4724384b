"""Ways of asking that only benchmarks have: what they ask, what their grammars admit, how their answers are read."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from triplelake.config import AnswerSettings
from triplelake.prompt.answer_form import ARRAYS
from triplelake.prompt.fewshot import Example
from triplelake.prompt.grammar import build_grammar
from triplelake.prompt.ontology import Ontology, Relation
from triplelake.prompt.profile import ModelProfile
from triplelake.prompt.prompts import Prompt, load_prompts
from triplelake.prompt.render import Renderer
from triplelake.prompt.turns import ServerTemplate, Turns
from triplelake.types import Completion, Request

ONTOLOGY = Ontology(
    "test",
    tuple(Relation(name, {"zh-Hans": name, "zh-Hant": name, "en": name}) for name in ("作者", "导演", "主演", "作曲")),
)
TEXT = "《晨雾》是林知远的小说，何若兰导演了同名电影。"
REQUEST = Request("r", TEXT, "", "", "zh-Hans")
TRIPLES = (("晨雾", "作者", "林知远"), ("晨雾", "导演", "何若兰"))
GOLD = (Example("《渡口》是何清和的小说。", "", "", (("渡口", "作者", "何清和"),)),)
TURNS = Turns("<s>", "<u>", "<a>", "</a><u>", "<a>")
CHAT = ServerTemplate("<u>", "<a>", TURNS)


@pytest.fixture(scope="module")
def ways() -> Iterator[Any]:
    folder = str(Path(__file__).parents[2] / "benchmarks")
    sys.path.insert(0, folder)
    yield importlib.import_module("otherwise")
    sys.path.remove(folder)


class Scripted:
    """A server that has its answers, and keeps what it is asked."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str]] = []

    def complete(self, prompt: str, *, grammar: str, **_: object) -> Completion:
        self.asked.append((prompt, grammar))
        return Completion(self.answers.pop(0), False, 10, 4, 2, 1.0, "m", "e")

    def tokenize(self, text: str) -> list[int]:
        raise AssertionError(text)


def prompt() -> Prompt:
    shown = Example("《雨停》由季晚星主演，改编自何清和的小说。", "", "", (("雨停", "主演", "季晚星"),))
    return replace(load_prompts("prompts")["zh-Hans"], examples=(shown, Example("天晴。", "", "", ())))


def profile(answer: Any, template: ServerTemplate | None) -> ModelProfile:
    if template is None:
        return ModelProfile("t", "plain", stop=("\n",), answer=answer)
    return ModelProfile("t", "server", examples="turns", answer=answer)


@pytest.fixture
def asker(ways: Any) -> Callable[..., Any]:
    def make(name: str, server: Scripted, *, template: ServerTemplate | None = CHAT) -> Any:
        way = ways.read_way(name)
        asked = profile(way.profile.split("-")[1], template)
        return ways.Otherwise(way, server, "gbnf", prompt(), ONTOLOGY, asked, template, AnswerSettings(), GOLD)

    return make


@pytest.mark.parametrize("template", [CHAT, None])
@pytest.mark.parametrize("answer", ["arrays", "objects", "relations", "lines"])
def test_without_a_way_of_its_own_it_asks_as_the_product_does(
    asker: Callable[..., Any], answer: Any, template: ServerTemplate | None
) -> None:
    server = Scripted("[]")
    asker(f"turns-{answer}-example~as-is", server, template=template).complete(REQUEST)
    prompts = {**load_prompts("prompts"), "zh-Hans": prompt()}
    renderer = Renderer(prompts, ONTOLOGY, profile(answer, template), template)
    grammar = build_grammar("gbnf", REQUEST, ONTOLOGY, AnswerSettings(), renderer.form)
    assert server.asked == [(renderer.render(REQUEST).text, grammar)]


@pytest.mark.parametrize(
    "name",
    ["turns-arrays-example", "turns-arrays~two", "turns-arrays-example~near", "turns-arrays-example~near-0", "a-b-c~x"],
)
def test_what_is_no_way(ways: Any, name: str) -> None:
    assert ways.read_way(name) is None


def test_a_way_by_its_name(ways: Any) -> None:
    assert ways.read_way("turns-short-told~as-is") == ways.Way("turns-objects-told", "short", "as-is", ())
    assert ways.read_way("text-lines-example~limit-4-5") == ways.Way("text-lines-example", None, "limit", (4, 5))


@pytest.mark.parametrize(
    ("own", "text", "truncated"),
    [
        ("short", '[{"s":"晨雾","r":"作者","o":"林知远"},{"s":"晨雾","r":"导演","o":"何若兰"}]', False),
        ("short", '[{"s":"晨雾","r":"作者","o":"林知远"},{"s":"晨雾","r":"导演","o":"何若兰"},{"s":"晨', True),
    ],
)
def test_the_whole_triples_of_an_answer_are_read(ways: Any, own: str, text: str, truncated: bool) -> None:
    way = ways.read_way(f"turns-{own}-example~as-is")
    completion = Completion(text, truncated, 0, 0, 0, 0.0, "m", "e")
    assert ways.as_arrays(way, completion).text == ARRAYS.write(TRIPLES)


def test_no_triples(ways: Any) -> None:
    way = ways.read_way("turns-short-example~as-is")
    assert ways.as_arrays(way, Completion("[]", False, 0, 0, 0, 0.0, "m", "e")).text == "[]"


def test_an_answer_is_left_where_it_repeats_itself(ways: Any) -> None:
    form = ways.OWN_FORMS["short"]
    once = form.write(TRIPLES)
    again = form.write((*TRIPLES, TRIPLES[0]))
    watch = ways.OwnRepeats("short")
    assert watch(once) is None
    assert watch(again[:-2]) is None
    left = watch(again)
    assert left is not None
    assert left.text == once
    assert again.startswith(left.text[: left.said])


@pytest.mark.parametrize("template", [CHAT, None])
def test_the_grammar_admits_what_the_form_writes(
    ways: Any, asker: Callable[..., Any], read_gbnf: Any, template: Any
) -> None:
    server = Scripted("")
    asker("turns-short-example~as-is", server, template=template).complete(REQUEST)
    grammar = read_gbnf(server.asked[0][1])
    form = ways.OWN_FORMS["short"]
    assert all(grammar.admits(text) for text in (form.write(TRIPLES), form.write(TRIPLES[:1]), "[]"))
    for wrong in (("晨雾", "作者", "林远"), ("晨雾", "作家", "林知远")):
        assert not grammar.admits(form.write((wrong,)))
    assert not grammar.admits("")


def test_only_near_relations_are_named_and_admitted(asker: Callable[..., Any], read_gbnf: Any) -> None:
    for name, before in (("near-1", "<u>关系：作者、导演\n文本："), ("allow-1", "<u>文本："), ("list-1", "<u>文本：")):
        server = Scripted("[]")
        asker(f"turns-arrays-example~{name}", server).complete(REQUEST)
        prompt, written = server.asked[0]
        assert prompt.endswith(f"{before}{TEXT}<a>")
        assert ("只能是：作者、导演。" in prompt) == (name == "list-1")
        assert ("只能是：作者、导演、主演、作曲。" in prompt) == (name == "allow-1")
        grammar = read_gbnf(written)
        assert grammar.admits(ARRAYS.write(TRIPLES))
        assert not grammar.admits(ARRAYS.write((("晨雾", "主演", "何若兰"),)))
    # An example names its own relations beside those that are near to it.
    server = Scripted("[]")
    asker("turns-arrays-example~near-1", server).complete(REQUEST)
    assert "<u>关系：作者、主演\n文本：《雨停》" in server.asked[0][0]


@pytest.mark.parametrize(
    ("template", "first", "second"),
    [
        (CHAT, "<a>", '<a>["作者"]</a><u>三元组：<a>'),
        (None, "\n关系：", '\n关系：["作者"]\n三元组：'),
    ],
)
def test_two_answers(asker: Callable[..., Any], read_gbnf: Any, template: Any, first: str, second: str) -> None:
    server = Scripted('["作者"]', ARRAYS.write(TRIPLES[:1]))
    found = asker("turns-arrays-example~two", server, template=template).complete(REQUEST)
    (asked, names), (again, triples) = server.asked
    assert (found.text, found.completion_tokens, found.prompt_tokens) == (ARRAYS.write(TRIPLES[:1]), 4, 20)
    assert asked.endswith(TEXT + first)
    assert again == asked.removesuffix(first) + second
    shown = "《雨停》由季晚星主演，改编自何清和的小说。" + second.replace("作者", "主演") + '[["雨停","主演","季晚星"]]'
    assert shown in asked
    assert _admitted(read_gbnf(names), ["[]", '["作者"]', '["作者","作曲"]']) == [True] * 3
    assert _admitted(read_gbnf(names), ['["作曲","作者"]', '["作者","作者"]', '["编剧"]']) == [False] * 3
    assert _admitted(read_gbnf(triples), [ARRAYS.write(TRIPLES[:1]), ARRAYS.write(TRIPLES)]) == [True, False]


def test_without_relations_nothing_more_is_asked(asker: Callable[..., Any]) -> None:
    server = Scripted("[]")
    assert asker("turns-arrays-example~two", server).complete(REQUEST).text == "[]"
    assert len(server.asked) == 1


def test_instructions_behind_each_text(asker: Callable[..., Any]) -> None:
    server = Scripted("[]")
    asker("turns-arrays-example~last", server).complete(REQUEST)
    prompt = server.asked[0][0]
    assert prompt.startswith("<s>从文本中抽取事实。<u>文本：天晴。\n从文本中抽取事实，写成")
    assert prompt.count("只能是：作者、导演、主演、作曲。") == 3
    assert prompt.endswith("没有事实就回答[]。<a>")


def test_a_limit_of_its_own(asker: Callable[..., Any], read_gbnf: Any) -> None:
    for name, most in (("as-is", 4), ("limit-1-100", 1), ("limit-1-9", 3), ("limit-20-1", 8)):
        server = Scripted("[]")
        asker(f"turns-arrays-example~{name}", server).complete(REQUEST)
        grammar = read_gbnf(server.asked[0][1])
        assert _admitted(grammar, [ARRAYS.write(TRIPLES[:1] * n) for n in (most, most + 1)]) == [True, False]


def _admitted(grammar: Any, answers: Sequence[str]) -> list[bool]:
    return [grammar.admits(text) for text in answers]
