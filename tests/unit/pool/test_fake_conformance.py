"""The fake server and the real one are asked the same and must be alike: else tests with the fake show nothing."""

from __future__ import annotations

import http.client
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

# Test modules have unique names instead of packages, so what they share is found by its folder.
sys.path.insert(0, str(Path(__file__).parents[2]))

from fake.gguf_file import write_lora
from fake.pool import FakePool
from fake.random_model import write_random_model

from triplelake.config import EmbeddedSettings
from triplelake.engine.asking.open_pool import server_template
from triplelake.engine.asking.second_look import spelled
from triplelake.pool.answers import read_metrics
from triplelake.pool.client import LlamaServer
from triplelake.pool.completions import COMPLETION_FIELDS
from triplelake.pool.embedded import EmbeddedServer
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.failures import ServerFailure
from triplelake.pool.gguf import model_file
from triplelake.pool.gguf_header import read_header
from triplelake.pool.survey import survey
from triplelake.prompt.grammar import literal_grammar
from triplelake.prompt.profile import MARKER, ModelProfile
from triplelake.prompt.template import HISTORY, KWARGS, read_template
from triplelake.triples.repeats import Repeats
from triplelake.types import GrammarEngine

SLOTS = 2
N_CTX = 4096
DEADLINE_S = 120.0
LONG = 'root ::= "x"{500,1000}'
"""A grammar whose answers end at the limit only."""

ROUND = 'root ::= "[[\\"甲\\",\\"写\\",\\"乙\\"]" ",[\\"丙\\",\\"写\\",\\"丁\\"]"{100,200} "]"'
"""A grammar whose answers go round in circles."""

KEYLESS = {"error": {"message": "Invalid API Key", "type": "authentication_error", "code": 401}}
METRICS = {
    "prompt_tokens_total",
    "prompt_tokens_cached_total",
    "prompt_seconds_total",
    "tokens_predicted_total",
    "tokens_predicted_seconds_total",
    "n_decode_total",
    "n_tokens_max",
    "prompt_tokens_seconds",
    "predicted_tokens_seconds",
    "requests_processing",
    "requests_deferred",
    "n_busy_slots_per_decode",
}


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def error(self) -> dict[str, Any]:
        assert self.json.keys() == {"error"}
        error: dict[str, Any] = self.json["error"]
        assert error["code"] == self.status
        return error


@dataclass(frozen=True)
class Asked:
    """A server to compare."""

    endpoint: Endpoint

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.endpoint.url)
        assert parts.hostname and parts.port
        return parts.hostname, parts.port

    @property
    def client(self) -> LlamaServer:
        return LlamaServer(self.endpoint, DEADLINE_S)

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self.address, timeout=DEADLINE_S)

    def ask(self, method: str, path: str, body: object = None, *, key: str | None = "its own") -> Reply:
        """One request on a connection of its own; a `str` is sent as it is."""
        line = self.connect()
        data = body if isinstance(body, str) or body is None else json.dumps(body)
        line.request(method, path, data.encode() if data is not None else None, self.headers(key))
        reply = _read(line)
        line.close()
        return reply

    def headers(self, key: str | None = "its own") -> dict[str, str]:
        known = {"Content-Type": "application/json"}
        key = self.endpoint.api_key if key == "its own" else key
        return known if key is None else {**known, "Authorization": f"Bearer {key}"}

    def complete(self, prompt: object, **options: Any) -> Reply:
        """Greedily, with the fields that the client asks for."""
        greedy = {"samplers": ["top_k"], "top_k": 1, "stream": False, "n_predict": 3}
        return self.ask(
            "POST", "/completion", greedy | {"response_fields": COMPLETION_FIELDS, "prompt": prompt} | options
        )


def _read(line: http.client.HTTPConnection) -> Reply:
    response = line.getresponse()
    text = response.read().decode()
    return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, text)


@pytest.fixture(scope="module")
def fake() -> Iterator[Endpoint]:
    # Slow enough to be seen at work.
    with FakePool(slots=SLOTS, n_ctx=N_CTX, api_key="the fake's", latency_s=None, decode_tokens_s=40) as pool:
        yield pool.endpoints[0]


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.model)])
def server(request: pytest.FixtureRequest) -> Asked:
    return Asked(request.getfixturevalue("fake" if request.param == "fake" else "llama_server"))


