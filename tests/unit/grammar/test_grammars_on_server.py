"""The constraint holds on a real server: at a temperature that makes tokens nearly random, all answers are grounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import regex
import requests

from triplelake.config import AnswerSettings
from triplelake.prompt.answer_form import FORMS, AnswerForm
from triplelake.prompt.grammar import build_grammar
from triplelake.prompt.ontology import Ontology, Relation, Signature
from triplelake.triples.parse import parse_answer
from triplelake.types import GrammarEngine, Request

pytestmark = pytest.mark.model

ONTOLOGY = Ontology(
    "test",
    (
        Relation(
            "author", {"zh-Hans": "作者", "zh-Hant": "作者", "en": "author"}, signatures=(Signature("work", "person"),)
        ),
        Relation("born", {"zh-Hans": '"出\\生"]', "zh-Hant": "出生\n地", "en": 'place of "birth"'}),
        Relation("year", {"zh-Hans": "年份", "zh-Hant": "年份", "en": "year"}, object_pattern=r"\d{4}年?"),
    ),
)
HOSTILE = (
    "他说\"\\]|::=</s>北京<eos>上海\0天津\n重庆 😀👩\u200d🚀é e\u0301 '\"]]' /a/b/ [a-z]+(x)*$ \\n C# 9% <end_of_turn>",
    'a]]"\nroot ::= "x" # c %% %regex {"substring_chunks": [1]} <|im_start|>a\u2028|| & ~ E: SUB 1999 B',
    "🇨🇳🇺🇸🇬🇧 ΑΒΓ абв ก็ดี नमस्ते العربية 한국어 ひらがな\ufeff\u200d\ufffe\ue000 2001年",
    "天地玄黄" * 60,
)
REQUESTS = {
    "zh-Hans": Request("r", "林知远生于泉州，2003年写了《晨雾》。", "晨雾", "何若兰是画家。", "zh-Hans"),
    "zh-Hant": Request("r", "林知遠生於泉州，2003年寫了《晨霧》。", "晨霧", "何若蘭是畫家。", "zh-Hant"),
    "en": Request("r", "Ann Lee, born in Portland, Oregon, wrote Dew in 2003.", "Dew", "It was cold.", "en"),
    **{f"hostile-{n}": Request("r", text, text[:9], text[3:30], "zh-Hans") for n, text in enumerate(HOSTILE)},
}
PROMPT = '甲写了《乙》。\n[["乙","作者","甲"]]\n丙写了《丁》。\n[["丁","作者","丙"]]\n戊写了《己》。\n'


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("engine", ["llguidance", "gbnf"])
def test_random_answers_are_grounded(
    llama_server: Any,
    entities_of: Callable[[Request, int], set[str]],
    engine: GrammarEngine,
    name: str,
    form: AnswerForm,
) -> None:
    request = REQUESTS[name]
    settings = AnswerSettings()
    grammar = build_grammar(engine, request, ONTOLOGY, settings, form)
    entities = entities_of(request, settings.max_entity_chars)
    relations = ONTOLOGY.by_name(request.lang)
    said = 0
    for seed in range(1, 9):
        for subject, predicate, object_ in _ask(llama_server, grammar, seed):
            pattern = relations[predicate].object_pattern
            assert subject in entities
            assert object_ in entities
            assert pattern is None or regex.fullmatch(pattern, object_)
            said += 1
        if said and seed > 1:
            break
    assert said, "nothing was said, so nothing was shown"


@pytest.mark.parametrize("ontology", [ONTOLOGY, None], ids=["ontology", "open"])
@pytest.mark.parametrize("engine", ["llguidance", "gbnf"])
def test_static_grammars_are_followed(llama_server: Any, engine: GrammarEngine, ontology: Ontology | None) -> None:
    settings = AnswerSettings(grounding="verify")
    for lang in ("zh-Hans", "en"):
        grammar = build_grammar(engine, REQUESTS[lang], ontology, settings)
        for subject, predicate, object_ in _ask(llama_server, grammar, seed=3):
            assert len(subject) <= settings.max_entity_chars
            assert len(object_) <= settings.max_entity_chars
            assert ontology is None or predicate in ontology.by_name(REQUESTS[lang].lang)


def _ask(server: Any, grammar: str, seed: int) -> tuple[tuple[str, str, str], ...]:
    """The whole triples of an answer."""
    body = {
        "prompt": PROMPT,
        "grammar": grammar,
        "n_predict": 40,
        "seed": seed,
        "temperature": 5.0,
        "samplers": ["temperature"],
    }
    headers = {"Authorization": f"Bearer {server.api_key}"}
    response = requests.post(f"{server.url}/completion", json=body, headers=headers, timeout=300)
    answer = response.json()
    assert response.status_code == 200, answer
    return parse_answer(answer["content"], truncated=answer["stop_type"] == "limit").items
