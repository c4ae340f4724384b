"""The server that asks the grammar first (infra/llama/fast) beside one of the same source that does not.

A model of random weights is asked: whatever a grammar allows is likely, so that answers go wherever grammars go.
"""

from __future__ import annotations

import json
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from llama_host import LLAMA
from real_build import PLAIN_PREFIX, PREFIX, build_command, run

sys.path.insert(0, str(LLAMA))
sys.path.insert(0, str(Path(__file__).parents[2]))

from fake.random_model import write_random_model

from prove_server import running
from triplelake.config import AnswerSettings
from triplelake.prompt.answer_form import FORMS
from triplelake.prompt.grammar import build_grammar
from triplelake.prompt.ontology import Ontology, Relation
from triplelake.types import Lang, Request

pytestmark = pytest.mark.infra

TEXTS = (
    "林知远生于泉州，2003年写了《晨雾》，后来在临川城的云梦书院教书。",
    "何若兰是画家，1981年迁往云州，与苏晚晴合著《青河志》。",
    "Ann Lee, born in Portland, Oregon, wrote Dew in 2003 and sold it in Harrow Quay.",
    "蘇晚晴生於臨川，是小說家；她的妹妹蘇晚霞住在松城。",
)
ONTOLOGY = Ontology(
    "test",
    (
        Relation("author", {"zh-Hans": "作者", "zh-Hant": "作者", "en": "author"}),
        Relation("born", {"zh-Hans": "出生地", "zh-Hant": "出生地", "en": "place of birth"}),
        Relation("year", {"zh-Hans": "出版年份", "zh-Hant": "出版年份", "en": "year of publication"}),
    ),
)
LANGS: tuple[Lang, ...] = ("zh-Hans", "zh-Hans", "en", "zh-Hant")
SLOTS = 8
LIMIT = 200
_TWO = '%llguidance {}\nstart: "二"\n'


def grammars() -> Iterator[tuple[str, str]]:
    """Prompts and grammars of llguidance: each text in each form, and each behind some other beginnings."""
    for form in FORMS.values():
        for text, lang in zip(TEXTS, LANGS, strict=True):
            request = Request("r", text, "", "", lang)
            grammar = build_grammar("llguidance", request, ONTOLOGY, AnswerSettings(), form)
            for start in range(3):
                yield f"{text[start:]}\n{text}\n", grammar


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = [name for relation in ONTOLOGY.relations for name in relation.names.values()]
    return write_random_model(tmp_path_factory.mktemp("model") / "random.gguf", [*TEXTS, *names], with_bytes=True)


@pytest.fixture(scope="module")
def servers(model: Path) -> Iterator[dict[str, str]]:
    """Addresses: both builds with one slot; the fast one with several that share one cache, or have each its own."""
    run(*build_command(PREFIX))
    run(*build_command(PLAIN_PREFIX, "--no-fast"))
    fast, plain = (prefix / "llama" / "bin" / "llama-server" for prefix in (PREFIX, PLAIN_PREFIX))
    many = ("-np", str(SLOTS), "-c", str(SLOTS * 1024), "--sampling-threads", "3")
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(running(server, model, "--metrics", *options))
            for name, server, options in (
                ("fast", fast, ()),
                ("plain", plain, ()),
                ("shared", fast, (*many, "--kv-unified")),
                ("apart", fast, (*many, "--no-kv-unified")),
            )
        }


def ask(url: str, prompt: str | list[int], grammar: str | None, **more: Any) -> Any:
    body = {
        "prompt": prompt,
        "n_predict": LIMIT,
        "samplers": ["top_k"],
        "top_k": 1,
        "return_tokens": True,
        "stop": ["\n\n"],
    }
    body |= {"cache_prompt": False, **({"grammar": grammar} if grammar else {}), **more}
    request = urllib.request.Request(
        f"{url}/completion", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)


def told(answer: Any) -> tuple[Any, ...]:
    return answer["content"], answer["tokens"], answer["stop_type"], answer["truncated"], answer["tokens_predicted"]


def steps(url: str) -> int:
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("llamacpp:n_decode_total ")))


@pytest.mark.parametrize("n_probs", [0, 1, 5])
def test_answers_and_probabilities_are_those_of_the_plain_server_in_fewer_steps(
    servers: dict[str, str], n_probs: int
) -> None:
    before = {name: steps(servers[name]) for name in ("fast", "plain")}
    decoded = 0
    for prompt, grammar in grammars():
        fast, plain = (ask(servers[name], prompt, grammar, n_probs=n_probs) for name in ("fast", "plain"))
        assert told(fast) == told(plain)
        decoded += fast["tokens_predicted"]
        for one, other in zip(
            fast.get("completion_probabilities", ()), plain.get("completion_probabilities", ()), strict=True
        ):
            assert one["token"] == other["token"] and one["logprob"] == pytest.approx(other["logprob"], abs=1e-3)
            likely = [[(each["id"], each["logprob"]) for each in step["top_logprobs"]] for step in (one, other)]
            assert [token for token, _ in likely[0]] == [token for token, _ in likely[1]]
            assert [p for _, p in likely[0]] == pytest.approx([p for _, p in likely[1]], abs=1e-3)
    taken = {name: steps(servers[name]) - was for name, was in before.items()}
    assert decoded > 1000 and taken["fast"] < taken["plain"], (decoded, taken)


