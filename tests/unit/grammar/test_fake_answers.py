"""The fake server answers from all that a prompt shows, and as the grammar that is sent with it admits."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from fake.answers import Question, answer, question_asked
from fake.settings import ServerSettings

from triplelake.config import AnswerSettings
from triplelake.prompt.answer_form import FORMS, AnswerForm
from triplelake.prompt.grammar import build_grammar
from triplelake.prompt.ontology_file import load_ontology
from triplelake.prompt.profile import ModelProfile
from triplelake.prompt.prompts import load_prompts
from triplelake.prompt.render import Renderer
from triplelake.triples.derive import derive
from triplelake.types import Request

ONTOLOGY = load_ontology("ontologies/general.yaml")
PROMPTS = load_prompts("prompts")
SETTINGS = ServerSettings()
REQUESTS = [
    Request("r", "林若兰生于临川城。", "霁禾传媒", "公司设在栎川。", "zh-Hans"),
    Request("r", "林若蘭生於臨川城。", "霽禾傳媒", "公司設在櫟川。", "zh-Hant"),
    Request("r", "Ada was born in Paris.", "Harbour", "Dorian left Lisbon.", "en"),
]


def question(request: Request) -> Question | None:
    prompt = Renderer(PROMPTS, ONTOLOGY, ModelProfile("base", "plain")).render(request).text
    return question_asked(prompt, SETTINGS.labels, SETTINGS.labels_above)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.lang)
def test_a_question_is_found_with_its_title_and_context(request_: Request) -> None:
    assert question(request_) == Question(request_.text, (request_.context, request_.title))
    # Those of the examples that a prompt shows are no part of it.
    alone = Request("r", request_.text, "", "", request_.lang)
    assert question(alone) == Question(request_.text)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.lang)
@pytest.mark.parametrize("shown", ["title", "context"])
def test_it_names_what_stands_above_the_text(read_gbnf: Any, request_: Request, form: AnswerForm, shown: str) -> None:
    title, context = (request_.title, "") if shown == "title" else ("", request_.context)
    asked = Request("r", request_.text, title, context, request_.lang)
    settings = AnswerSettings()
    # Without an ontology every relation takes any object.
    grammar = build_grammar("gbnf", asked, None, settings, form)
    said, ends = answer("", Question(asked.text, (title or context,)), grammar, most_tokens=200)
    assert ends and read_gbnf(grammar).admits(said)
    derived = derive(asked, said, truncated=False, ontology=None, answer=settings)
    assert derived.error_code is None and derived.triples
    spans = [span for each in derived.triples for span in (each.subject_span, each.object_span) if span]
    assert shown in {span.source for span in spans} and "chunk" in {span.source for span in spans}


def test_a_word_of_the_text_is_none_of_the_title() -> None:
    grammar = build_grammar("gbnf", REQUESTS[2], None, AnswerSettings())
    with_title, _ = answer("", Question("Ada was born in Paris.", ("Paris",)), grammar, most_tokens=200)
    without, _ = answer("", Question("Ada was born in Paris."), grammar, most_tokens=200)
    assert with_title == without
