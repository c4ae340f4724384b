"""The constraint holds on a real server: all answers are grounded where tokens are random, or nearly so.

A random model of a thousand tokens answers every request in every form, often. The real model shows that it is so with
a vocabulary of 262,144 as well.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, get_args

import pytest
import regex
import requests

# Test modules have unique names instead of packages, so what they share is found by its folder.
sys.path.insert(0, str(Path(__file__).parents[2]))

from fake.random_model import write_random_model

from triplelake.config import AnswerSettings, EmbeddedSettings
from triplelake.pool.embedded import EmbeddedServer
from triplelake.pool.endpoints import Endpoint
from triplelake.prompt.answer_form import FORMS, AnswerForm, FormName
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


TEXTS = [PROMPT, *(text for each in REQUESTS.values() for text in (each.text, each.title, each.context) if text)]
NAMES = [name for relation in ONTOLOGY.relations for name in relation.names.values()]
SEEDS = 16
RANDOM_SAMPLING = {"temperature": 1.0, "n_predict": 300}
REAL_SAMPLING = {"temperature": 5.0, "n_predict": 40}
# The forms differ in their marks, which all vocabularies have; the requests in their characters.
REAL_CASES = [
    *(("arrays", name) for name in REQUESTS),
    ("objects", "hostile-0"),
    ("subjects", "hostile-1"),
    ("relations", "hostile-2"),
    ("lines", "zh-Hant"),
]


# What follows when every token is likely is text for either engine with one of the vocabularies only. GBNF takes bytes
# for code points, and among them such as are longer than UTF-8 allows; llguidance goes through the bytes that two
# characters share, and lets all pass where no token stands for such bytes. Real vocabularies hold all bytes, and real
# models do not say those of the former kind.
RANDOM_SERVERS = [("llguidance", "bytes"), ("gbnf", "letters")]


@pytest.fixture(scope="module")
def random_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Endpoint]]:
    """The real server with two random models, by their vocabularies; either answers within a hundredth of a second."""
    with ExitStack() as stack:
        found = {}
        for vocabulary in ("bytes", "letters"):
            path = tmp_path_factory.mktemp("random") / f"{vocabulary}.gguf"
            write_random_model(path, [*TEXTS, *NAMES], with_bytes=vocabulary == "bytes")
            settings = EmbeddedSettings(model=path, slots=1, threads=1)
            found[vocabulary] = stack.enter_context(EmbeddedServer(settings)).endpoint
        yield found


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(("engine", "vocabulary"), RANDOM_SERVERS)
def test_answers_of_a_random_model_are_grounded(
    random_servers: Mapping[str, Endpoint],
    entities_of: Callable[[Request, int], set[str]],
    engine: GrammarEngine,
    vocabulary: str,
    name: str,
    form: AnswerForm,
) -> None:
    said = _grounded(random_servers[vocabulary], entities_of, engine, name, form, RANDOM_SAMPLING)
    assert said, "nothing was said, so nothing was shown"


@pytest.mark.parametrize(("form", "name"), REAL_CASES)
@pytest.mark.parametrize("engine", get_args(GrammarEngine))
def test_random_answers_are_grounded(
    llama_server: Endpoint,
    entities_of: Callable[[Request, int], set[str]],
    engine: GrammarEngine,
    form: FormName,
    name: str,
) -> None:
    said = _grounded(llama_server, entities_of, engine, name, FORMS[form], REAL_SAMPLING, enough=2)
    assert said, "nothing was said, so nothing was shown"


def _grounded(
    server: Endpoint,
    entities_of: Callable[[Request, int], set[str]],
    engine: GrammarEngine,
    name: str,
    form: AnswerForm,
    sampling: Mapping[str, Any],
    enough: int = SEEDS,
) -> int:
    """Ask at least `enough` times, and until something is said; the number of triples, each of which is grounded."""
    request = REQUESTS[name]
    settings = AnswerSettings()
    grammar = build_grammar(engine, request, ONTOLOGY, settings, form)
    entities = entities_of(request, settings.max_entity_chars)
    relations = ONTOLOGY.by_name(request.lang)
    said = 0
    for seed in range(SEEDS):
        for subject, predicate, object_ in _ask(server, grammar, seed, sampling):
            pattern = relations[predicate].object_pattern
            assert subject in entities
            assert object_ in entities
            assert pattern is None or regex.fullmatch(pattern, object_)
            said += 1
        if said and seed + 1 >= enough:
            break
    return said


@pytest.mark.parametrize("ontology", [ONTOLOGY, None], ids=["ontology", "open"])
@pytest.mark.parametrize(("engine", "vocabulary"), RANDOM_SERVERS)
def test_static_grammars_are_followed_by_a_random_model(
    random_servers: Mapping[str, Endpoint], engine: GrammarEngine, vocabulary: str, ontology: Ontology | None
) -> None:
    for lang in ("zh-Hans", "en"):
        seeds = range(SEEDS)
        assert _follows_static(random_servers[vocabulary], engine, lang, ontology, RANDOM_SAMPLING, seeds)


@pytest.mark.parametrize("engine", get_args(GrammarEngine))
def test_static_grammars_are_followed(llama_server: Endpoint, engine: GrammarEngine) -> None:
    _follows_static(llama_server, engine, "zh-Hans", ONTOLOGY, REAL_SAMPLING, [3])


def _follows_static(
    server: Endpoint,
    engine: GrammarEngine,
    name: str,
    ontology: Ontology | None,
    sampling: Mapping[str, Any],
    seeds: Iterable[int],
) -> int:
    """Ask, and return the number of triples, each of which is as the settings and the ontology say."""
    settings = AnswerSettings(grounding="verify")
    grammar = build_grammar(engine, REQUESTS[name], ontology, settings)
    said = 0
    for seed in seeds:
        for subject, predicate, object_ in _ask(server, grammar, seed, sampling):
            assert len(subject) <= settings.max_entity_chars
            assert len(object_) <= settings.max_entity_chars
            assert ontology is None or predicate in ontology.by_name(REQUESTS[name].lang)
            said += 1
    return said


def _ask(server: Endpoint, grammar: str, seed: int, sampling: Mapping[str, Any]) -> tuple[tuple[str, str, str], ...]:
    """The whole triples of an answer."""
    body = {"prompt": PROMPT, "grammar": grammar, "seed": seed, "samplers": ["temperature"], **sampling}
    headers = {"Authorization": f"Bearer {server.api_key}"}
    response = requests.post(f"{server.url}/completion", json=body, headers=headers, timeout=300)
    answer = response.json()
    assert response.status_code == 200, answer
    return parse_answer(answer["content"], truncated=answer["stop_type"] == "limit").items