@pytest.fixture(scope="module")
def random_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """The real server with a random model, which reads four thousand tokens in a moment."""
    model = write_random_model(tmp_path_factory.mktemp("random") / "random.gguf", ["甲写了x"], with_bytes=True)
    with EmbeddedServer(EmbeddedSettings(model=model, slots=SLOTS, threads=1)) as server:
        yield server.endpoint


@pytest.mark.parametrize("path", ["/health", "/v1/health"])
def test_health_needs_no_key(server: Asked, path: str) -> None:
    reply = server.ask("GET", path, key=None)
    assert (reply.status, reply.json) == (200, {"status": "ok"})
    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    assert reply.headers["keep-alive"] == "timeout=5, max=100"


@pytest.mark.parametrize("key", [None, "wrong"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/models"),
        ("GET", "/v1/models"),
        ("GET", "/props"),
        ("GET", "/slots"),
        ("GET", "/metrics"),
        ("GET", "/lora-adapters"),
        ("GET", "/nothing"),
        ("POST", "/completion"),
        ("POST", "/tokenize"),
        ("POST", "/apply-template"),
    ],
)
def test_all_else_needs_the_key(server: Asked, method: str, path: str, key: str | None) -> None:
    reply = server.ask(method, path, {} if method == "POST" else None, key=key)
    assert (reply.status, reply.json) == (401, KEYLESS)
    assert reply.headers["connection"] == "close"


def test_the_key_may_come_in_its_own_header(server: Asked) -> None:
    line = server.connect()
    line.request("GET", "/slots", headers={"X-Api-Key": server.endpoint.api_key or ""})
    assert _read(line).status == 200
    line.close()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nothing"),
        ("GET", "/"),
        ("GET", "/completion"),
        ("GET", "/tokenize"),
        ("POST", "/health"),
        ("POST", "/slots"),
        ("POST", "/metrics"),
        ("DELETE", "/completion"),
    ],
)
def test_what_is_not_there(server: Asked, method: str, path: str) -> None:
    reply = server.ask(method, path, {} if method == "POST" else None)
    assert reply.status == 404
    assert (reply.error["message"], reply.error["type"]) == ("File Not Found", "not_found_error")


def test_a_server_without_adapters_tells_of_none(server: Asked) -> None:
    reply = server.ask("GET", "/lora-adapters")
    assert (reply.status, reply.json) == (200, [])


@pytest.mark.model
def test_an_adapter_is_told_alike(tmp_path: Path) -> None:
    model = model_file(None)
    name = "blk.0.attn_q.weight"
    inner, outer = read_header(model).tensors[name]
    lora = write_lora(tmp_path / "own.gguf", {name: (inner, outer)}, "gemma3")
    with (
        FakePool(loras=((str(lora), 1.0),)) as pool,
        EmbeddedServer(EmbeddedSettings(lora=lora, slots=1, context_per_slot=512)) as real,
    ):
        fake, told = (Asked(each).ask("GET", "/lora-adapters") for each in (pool.endpoints[0], real.endpoint))
    assert fake.status == told.status == 200
    assert fake.json == told.json == [{"id": 0, "path": str(lora), "scale": 1.0, "task_name": "", "prompt_prefix": ""}]


def test_properties_cannot_be_set(server: Asked) -> None:
    reply = server.ask("POST", "/props", {})
    assert (reply.status, reply.error["type"]) == (501, "not_supported_error")


def test_properties(server: Asked) -> None:
    body = server.ask("GET", "/props").json
    assert (body["total_slots"], body["default_generation_settings"]["n_ctx"]) == (SLOTS, N_CTX)
    for name in ("model_alias", "model_path", "chat_template", "bos_token", "eos_token", "build_info", "model_ftype"):
        assert isinstance(body[name], str)
        assert body[name]
    assert body["chat_template"].startswith("{%- for message in messages -%}")  # ChatML, for want of one in the GGUF


