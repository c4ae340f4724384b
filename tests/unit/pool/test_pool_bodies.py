"""Bodies that no llama-server sends: each is told as a bad answer, and what gets through fits the tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer

from triplelake.codes import Code
from triplelake.pool.answers import (
    NotAnAnswer,
    read_metrics,
    read_model,
    read_prompt,
    read_props,
    read_refusal,
    read_slots,
    read_tokens,
)
from triplelake.pool.client import LlamaServer
from triplelake.pool.completions import LEAST_LOGPROB, read_completion
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.failures import ServerFailure
from triplelake.pool.sampler import Sample, look_at
from triplelake.tables.schemas import ATTEMPTS

COMPLETION = {"content": "[]", "model": "m", "tokens_evaluated": 5, "tokens_predicted": 2, "timings/cache_n": 4}
META = {"n_params": 7, "n_vocab": 9, "n_ctx_train": 9, "size": 1}
PROPS = {"total_slots": 4, "default_generation_settings": {"n_ctx": 64}, "model_alias": "m"}
DEEP = b"[" * 200_000
READERS: dict[str, Callable[[bytes], object]] = {
    "/completion": lambda raw: read_completion(raw, endpoint="http://a", latency_ms=1.0),
    "/props": read_props,
    "/v1/models": read_model,
    "/slots": read_slots,
    "/tokenize": read_tokens,
    "/apply-template": read_prompt,
}


@pytest.mark.parametrize(
    "change",
    [
        {"tokens_evaluated": 2**31},
        {"tokens_predicted": 10**400},
        {"tokens_predicted": -1},
        {"tokens_predicted": "2"},
        {"tokens_predicted": True},
        {"tokens_predicted": 2.5},
        {"tokens_predicted": float("nan")},
        {"tokens_predicted": float("inf")},
        {"tokens_predicted": None},
        {"timings/cache_n": 6},
        {"timings/cache_n": -1},
        {"content": "\ud83d"},
        {"content": 3},
        {"content": "x" * 1_000_001},
        {"model": "\udc00"},
        {"model": None},
        {"model": "m" * 1_001},
        {"truncated": "no"},
        {"stop_type": 7},
    ],
    ids=lambda change: str(change)[:40],
)
def test_a_completion_that_cannot_be_is_none(change: dict[str, Any]) -> None:
    with pytest.raises(NotAnAnswer):
        READERS["/completion"](json.dumps(COMPLETION | change).encode())


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/props", PROPS | {"total_slots": 10**9}),
        ("/props", PROPS | {"total_slots": 0}),
        ("/props", PROPS | {"default_generation_settings": {"n_ctx": -1}}),
        ("/props", PROPS | {"model_alias": None}),
        ("/props", PROPS | {"chat_template": "\ud800"}),
        ("/v1/models", {"data": [{"id": "m", "meta": META | {"n_params": 2**63}}]}),
        ("/v1/models", {"data": [{"id": "m", "meta": None}]}),
        ("/v1/models", {"data": []}),
        ("/slots", [{"id": 0, "n_ctx": 1, "is_processing": "yes"}]),
        ("/slots", {"id": 0}),
        ("/tokenize", {"tokens": [1, "2"]}),
        ("/tokenize", {"tokens": [float("inf")]}),
        ("/apply-template", {"prompt": None}),
    ],
)
def test_other_bodies_that_cannot_be_are_none(path: str, body: Any) -> None:
    with pytest.raises(NotAnAnswer):
        READERS[path](json.dumps(body).encode())


@pytest.mark.parametrize("path", READERS)
@pytest.mark.parametrize(
    "raw", [DEEP, b'{"content":' + DEEP, b"9" * 5_000, b"\xff\xfe", b"", b"NaN", b"null"], ids=range(7)
)
def test_no_body_breaks_a_reader(path: str, raw: bytes) -> None:
    with pytest.raises(NotAnAnswer):
        READERS[path](raw)


_ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**31, -1, 10**20]),
    st.floats(),
    st.text(st.sampled_from("a鲁\ud800\udc00\x00\U00020bb7"), max_size=4),
    st.lists(st.integers(), max_size=1),
)


@given(st.dictionaries(st.sampled_from([*COMPLETION, "timings", "truncated"]), _ODD, max_size=3))
def test_what_gets_through_fits_the_columns(change: dict[str, Any]) -> None:
    """Python's `json` writes surrogates, NaN and integers without end; a server may do the same."""
    raw = json.dumps(COMPLETION | change).encode()
    try:
        answer = read_completion(raw, endpoint="http://a", latency_ms=1.0)
    except NotAnAnswer:
        return
    assert 0 <= answer.cached_tokens <= answer.prompt_tokens
    row = {
        "completion": answer.text,
        "model": answer.model,
        "prompt_tokens": answer.prompt_tokens,
        "cached_tokens": answer.cached_tokens,
        "completion_tokens": answer.completion_tokens,
    }
    fields = [field for field in ATTEMPTS.arrow if field.name in row]
    assert pa.RecordBatch.from_pylist([row], schema=pa.schema(fields)).num_rows == 1


