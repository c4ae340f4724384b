"""The page says what the report holds, in both languages, and nothing in it can come from a document but text."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triplelake.prompt.ontology import Ontology, Relation
from triplelake.report.layout import WIDTH, layout
from triplelake.report.marks import pieces
from triplelake.report.model import Cause, Document, Edge, Mention, Place, RelationCount, Report
from triplelake.report.page import page
from triplelake.report.words import WORDS
from triplelake.types import PageLang

Make = Callable[..., Report]

ONTOLOGY = Ontology("small", (Relation("born_in", {"zh-Hans": "出生地", "zh-Hant": "出生地", "en": "place of birth"}),))
EVIL = "</script><script>alert(1)</script><img src=http://x.example/ onerror=alert(2)>\"' &amp; {{ 7 * 7 }}"
_VOID = {"meta", "input", "br", "link"}


class Page(HTMLParser):
    """A page as a browser takes it apart; every element that is opened must be closed in its order.

    Attributes:
        texts: the text below each kind of element.
    """

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.texts.setdefault(tag, []).append("")
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.texts[tag][-1] += data

    def with_class(self, name: str) -> list[dict[str, str | None]]:
        return [values for _, values in self.tags if name in (values.get("class") or "").split()]


@pytest.mark.parametrize("lang", get_args(PageLang))
def test_both_languages_say_everything(lang: PageLang, report: Make) -> None:
    found = Page(page(report(), lang, ONTOLOGY))
    everything = " ".join(found.texts["header"] + found.texts["main"])
    for value in ("4,321", "100,000", "87,654", "9.88", "500.00", "timeout", "no text", "atom-7b-chat@0123456789ab"):
        assert value in everything
    assert {"zh": "出生地", "en": "place of birth"}[lang] in everything
    assert {"zh": "从 4,321 篇文档中随机抽取 3 篇", "en": "3 of 4,321 documents, chosen at random"}[lang] in everything
    assert {"zh": "共 87,654 条事实", "en": "3 of 87,654 facts"}[lang] in everything
    assert {"zh": "存疑：类型与另一条三元组矛盾", "en": "doubtful: types contradict another triple"}[lang] in everything
    assert everything.count("88 %") == 1
    # Only this report has nothing to say of what is empty; a word of a count is filled in.
    unsaid = {"no_failures", "no_graph", "interrupted", "budget_spent", "none", "between"}
    unsaid |= {"pattern_conflict", "pronoun_subject", "pronoun_object", "not_in_chunk"}
    html = page(report(), lang, ONTOLOGY)
    assert [
        key for key, word in WORDS[lang].items() if "{" not in word and key not in unsaid and word not in html
    ] == []
    assert re.findall(r"\{\w+\}|<bound|built-in|Undefined", everything) == []
    assert found.tags[0][1]["lang"] == {"zh": "zh-Hans", "en": "en"}[lang]


def test_the_languages_have_the_same_words() -> None:
    assert WORDS["zh"].keys() == WORDS["en"].keys()
    for key, word in WORDS["en"].items():
        assert set(re.findall(r"\{\w+\}", word)) == set(re.findall(r"\{\w+\}", WORDS["zh"][key])), key


def test_every_triple_is_marked_where_it_stands(report: Make) -> None:
    found = Page(page(report(), "zh", None))
    marks = [(text, values) for (tag, values), text in zip(_tags(found, "mark"), found.texts["mark"], strict=True)]
    assert [(text, values["data-t"]) for text, values in marks] == [
        ("林若兰", "1"),  # in the title
        ("林若兰", "0"),
        ("临川城", "0"),
        ("云梦", "1 2"),
        ("书院", "1 2"),
        ("Edda Lund", "0"),
        ("Harrow", "0"),
    ]
    assert [values["class"] for _, values in marks] == ["c1", "c0", "c0", "c1", "c1", "c0", "c0"]
    texts = [
        text
        for (tag, values), text in zip(_tags(found, "p"), found.texts["p"], strict=True)
        if values.get("class") == "text"
    ]
    assert texts[0] == "林若兰生于临川城，在云梦书院教书。"
    assert WORDS["zh"]["cut"] in texts[1]
    assert WORDS["zh"]["no_triples"] in " ".join(found.texts["article"])
    # A piece of two triples names both, each by its place in the list below.
    assert [values["data-t"] for _, values in _tags(found, "li") if "data-t" in values] == ["0", "1", "2", "0"]


def test_nothing_from_a_document_becomes_a_part_of_the_page(report: Make) -> None:
    evil = Document(EVIL, EVIL, EVIL, "en", False, (Mention(EVIL, EVIL, EVIL, Place(0, 9, False), None, (EVIL,)),))
    attacked = report(
        output=EVIL,
        model=EVIL,
        documents=(evil,),
        relations=(RelationCount(EVIL, 1, 1, 1, 0),),
        failures=(Cause(EVIL, 1, EVIL),),
        edges=(Edge(EVIL, EVIL, EVIL, "e", EVIL, 1, 1),),
    )
    plain, found = Page(page(report(), "en", None)), Page(page(attacked, "en", None))
    assert {tag for tag, _ in found.tags} <= {tag for tag, _ in plain.tags}
    assert len(_tags(found, "script")) == 1
    assert found.texts["script"] == plain.texts["script"]
    assert not [name for _, values in found.tags for name in values if name.startswith("on")]
    assert "7 * 7" in " ".join(found.texts["article"])


def test_the_page_asks_no_network(report: Make) -> None:
    html = page(report(), "en", None)
    found = Page(html)
    assert not [values for _, values in found.tags if {"src", "href", "srcset", "action"} & values.keys()]
    assert not re.search(r"https?://|url\((?!#)|@import|fetch\(|XMLHttpRequest", html)
    (policy,) = [values["content"] or "" for _, values in _tags(found, "meta") if "http-equiv" in values]
    assert policy.startswith("default-src 'none'; ")


def test_a_report_of_nothing_is_a_page(report: Make) -> None:
    empty = report(
        runs=(),
        relations=(),
        relations_in_all=0,
        support=(0, 0, 0, 0),
        failures=(),
        rejections=(),
        documents=(),
        edges=(),
        model="",
        input="",
    )
    everything = " ".join(Page(page(empty, "en", None)).texts["body"])
    assert WORDS["en"]["no_graph"] in everything
    assert WORDS["en"]["no_failures"] in everything


@given(
    st.text(max_size=30),
    st.lists(st.tuples(st.integers(-3, 35), st.integers(-3, 35), st.integers(0, 4)), max_size=6),
)
def test_pieces_are_the_text_and_hold_every_mark(text: str, spans: list[tuple[int, int, int]]) -> None:
    found = list(pieces(text, spans))
    assert "".join(piece.text for piece in found) == text
    at = 0
    for piece in found:
        for place in range(at, at + len(piece.text)):
            assert set(piece.marks) == {number for start, end, number in spans if start <= place < end}
        at += len(piece.text)


def test_every_entity_has_its_own_place_in_the_drawing() -> None:
    edges = [("hub", f"leaf {number}") for number in range(30)] + [(f"a{n}", f"b{n}") for n in range(12)] + [("x", "x")]
    places, height = layout(edges)
    assert places.keys() == {end for edge in edges for end in edge}
    assert len(set(places.values())) == len(places)
    assert all(0 < x < WIDTH and 0 < y < height for x, y in places.values())
    assert layout(edges) == (places, height)


def test_relations_stand_on_their_lines_and_not_upon_one_another(report: Make) -> None:
    edges = (
        Edge("a", "Edda", "born_in", "b", "Harrow", 1, 1),
        Edge("b", "Harrow", "mayor", "a", "Edda", 1, 1),
        Edge("a", "Edda", "spouse", "c", "Lund", 1, 1),
    )
    html = page(report(edges=edges), "en", None)
    drawn = re.findall(r'<text x="([\d.]+)" y="([\d.]+)">(born_in|mayor|spouse)</text></g>', html)
    assert [name for _, _, name in drawn] == ["born_in", "mayor", "spouse"]
    assert drawn[0][0] == drawn[1][0] and float(drawn[1][1]) > float(drawn[0][1])


def _tags(found: Page, tag: str) -> list[tuple[str, dict[str, str | None]]]:
    return [(name, values) for name, values in found.tags if name == tag]


def test_a_graph_stands_the_same_way_in_every_process() -> None:
    # Many parts: networkx names the nodes of a small one among many in the order of a set.
    code = """
from triplelake.report.layout import layout
print(sorted(layout([(f"part {part}", f"{part}, {end}") for part in range(9) for end in range(3)])[0].items()))
"""
    environments = ({**os.environ, "PYTHONHASHSEED": seed} for seed in ("1", "2", "3"))
    drawn = {subprocess.check_output([sys.executable, "-c", code], env=each, text=True) for each in environments}
    assert len(drawn) == 1