def test_the_model(server: Asked) -> None:
    body = server.ask("GET", "/v1/models").json
    assert server.ask("GET", "/models").json.keys() == body.keys() == {"models", "object", "data"}
    (model,) = body["data"]
    assert model["id"] == server.ask("GET", "/props").json["model_alias"]
    types = {name: type(value) for name, value in model["meta"].items()}
    numbers = ("vocab_type", "n_vocab", "n_ctx", "n_ctx_train", "n_embd", "n_params", "size")
    assert types == {**dict.fromkeys(numbers, int), "ftype": str}
    assert model["meta"]["n_ctx"] == N_CTX


def test_tokens_special_or_not(server: Asked) -> None:
    def tokens(**body: Any) -> list[int]:
        found: list[int] = server.ask("POST", "/tokenize", body).json["tokens"]
        assert all(type(token) is int for token in found)
        return found

    (bos,) = tokens(content="<bos>", parse_special=True)
    plain = tokens(content="<bos>", parse_special=False)
    assert len(plain) > 1
    assert bos not in plain
    assert tokens(content="<bos>") == [bos]  # read as special where nothing is said
    assert tokens(content="甲", add_special=True) == [bos, *tokens(content="甲")]
    assert tokens(content="") == []
    assert tokens() == []
    mixed = tokens(content=["甲", 5, "乙"])
    assert mixed == [*tokens(content="甲"), 5, *tokens(content="乙")]


@pytest.mark.parametrize("path", ["/completion", "/tokenize", "/apply-template"])
@pytest.mark.parametrize("body", ["{nope", ""])
def test_a_body_that_is_no_json(server: Asked, path: str, body: str) -> None:
    reply = server.ask("POST", path, body)
    assert reply.status == 400
    assert reply.error["type"] == "invalid_request_error"
    assert "parse error" in reply.error["message"]


@pytest.mark.parametrize("body", [{"content": 5}])
def test_a_content_that_is_no_text(server: Asked, body: object) -> None:
    reply = server.ask("POST", "/tokenize", body)
    assert (reply.status, reply.error["type"]) == (400, "invalid_request_error")


def test_the_template(server: Asked) -> None:
    def prompt(*messages: dict[str, str]) -> str:
        said: str = server.ask("POST", "/apply-template", {"messages": messages}).json["prompt"]
        return said

    system, user = {"role": "system", "content": "S"}, {"role": "user", "content": "U"}
    assert prompt(system, user) == (
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n"
    )
    begun = prompt(user, {"role": "assistant", "content": "A"})
    assert begun == "<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\nA"
    turn = "<|im_end|>\n<|im_start|>assistant\n"
    history = server.client.apply_template(HISTORY, KWARGS)
    assert history.count(turn) == 2 and history.endswith(turn)
    rendered = server.client.apply_template([{"role": "user", "content": MARKER}], KWARGS)
    assert read_template(rendered, history) == ("<|im_start|>user\n", turn)
    turns = server_template(server.client, ModelProfile("chat", "server", examples="turns")).turns
    assert turns is not None and turns.prefix("S", [("U", "A")]) + "V" + turns.asked == prompt(
        system, user, {"role": "assistant", "content": "A"}, {"role": "user", "content": "V"}
    )
    for body in ({}, {"messages": [{"role": "user"}]}):
        assert server.ask("POST", "/apply-template", body).error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "prompt",
    [None, 5, {}, [], [True], ["a", 1.5], [["a"]], [["a"], ["b"]], [-1]],
    ids=lambda prompt: json.dumps(prompt),
)
def test_a_prompt_that_is_none(server: Asked, prompt: object) -> None:
    reply = server.complete(prompt)
    assert (reply.status, reply.error["type"]) == (400, "invalid_request_error")
    assert reply.headers["connection"] == "close"


def test_no_prompt_and_a_limit_that_is_no_number(server: Asked) -> None:
    assert "key 'prompt' not found" in server.ask("POST", "/completion", {}).error["message"]
    assert server.ask("POST", "/completion", []).status == 400
    assert server.complete("a", n_predict="x").error["message"].startswith("Field 'n_predict'")