@pytest.mark.parametrize(
    "more",
    [{"n_predict": limit} for limit in (1, 2, 3, 5, 8, 13)]
    + [
        {"stop": ["出"]},
        {"stop": ['"']},
        {"stop": ["of p"]},
        {"logit_bias": [["[", 5.0], ["林", -3.0]]},
    ],
    ids=str,
)
def test_what_ends_or_bends_an_answer_does_so_at_the_same_token(servers: dict[str, str], more: dict[str, Any]) -> None:
    for prompt, grammar in grammars():
        fast, plain = (ask(servers[name], prompt, grammar, n_probs=1, **more) for name in ("fast", "plain"))
        assert told(fast) == told(plain)
        assert len(fast["completion_probabilities"]) == len(plain["completion_probabilities"])


def test_a_stream_brings_the_same_tokens(servers: dict[str, str]) -> None:
    prompt, grammar = next(grammars())
    whole = ask(servers["plain"], prompt, grammar)
    assert "".join(each["content"] for each in stream(servers["fast"], prompt, grammar)) == whole["content"]


def stream(url: str, prompt: str, grammar: str) -> Generator[Any, None, None]:
    body = {"prompt": prompt, "n_predict": LIMIT, "samplers": ["top_k"], "top_k": 1, "grammar": grammar, "stream": True}
    request = urllib.request.Request(
        f"{url}/completion", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        for line in answer:
            if line.startswith(b"data: "):
                yield json.loads(line[6:])


@pytest.mark.parametrize("layout", ["shared", "apart"])
def test_slots_of_every_kind_in_one_batch(servers: dict[str, str], layout: str) -> None:
    """Grammars of both engines, none, temperature, clients that leave: the greedy answers are those of one slot."""
    url = servers[layout]
    wanted = {prompt + grammar: told(ask(servers["plain"], prompt, grammar)) for prompt, grammar in grammars()}
    gbnf = 'root ::= "[" [a-z]{3,9} "]"'
    problems: list[str] = []

    def work(number: int) -> None:
        try:
            for prompt, grammar in list(grammars())[number::2]:
                match number % 4:
                    case 0 | 1:
                        answer = told(ask(url, prompt, grammar, n_probs=number))
                        if answer != wanted[prompt + grammar]:
                            problems.append(f"{answer} instead of {wanted[prompt + grammar]}")
                    case 2:
                        answer = ask(url, prompt, gbnf)
                        if not answer["content"].startswith("["):
                            problems.append(answer["content"])
                        ask(url, prompt, None, n_predict=20)
                        ask(url, prompt, grammar, samplers=["temperature"], temperature=1.5, seed=number)
                    case _:
                        leaving = stream(url, prompt, grammar)
                        next(leaving)
                        leaving.close()
        except Exception as error:  # told by the main thread
            problems.append(repr(error))

    threads = [threading.Thread(target=work, args=(number % 4,)) for number in range(SLOTS + 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems


def test_a_context_that_fills_up_ends_an_answer_at_the_same_token(servers: dict[str, str]) -> None:
    grammar = next(grammar for _, grammar in grammars())
    for length in range(985, 1020, 3):
        prompt = [10] * length
        fast, plain = (told(ask(servers[name], prompt, grammar, ignore_eos=True)) for name in ("fast", "plain"))
        assert fast == plain


def test_a_grammar_that_the_engine_does_not_take_is_an_error_and_no_free_answer(servers: dict[str, str]) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(servers["fast"], "1 + 1 =", "%llguidance {}\nno rule\n")
    assert refused.value.code == 400
    assert "The grammar engine gave up" in refused.value.read().decode()
    with pytest.raises(urllib.error.HTTPError, match="400"):
        ask(servers["fast"], "1 + 1 =", _TWO, ignore_eos=True)
    assert ask(servers["fast"], "1 + 1 =", _TWO)["content"] == "二"


def test_a_server_says_which_it_is(servers: dict[str, str]) -> None:
    def props(name: str) -> Any:
        with urllib.request.urlopen(f"{servers[name]}/props", timeout=30) as answer:
            return json.load(answer)

    assert props("fast")["fast_grammar"] is True and "fast_grammar" not in props("plain")