def test_whole_bodies_are_read_as_well_as_short_ones() -> None:
    whole = {name: value for name, value in COMPLETION.items() if "/" not in name}
    for body, cached in ((whole, 0), (whole | {"timings": {"cache_n": 3}}, 3), (COMPLETION, 4)):
        answer = read_completion(json.dumps(body).encode(), endpoint="http://a", latency_ms=1.0)
        assert answer.cached_tokens == cached


def entries(*tokens: tuple[bytes, float]) -> list[dict[str, Any]]:
    return [{"id": 1, "token": "", "bytes": list(raw), "logprob": value, "top_logprobs": []} for raw, value in tokens]


def probabilities(content: str, found: object) -> tuple[tuple[float, ...], tuple[int, ...]]:
    raw = json.dumps(COMPLETION | {"content": content, "completion_probabilities": found}).encode()
    answer = read_completion(raw, endpoint="http://a", latency_ms=1.0)
    assert answer.text == content
    return answer.token_logprobs, answer.token_chars


def test_probabilities_are_those_of_the_tokens_that_stand_in_the_answer() -> None:
    ended = entries((b'["', -0.5), ("晨雾".encode(), -1.236), (b'"]', 0.0), (b"", -2.0))
    assert probabilities('["晨雾"]', ended) == ((-0.5, -1.24, 0.0), (2, 2, 2))
    in_bytes = entries(("é".encode()[:1], -1.0), ("é".encode()[1:], -2.0))
    assert probabilities("é", in_bytes) == ((-1.0, -2.0), (1, 0))
    assert probabilities("ab", entries((b"a", -1.0), (b"b", -3.5e38)))[0] == (-1.0, LEAST_LOGPROB)
    # A limit cut a character: the server writes a mark for it, and tells no token.
    assert probabilities("ab\ufffd", entries((b"a", -1.0), (b"b", -2.0)))[0] == (-1.0, -2.0)


@pytest.mark.parametrize(
    "found",
    [
        None,
        "text",
        [{"logprob": "x"}],
        [{"logprob": -1.0, "bytes": [300]}],
        entries((b"x", -1.0), (b"y", -1.0)),
        entries((b"a", -1.0)),
        entries((b"a", 0.5), (b"b", -1.0)),
        entries((b"a", -1.0), (b"b", 0.0)),
    ],
)
def test_an_answer_is_kept_without_probabilities_that_cannot_be_believed(found: object) -> None:
    assert probabilities("ab", found) == ((), ())


def test_metrics_without_a_value_are_not_told() -> None:
    told = read_metrics(b"llamacpp:requests_processing 3\nllamacpp:a NaN\nllamacpp:b +Inf\nllamacpp:c 1e999\n")
    assert told == {"requests_processing": 3.0}
    for raw in (b"llamacpp:a x\n", b"llamacpp:a \xff\n"):
        with pytest.raises(NotAnAnswer):
            read_metrics(raw)


@pytest.mark.parametrize("value", ["NaN", "-1", "1e300", "+Inf"])
def test_a_gauge_that_cannot_be_counts_for_nothing(httpserver: HTTPServer, value: str) -> None:
    text = f"llamacpp:requests_processing {value}\nllamacpp:requests_deferred 0\n"
    httpserver.expect_request("/metrics").respond_with_data(text)
    assert look_at(Endpoint(httpserver.url_for("").rstrip("/"))) == Sample("untold")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'{"error": {"message": "why", "type": "x", "n_ctx": 5}}', "why"),
        (b'{"error": "plain"}', "plain"),
        (b'{"error": {"message": "\\ud800"}}', ""),
        (b'{"error": {"message": ["no", "text"]}}', ""),
        (b'{"error":' + DEEP, ""),
        (b"<html>", ""),
        (b"[]", ""),
    ],
    ids=range(7),
)
def test_a_refusal_is_read_whatever_it_holds(raw: bytes, message: str) -> None:
    assert read_refusal(raw).message == message


def test_sizes_of_an_overflow_are_numbers_or_nothing() -> None:
    error = {"type": "exceed_context_size_error", "n_prompt_tokens": "99", "n_ctx": 2**40}
    refusal = read_refusal(json.dumps({"error": error}).encode())
    assert (refusal.n_prompt_tokens, refusal.n_ctx) == (None, None)


@pytest.mark.parametrize("status", [200, 400, 500])
def test_every_failure_that_a_client_raises_can_be_written(httpserver: HTTPServer, status: int) -> None:
    body = b'{"error": {"message": "\\ud800", "type": "x"}, "content": "\\udfff", "model": null}'
    httpserver.expect_request("/completion").respond_with_data(body, status=status)
    with pytest.raises(ServerFailure) as caught:
        LlamaServer(Endpoint(httpserver.url_for("").rstrip("/")), 5).complete("x", grammar=None, max_tokens=1)
    caught.value.message.encode()
    assert caught.value.code == {200: Code.BAD_ANSWER, 400: Code.BAD_REQUEST, 500: Code.HTTP_500}[status]