def test_the_fields_asked_for(server: Asked) -> None:
    body = server.complete("甲").json
    assert list(body) == list(COMPLETION_FIELDS)
    types = {name: type(value) for name, value in body.items()}
    assert types == {
        "content": str,
        "model": str,
        "truncated": bool,
        "stop_type": str,
        "tokens_evaluated": int,
        "tokens_predicted": int,
        "timings/cache_n": int,
    }
    assert body["model"] == server.ask("GET", "/props").json["model_alias"]
    assert server.complete("甲", response_fields=["content", "nothing", "timings/none"]).json.keys() == {"content"}


@pytest.mark.parametrize("fields", [[], "content"], ids=["empty", "no list"])
def test_all_fields(server: Asked, fields: object) -> None:
    body = server.complete("甲", response_fields=fields).json
    assert body.keys() >= {
        *("index", "content", "tokens", "id_slot", "stop", "model", "tokens_predicted", "tokens_evaluated"),
        *("generation_settings", "prompt", "has_new_line", "truncated", "stop_type", "stopping_word"),
        *("tokens_cached", "timings"),
    }
    assert body["timings"]["cache_n"] + body["timings"]["prompt_n"] == body["tokens_evaluated"]
    assert body["generation_settings"]["n_predict"] == 3


def test_a_prompt_of_text_ids_or_both(server: Asked) -> None:
    def size(prompt: object) -> int:
        reply = server.complete(prompt)
        assert reply.status == 200, reply.text
        return int(reply.json["tokens_evaluated"])

    text = len(server.client.tokenize("甲乙丙"))
    ids = server.client.tokenize("甲乙丙")
    assert size("甲乙丙") == text + 1  # BOS
    assert size("") == 1
    assert size(ids) == text
    assert size(["", *ids]) == text + 1
    assert size(["甲乙丙", *ids, "甲乙丙"]) == 3 * text + 1
    assert size(["甲乙丙"]) == text + 1
    assert [each["tokens_evaluated"] for each in server.complete(["甲", "甲乙丙"]).json][1] == text + 1


def test_a_grammar_a_stop_and_the_limit(server: Asked) -> None:
    def end(**options: Any) -> tuple[str, str, bool]:
        body = server.complete("甲写了", n_predict=options.pop("n_predict", 20), **options).json
        assert body["tokens_predicted"] >= 1
        return body["content"], body["stop_type"], body["truncated"]

    assert end(grammar='root ::= "甲乙丙"') == ("甲乙丙", "eos", False)
    assert end(grammar='%llguidance {}\nstart: "甲乙丙"\n') == ("甲乙丙", "eos", False)
    assert end(grammar='root ::= "甲乙丙"', stop=["丙"]) == ("甲乙", "word", False)
    assert end(grammar=LONG, n_predict=2)[1:] == ("limit", False)
    assert server.complete("甲", n_predict=0).json["tokens_predicted"] == 1
    assert server.complete("甲", n_predict=5, grammar=LONG).json["tokens_predicted"] == 5
    stopped = server.complete("甲", n_predict=9, grammar='root ::= "甲乙丙"', stop=["丙"], response_fields=[]).json
    assert stopped["stopping_word"] == "丙"


def test_no_grammar_goes_to_the_limit(server: Asked) -> None:
    body = server.complete("The capital of France is", n_predict=7).json
    assert (body["stop_type"], body["truncated"], body["tokens_predicted"]) == ("limit", False, 7)


@pytest.mark.parametrize("grammar", ['root ::= "abc', "root ::= nope", "nonsense"])
def test_a_bad_gbnf_is_refused(server: Asked, grammar: str) -> None:
    reply = server.complete("甲", grammar=grammar)
    assert (reply.status, reply.error["type"]) == (400, "invalid_request_error")
    assert "grammar" in reply.error["message"]


def test_a_bad_llguidance_grammar_constrains_nothing(server: Asked) -> None:
    reply = server.complete("甲", grammar="%llguidance {}\nstart: nope\n")
    assert (reply.status, reply.json["stop_type"]) == (200, "limit")


def test_a_prompt_too_long(server: Asked) -> None:
    reply = server.complete("甲 " * N_CTX)
    error = reply.error
    assert (reply.status, error["type"], error["n_ctx"]) == (400, "exceed_context_size_error", N_CTX)
    assert error["n_prompt_tokens"] > N_CTX
    assert str(error["n_prompt_tokens"]) in error["message"]


