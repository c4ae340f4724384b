"""What a fake server does wrong when it is told to, and what its counts say of it."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

# Test modules have unique names instead of packages, so what they share is found by its folder.
sys.path.insert(0, str(Path(__file__).parents[2]))

from fake.faults import rule
from fake.pool import DEADLINE_S, FakePool

from triplelake.codes import Code
from triplelake.config import AnswerSettings
from triplelake.errors import PoolError
from triplelake.pool.client import LlamaServer
from triplelake.pool.failures import ServerFailure
from triplelake.pool.survey import survey
from triplelake.prompt.answer_form import FORMS, FormName
from triplelake.prompt.grammar import build_grammar
from triplelake.prompt.ontology import Ontology
from triplelake.prompt.ontology_file import load_ontology
from triplelake.prompt.profile import ModelProfile
from triplelake.prompt.prompts import load_prompts
from triplelake.prompt.render import Renderer
from triplelake.triples.derive import Derivation, derive
from triplelake.types import LANGS, Completion, GrammarEngine, Request

ANSWER = AnswerSettings()
ONTOLOGY = load_ontology("ontologies/general.yaml")
PROMPTS = load_prompts("prompts")
RENDERER = Renderer(PROMPTS, ONTOLOGY, ModelProfile("base", "plain"))
TEXTS: Mapping[str, str] = {
    "zh-Hans": "林知远1987年生于泉州，毕业于厦门大学，2003年写了《晨雾》。",
    "zh-Hant": "林知遠1987年生於泉州，畢業於廈門大學，2003年寫了《晨霧》。",
    "en": "Ann Lee, born in Portland, Oregon in 1971, wrote Dew in 2003 with McDonald, who has an iPhone.",
}
SLOW_S = 3600.0
"""A latency that no test waits for."""


def question(lang: str = "zh-Hans", number: int | None = None) -> Request:
    """A request with a text of its own for each number."""
    (known,) = [each for each in LANGS if each == lang]
    return Request("r", TEXTS[lang] + ("" if number is None else f"第{number}号"), "", "", known)


def ask(pool: FakePool, request: Request, server: int = 0, *, timeout_s: float = DEADLINE_S) -> Completion:
    client = LlamaServer(pool.endpoints[server], timeout_s)
    try:
        grammar = build_grammar("llguidance", request, ONTOLOGY, ANSWER)
        return client.complete(RENDERER.render(request).text, grammar=grammar, max_tokens=400)
    finally:
        client.close()


def code(pool: FakePool, number: int = 0, *, timeout_s: float = DEADLINE_S) -> Code | None:
    """How a question fails; None if it does not."""
    try:
        ask(pool, question(number=number), timeout_s=timeout_s)
    except ServerFailure as failure:
        return failure.code
    return None


def read(request: Request, said: Completion) -> Derivation:
    return derive(request, said.text, truncated=said.truncated, ontology=ONTOLOGY, answer=ANSWER)


@contextmanager
def asking(pool: FakePool, times: int, timeout_s: float = DEADLINE_S) -> Iterator[list[Future[Code | None]]]:
    """So many questions at the same time, all received."""
    before = pool.counts(texts=False).received
    with ThreadPoolExecutor(times) as executor:
        futures = [executor.submit(code, pool, number, timeout_s=timeout_s) for number in range(times)]
        pool.wait("received", at_least=before + times)
        yield futures


@pytest.fixture(scope="module")
def quick() -> Iterator[FakePool]:
    """A server that answers at once."""
    with FakePool(slots=4, api_key="the fake's") as pool:
        yield pool


@pytest.fixture
def pool(quick: FakePool) -> FakePool:
    quick.script()
    quick.forget()
    return quick


@pytest.fixture
def never() -> Iterator[FakePool]:
    """A server of two slots whose requests last longer than any test."""
    with FakePool(slots=2, latency_s=SLOW_S) as pool:
        yield pool


BEGINS = {"arrays": '[["', "objects": '[{"subject":"', "subjects": '{"', "relations": '{"', "lines": ""}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("grounding", ["constrain", "verify"])
@pytest.mark.parametrize("ontology", [ONTOLOGY, None], ids=["ontology", "open"])
@pytest.mark.parametrize("lang", LANGS)
def test_answers_are_of_the_text_and_the_same_for_all_grammars(
    pool: FakePool, lang: str, ontology: Ontology | None, grounding: str, form: FormName
) -> None:
    request = question(lang)
    answer = AnswerSettings.model_validate({"grounding": grounding})
    prompt = Renderer(PROMPTS, ontology, ModelProfile("base", "plain", answer=form)).render(request).text
    client = LlamaServer(pool.endpoints[0], DEADLINE_S)
    said: set[str] = set()
    for engine in ("llguidance", "gbnf"):
        known: GrammarEngine = "llguidance" if engine == "llguidance" else "gbnf"
        grammar = build_grammar(known, request, ontology, answer, FORMS[form])
        completion = client.complete(prompt, grammar=grammar, max_tokens=400)
        found = derive(request, completion.text, truncated=completion.truncated, ontology=ontology, answer=answer)
        assert (found.error_code, found.dropped) == (None, {})
        assert found.triples
        assert completion.text.startswith(BEGINS[form])
        assert (form == "lines") == ("|" in completion.text)
        said.add(completion.text)
    assert len(said) == 1
    client.close()


def test_a_prompt_with_token_ids_is_read_too(pool: FakePool) -> None:
    request = question()
    text = RENDERER.render(request).text
    client = LlamaServer(pool.endpoints[0], DEADLINE_S)
    before, mark, after = text.rpartition("泉州")
    mixed: list[str | int] = [before, *client.tokenize(mark), after]
    grammar = build_grammar("llguidance", request, ONTOLOGY, ANSWER)
    assert client.complete(mixed, grammar=grammar, max_tokens=400).text == ask(pool, request).text
    assert pool.counts().asked == {request.text: 2}
    client.close()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("loading", "loading"),
        ("unavailable", "http_503"),
        ("error", "http_500"),
        ("all_slots", "http_500"),
        ("too_many", "http_429"),
        ("bad_request", "bad_request"),
        ("overflow", "context_overflow"),
        ("drop", "connection"),
    ],
)
def test_a_fault_meets_every_other_question(pool: FakePool, kind: str, expected: str) -> None:
    pool.script(rule(kind, every=2))  # type: ignore[arg-type]  # a parameter
    assert [code(pool, number) for number in range(4)] == [None, expected, None, expected]
    counts = pool.counts()
    assert (counts.received, counts.in_flight, counts.peak, counts.outcomes["200"]) == (4, 0, 1, 2)
    assert counts.faults == {kind: 2}
    assert counts.asked == {question(number=number).text: 1 for number in range(4)}
    arrivals = pool.arrivals()
    assert arrivals == sorted(arrivals)
    assert [tokens > 500 for _, tokens in arrivals] == [True] * 4
    assert counts.answered == {question(number=number).text: 1 for number in (0, 2)}


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after(pool: FakePool, as_date: bool) -> None:
    pool.script(rule("too_many", retry_after_s=30, as_date=as_date))
    with pytest.raises(ServerFailure) as caught:
        ask(pool, question())
    assert caught.value.retry_after_s == pytest.approx(30, abs=2)
    pool.script(rule("too_many"))
    with pytest.raises(ServerFailure) as caught:
        ask(pool, question())
    assert caught.value.retry_after_s is None


@pytest.mark.parametrize(
    ("kind", "error"),
    [("truncated", "truncated"), ("invalid", None), ("ungrounded", "ungrounded"), ("unconstrained", None)],
)
def test_wrong_answers_have_status_200(pool: FakePool, kind: str, error: str | None) -> None:
    pool.script(rule(kind))  # type: ignore[arg-type]  # a parameter
    request = question()
    said = ask(pool, request)
    assert said.truncated == (kind == "truncated")
    found = read(request, said).error_code
    assert found == error if error else found not in (None, "truncated", "ungrounded")
    assert pool.counts().outcomes == {"200": 1}


def test_conditions(pool: FakePool) -> None:
    def met(times: int = 4) -> list[int]:
        return [number for number in range(times) if code(pool, number) is not None]

    pool.script(rule("error", requests=(1, 3)))
    assert met() == [0, 2]
    pool.script(rule("error", contains="第2号"))
    assert met() == [2]
    pool.script(rule("error", most=2))
    assert met() == [0, 1]
    pool.script(rule("error", after_s=SLOW_S), rule("unavailable", until_s=0))
    assert met() == []
    pool.script(rule("error", "one"), rule("unavailable", "other"))
    assert code(pool) == "http_500"
    pool.release("one")
    assert code(pool) == "http_503"
    pool.release()
    assert code(pool) is None


def test_chance_goes_by_the_text_and_not_by_the_order(pool: FakePool) -> None:
    def met(order: Callable[[range], list[int]], seed: int) -> set[int]:
        pool.forget()
        pool.script(rule("error", probability=0.3, seed=seed))
        return {number for number in order(range(60)) if code(pool, number)}

    first = met(list, 1)
    assert 8 <= len(first) <= 30
    assert met(lambda numbers: [*reversed(numbers)], 1) == first
    assert met(list, 2) != first


def test_probes_are_met_by_faults_of_the_whole_server_only(pool: FakePool) -> None:
    pool.script(rule("error"))
    assert survey(pool.endpoints, wanted_grammar="auto", timeout_s=DEADLINE_S).engine == "llguidance"
    counts = pool.counts()
    assert (counts.received, counts.probes) == (0, 2)  # one per engine
    pool.script(rule("loading"))
    pool.wait("state", equals="loading")
    with pytest.raises(PoolError, match="loading"):
        survey(pool.endpoints, wanted_grammar="auto", timeout_s=DEADLINE_S, loading_wait_s=0)


def test_a_server_that_loads_says_so_everywhere(pool: FakePool) -> None:
    pool.script(rule("loading"))
    pool.wait("state", equals="loading")
    client = LlamaServer(pool.endpoints[0], DEADLINE_S)
    assert not client.health()
    for look in (client.props, client.metrics, client.model):
        with pytest.raises(ServerFailure) as caught:
            look()
        assert caught.value.code == "loading"
    pool.release()
    pool.wait("state", equals="up")
    assert client.health()
    client.close()


def test_a_server_that_refuses_keeps_its_connections(pool: FakePool) -> None:
    client = LlamaServer(pool.endpoints[0], DEADLINE_S)
    assert client.health()
    pool.script(rule("refuse"))
    pool.wait("state", equals="refuse")
    assert client.health()
    assert code(pool) == "connection"
    pool.release()
    pool.wait("state", equals="up")
    client.close()
    assert code(pool) is None


def test_a_server_that_hangs_is_in_good_health(pool: FakePool) -> None:
    pool.script(rule("hang"))
    pool.wait("state", equals="hang")
    assert LlamaServer(pool.endpoints[0], DEADLINE_S).health()
    client = LlamaServer(pool.endpoints[0], 0.2)
    for look in (client.props, client.slots, client.metrics):
        with pytest.raises(ServerFailure) as caught:
            look()
        assert caught.value.code == "timeout"
    with asking(pool, 3) as futures:
        assert pool.counts().in_flight == 3
        pool.release()
        assert [future.result() for future in futures] == [None, None, None]
    client.close()


def test_work_stands_still_while_it_hangs() -> None:
    with FakePool(slots=1, latency_s=None, decode_tokens_s=100) as pool:
        client = LlamaServer(pool.endpoints[0], DEADLINE_S)
        pool.script(rule("hang", requests=(2,)))
        with asking(pool, 2) as futures:
            pool.wait("state", equals="hang")
            assert pool.counts().in_flight == 2
            pool.release()
            assert [future.result() for future in futures] == [None, None]
        assert client.metrics()["n_decode_total"] > 0
        client.close()


def test_a_server_dies_and_comes_back_with_another_model(never: FakePool) -> None:
    client = LlamaServer(never.endpoints[0], DEADLINE_S)
    assert client.health()
    with asking(never, 3) as futures:
        never.wait("deferred", at_least=1)
        never.script(rule("die", model="another@1"))
        never.wait("state", equals="die")
        assert [future.result() for future in futures] == ["connection"] * 3
    counts = never.counts()
    assert (counts.outcomes, counts.in_flight, counts.processing, counts.deferred) == ({"reset": 3}, 0, 0, 0)
    assert not client.health()
    never.release()
    never.wait("state", equals="up")
    assert client.health()
    assert client.model().alias == client.props().alias == "another@1"
    assert client.metrics()["n_decode_total"] == 0
    client.close()


def test_a_server_that_dies_of_a_question_comes_back_in_time(pool: FakePool) -> None:
    pool.script(rule("die", requests=(2,), for_s=0.2))
    assert code(pool, 1) is None
    assert code(pool, 2) == "connection"
    pool.wait("state", equals="up")
    assert code(pool, 3) is None


def test_all_slots_fail_and_the_deferred_take_their_places(never: FakePool) -> None:
    with asking(never, 4) as futures:
        never.wait("deferred", at_least=2)
        never.script(rule("all_slots", requests=(1,)))
        assert code(never, 9) == "http_500"
        never.wait("outcomes", "500", at_least=3)
        never.wait("deferred", at_most=0)
        counts = never.counts()
        assert (counts.in_flight, counts.processing) == (2, 2)
        never.script(rule("die"))
        assert Counter(future.result() for future in futures) == {"http_500": 2, "connection": 2}


@pytest.mark.slow
def test_one_leaves_and_the_server_works_on_or_not(never: FakePool) -> None:
    assert code(never, timeout_s=0.5) == "timeout"
    never.wait("zombies", at_least=1)
    counts = never.counts()
    assert (counts.in_flight, counts.processing, counts.outcomes) == (0, 1, {"left": 1})
    never.set_zombies(False)
    with asking(never, 2, timeout_s=1.0):
        never.wait("deferred", at_least=1)
    never.wait("deferred", at_most=0)
    never.wait("processing", at_most=1)
    assert never.counts().zombies == 1


@pytest.mark.slow
def test_slow_and_stuck() -> None:
    with FakePool(slots=2, latency_s=0.1) as pool:
        pool.script(rule("slow", factor=6, contains="第1号"), rule("stuck", contains="第2号"))
        latencies = [ask(pool, question(number=number)).latency_ms for number in range(2)]
        assert 95 < latencies[0] < latencies[1]
        assert latencies[1] > 590
        assert code(pool, 2, timeout_s=0.5) == "timeout"
        assert pool.counts().processing == 1


@pytest.mark.slow
def test_time_goes_by_tokens_slots_and_scale() -> None:
    speed = {"latency_s": None, "decode_tokens_s": 50.0, "prompt_tokens_s": 2_000.0, "slots": 2}
    with FakePool(3, each={1: {"time_scale": 20.0}, 2: {"crowding": 1.0}}, **speed) as pool:
        alone = ask(pool, question())
        expected_ms = 1000 * (alone.completion_tokens / 50 + alone.prompt_tokens / 2_000)
        assert alone.latency_ms > 0.95 * expected_ms
        assert ask(pool, question(), server=1).latency_ms < expected_ms / 2
        again = ask(pool, question())
        assert again.cached_tokens == again.prompt_tokens - 1
        assert again.latency_ms < alone.latency_ms
        with ThreadPoolExecutor(2) as executor:
            both = [executor.submit(ask, pool, question(number=number), 2) for number in range(2)]
            assert max(each.result().latency_ms for each in both) > 1.5 * expected_ms


def test_counts_of_each_and_of_all() -> None:
    with FakePool(3, each={2: {"slots": 7, "llguidance": False}}, slots=2, keep_texts=False) as pool:
        assert [endpoint.slots for endpoint in pool.endpoints] == [2, 2, 7]
        assert pool.setting == ",".join(pool.urls)
        assert survey(pool.endpoints, wanted_grammar="auto", timeout_s=DEADLINE_S).engine == "gbnf"
        pool.forget()
        pool.script(rule("error"), server=1)
        for server in (0, 0, 1):
            try:
                ask(pool, question(), server)
            except ServerFailure as failure:
                assert failure.code == "http_500"
        assert pool.counts().outcomes == {"200": 2, "500": 1}
        assert [pool.counts(server).received for server in range(3)] == [2, 1, 0]
        ((key, times),) = pool.counts().asked.items()
        assert (len(key), times) == (16, 3)


def test_a_wait_for_nothing_fails_with_the_counts(pool: FakePool) -> None:
    with pytest.raises(AssertionError, match="received=0"):
        pool.wait("received", at_least=1, timeout_s=0.05)


@pytest.mark.parametrize("end", ["TERM", "stdin"])
def test_the_process_ends(end: str) -> None:
    with FakePool() as pool:
        pid = pool.pid
        if end == "TERM":
            os.kill(pid, signal.SIGTERM)
            assert os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT) is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