@pytest.mark.parametrize("which", ["fake", pytest.param("random_server", marks=pytest.mark.model)])
def test_a_context_that_fills_up(request: pytest.FixtureRequest, which: str) -> None:
    server = Asked(request.getfixturevalue(which))
    ids = server.client.tokenize("甲")[:1] * (N_CTX - 2)
    body = server.complete(ids, n_predict=9, grammar=LONG).json
    assert (body["truncated"], body["stop_type"], body["tokens_predicted"]) == (True, "limit", 2)
    assert server.complete(ids + ids[:2]).error["type"] == "exceed_context_size_error"


def test_a_prefix_is_reused(server: Asked) -> None:
    head = "一二三四五六七八九十" * 20 + "\n"
    ones = [server.complete(head + tail).json for tail in ("甲乙", "丙丁")]
    size = len(server.client.tokenize(head))
    assert ones[0]["tokens_evaluated"] > size
    assert size - 2 <= ones[1]["timings/cache_n"] < ones[1]["tokens_evaluated"]
    assert server.complete(head + "丙丁", cache_prompt=False).json["timings/cache_n"] == 0


@pytest.mark.parametrize("n_probs", [0, 1])
def test_an_answer_in_pieces(server: Asked, n_probs: int) -> None:
    whole = server.complete("甲写了", n_predict=9, grammar=LONG).json
    options = {"stream": True, "return_progress": True, "n_probs": n_probs}
    reply = server.complete("甲写了", n_predict=9, grammar=LONG, **options)
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/event-stream"
    assert reply.headers["transfer-encoding"] == "chunked"
    assert reply.headers["keep-alive"] == "timeout=5, max=100"
    *lines, end = reply.text.split("\n\n")
    assert end == ""
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    *tokens, last = [event for event in events if "prompt_progress" not in event]
    assert len(events) > len(tokens) + 1
    assert events[0]["prompt_progress"].keys() == {"total", "cache", "processed", "time_ms"}
    assert events[0]["prompt_progress"]["total"] == whole["tokens_evaluated"]
    assert "".join(event["content"] for event in tokens) == whole["content"]
    assert [event["tokens_predicted"] for event in tokens] == [*range(1, 10)]
    assert {event["tokens_evaluated"] for event in tokens} == {whole["tokens_evaluated"]}
    assert all(("completion_probabilities" in event) == bool(n_probs) for event in tokens)
    assert list(last) == list(COMPLETION_FIELDS)
    assert (last["content"], last["stop_type"], last["tokens_predicted"]) == ("", "limit", 9)


def test_a_stream_that_is_refused(server: Asked) -> None:
    assert server.complete("甲", stream=True, grammar="root ::= nope").error["type"] == "invalid_request_error"
    assert server.complete("甲 " * N_CTX, stream=True).error["type"] == "exceed_context_size_error"


def test_an_answer_that_is_watched_is_the_same(server: Asked) -> None:
    client = server.client
    grammar = 'root ::= "[[\\"甲\\",\\"写\\",\\"乙𠮷\\"],[\\"甲\\",\\"写\\",\\"乙\\"]]"'
    whole, watched = (
        client.complete("甲", grammar=grammar, max_tokens=99, probabilities=True, watch=watch)
        for watch in (None, Repeats())
    )
    assert watched.text == whole.text
    assert (watched.completion_tokens, watched.model) == (whole.completion_tokens, whole.model)
    assert (watched.token_logprobs, watched.token_chars) == (whole.token_logprobs, whole.token_chars)


@pytest.mark.parametrize("engine", ["gbnf", "llguidance"])
def test_a_forced_word_tells_how_probable_it_was(server: Asked, engine: GrammarEngine) -> None:
    prompt, grammar = "天是蓝的吗？只回答“是”或“否”：", literal_grammar(engine, "是。")
    answer = server.client.complete(prompt, grammar=grammar, max_tokens=2, probabilities=True)
    assert (answer.text, answer.completion_tokens) == ("是。", 2)
    look = spelled(answer, "是")
    assert look is not None and -100 < look < 0


def test_behind_a_stream_the_connection_is_closed_at_once(server: Asked) -> None:
    """Whatever the header says; a client that used it again would lose a request one time in some."""
    body = json.dumps({"prompt": "甲", "n_predict": 2, "stream": True}).encode()
    head = f"POST /completion HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in server.headers().items())
    with socket.create_connection(server.address, timeout=DEADLINE_S) as line:
        line.sendall(head.encode() + b"\r\n" + body)
        received = b""
        while not received.endswith(b"\r\n0\r\n\r\n"):
            received += (more := line.recv(65536))
            assert more, received
        started = time.monotonic()
        assert line.recv(1) == b""
        assert time.monotonic() - started < 2  # and not after the five seconds that are announced
    assert b"Keep-Alive: timeout=5, max=100" in received


def test_streams_and_other_questions_on_the_same_client(server: Asked) -> None:
    client = server.client
    for _ in range(8):
        assert client.tokenize("甲")
        assert client.complete("甲", grammar=LONG, max_tokens=2, watch=Repeats()).truncated


@pytest.mark.slow
def test_a_server_is_left_where_its_answer_repeats_itself(server: Asked) -> None:
    answer = server.client.complete("甲", grammar=ROUND, max_tokens=2_000, probabilities=True, watch=Repeats())
    assert answer.text == '[["甲","写","乙"],["丙","写","丁"]]'
    assert not answer.truncated
    assert answer.model == server.client.props().alias
    assert sum(answer.token_chars) == len(answer.text) - 1
    assert len(answer.token_logprobs) == len(answer.token_chars) > 5
    assert 0 < answer.completion_tokens < 100
    assert answer.prompt_tokens > answer.cached_tokens >= 0
    give_up = time.monotonic() + DEADLINE_S
    while any(slot.busy for slot in server.client.slots()):
        assert time.monotonic() < give_up
    assert set(server.client.complete("甲", grammar=LONG, max_tokens=4, watch=Repeats()).text) == {"x"}


def test_metrics(server: Asked) -> None:
    reply = server.ask("GET", "/metrics")
    assert reply.headers["content-type"] == "text/plain; version=0.0.4"
    names = [line.split()[0] for line in reply.text.splitlines() if not line.startswith("#")]
    assert {name.removeprefix("llamacpp:") for name in names} >= METRICS
    assert all(name.startswith("llamacpp:") for name in names)
    before = read_metrics(reply.text.encode())
    answer = server.complete("甲写了", n_predict=4, grammar=LONG).json
    after = server.client.metrics()
    predicted = answer["tokens_predicted"]
    assert after["tokens_predicted_total"] - before["tokens_predicted_total"] == predicted
    fresh = answer["tokens_evaluated"] - answer["timings/cache_n"]
    assert after["prompt_tokens_total"] - before["prompt_tokens_total"] == fresh
    assert after["prompt_tokens_cached_total"] - before["prompt_tokens_cached_total"] == answer["timings/cache_n"]
    assert predicted - 1 <= after["n_decode_total"] - before["n_decode_total"] <= predicted + 1
    assert after["requests_processing"] == after["requests_deferred"] == 0


def test_slots(server: Asked) -> None:
    server.complete("甲写了", n_predict=4, grammar=LONG)
    body = server.ask("GET", "/slots").json
    assert [(slot["id"], slot["n_ctx"], slot["is_processing"]) for slot in body] == [
        (0, N_CTX, False),
        (1, N_CTX, False),
    ]
    used = max(body, key=len)
    assert used.keys() == {
        *("id", "n_ctx", "speculative", "is_processing", "id_task", "n_prompt_tokens"),
        *("n_prompt_tokens_processed", "n_prompt_tokens_cache", "params", "next_token"),
    }
    assert used["next_token"][0].keys() == {"has_next_token", "has_new_line", "n_remain", "n_decoded"}


@pytest.mark.slow
def test_more_requests_than_slots_are_deferred(server: Asked) -> None:
    before = server.client.metrics()
    with ThreadPoolExecutor(5) as executor:
        answers = [executor.submit(server.complete, f"{n}", n_predict=40, grammar=LONG) for n in range(5)]
        seen = _until(server, lambda now: now["requests_deferred"] == 3)
        assert seen["requests_processing"] == SLOTS
        assert [slot.busy for slot in server.client.slots()] == [True, True]
        full = server.ask("GET", "/slots?fail_on_no_slot=1")
        assert (full.status, full.error["type"]) == (503, "unavailable_error")
        # Tokens are counted when a request ends, steps as they are done.
        later = _until(server, lambda now: now["n_decode_total"] > seen["n_decode_total"])
        assert later["tokens_predicted_total"] in (
            before["tokens_predicted_total"],
            before["tokens_predicted_total"] + 80,
        )
        assert {answer.result().json["tokens_predicted"] for answer in answers} == {40}
    after = server.client.metrics()
    assert after["tokens_predicted_total"] - before["tokens_predicted_total"] == 200
    assert after["requests_processing"] == after["requests_deferred"] == 0
    assert 1 < after["n_busy_slots_per_decode"] <= SLOTS
    assert server.ask("GET", "/slots?fail_on_no_slot=1").status == 200


def test_it_works_on_after_the_client_left(server: Asked) -> None:
    before = server.client.metrics()
    line = server.connect()
    body = {"prompt": "甲", "n_predict": 30, "grammar": LONG, "samplers": ["top_k"], "top_k": 1}
    line.request("POST", "/completion", json.dumps(body), server.headers())
    _until(server, lambda now: now["requests_processing"] == 1)
    line.close()
    _until(server, lambda now: now["requests_processing"] == 0)
    assert server.client.metrics()["tokens_predicted_total"] - before["tokens_predicted_total"] == 30


def _until(server: Asked, holds: Any) -> dict[str, float]:
    """The first sample of the metrics for which something holds."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        now = server.client.metrics()
        if holds(now):
            return now
        assert time.monotonic() < deadline, now
        threading.Event().wait(0.02)


def test_a_connection_ends_with_its_hundredth_request(server: Asked) -> None:
    line = server.connect()
    line.connect()
    first = line.sock
    for number in range(1, 101):
        line.request("GET", "/health")
        reply = _read(line)
        assert reply.status == 200
        assert ("connection" in reply.headers) == (number == 100)
        assert (line.sock is first) == (number < 100)  # the client has closed it, as it was told
    assert reply.headers["connection"] == "close"


def test_the_server_closes_too(server: Asked) -> None:
    """After the hundredth request, an error, and when asked to."""
    for requests in ("GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 100, "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"):
        with socket.create_connection(server.address, timeout=DEADLINE_S) as line:
            for request in requests.split("\r\n\r\n")[:-1]:
                line.sendall(f"{request}\r\n\r\n".encode())
                assert line.recv(4096)
            assert line.recv(4096) == b""
    with socket.create_connection(server.address, timeout=DEADLINE_S) as line:
        line.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = b"".join(iter(lambda: line.recv(4096), b""))
        assert b"Connection: close" in received


@pytest.mark.slow
def test_idle_connections_end_after_five_seconds(server: Asked) -> None:
    with (
        socket.create_connection(server.address, timeout=DEADLINE_S) as used,
        socket.create_connection(server.address, timeout=DEADLINE_S) as new,
    ):
        used.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert used.recv(4096)
        started = time.monotonic()
        for line in (used, new):
            assert line.recv(1) == b""
            assert 4.5 < time.monotonic() - started < 7


def test_the_client_reads_it(server: Asked) -> None:
    found = survey([server.endpoint], wanted_grammar="auto", timeout_s=DEADLINE_S)
    assert (found.engine, found.endpoints[0].slots, found.n_ctx) == ("llguidance", SLOTS, N_CTX)
    assert survey([server.endpoint], wanted_grammar="gbnf", timeout_s=DEADLINE_S).engine == "gbnf"
    answer = server.client.complete("甲", grammar=LONG, max_tokens=4)
    assert (answer.truncated, answer.completion_tokens, answer.endpoint) == (True, 4, server.endpoint.url)
    with pytest.raises(ServerFailure) as caught:
        server.client.complete("甲 " * N_CTX, grammar=None, max_tokens=1)
    assert (caught.value.code, caught.value.n_ctx) == ("context_overflow", N_CTX)
