"""An answer that is read while it is decoded: its events, where it is left, and what is no such answer."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from triplelake.pool.client import LlamaServer
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.failures import ServerFailure
from triplelake.pool.protocol import Finished, Watch
from triplelake.types import Completion

LAST = {
    "content": "",
    "model": "atom@12ab",
    "truncated": False,
    "stop_type": "eos",
    "tokens_evaluated": 50,
    "tokens_predicted": 7,
    "timings/cache_n": 40,
}
"""The last event."""


@pytest.fixture
def client(httpserver: HTTPServer) -> LlamaServer:
    return LlamaServer(Endpoint(httpserver.url_for("").rstrip("/"), "secret"), timeout_s=5)


def events(*bodies: object, end: str = "\n\n") -> Response:
    text = "".join(f"data: {each if isinstance(each, str) else json.dumps(each)}\n\n" for each in bodies)
    return Response(text.removesuffix("\n\n") + end, content_type="text/event-stream")


def piece(content: str, predicted: int = 1, **more: object) -> dict[str, object]:
    return {"content": content, "tokens_evaluated": 50, "tokens_predicted": predicted, "stop": False} | more


def watch_for(text: str) -> Watch:
    return lambda said: Finished(said + "]", len(said)) if text in said else None


PROGRESS = piece("", 0, prompt_progress={"total": 50, "cache": 40, "processed": 10, "time_ms": 3})


def test_an_answer_that_is_watched_is_read_in_pieces(httpserver: HTTPServer, client: LlamaServer) -> None:
    pieces = [PROGRESS, piece("鲁", 1), piece("", 2), piece("迅", 3), LAST]
    httpserver.expect_request("/completion").respond_with_response(events(*pieces))
    seen: list[str] = []
    assert replace(client.complete("x", grammar=None, max_tokens=9, watch=seen.append), latency_ms=0) == Completion(
        "鲁迅", False, 50, 40, 7, 0, "atom@12ab", client.endpoint.url
    )
    assert seen == ["鲁", "鲁迅"]
    sent = httpserver.log[0][0].get_json()
    assert (sent["stream"], sent["return_progress"]) == (True, True)


def test_where_its_watch_says_so_the_server_is_left(httpserver: HTTPServer, client: LlamaServer) -> None:
    httpserver.expect_request("/completion").respond_with_response(
        events(PROGRESS, piece("[1", 1), piece(",1", 2), piece(",1", 3), LAST)
    )
    props = {"total_slots": 1, "default_generation_settings": {"n_ctx": 64}, "model_alias": "atom@12ab"}
    httpserver.expect_request("/props").respond_with_json(props)
    answer = client.complete("x", grammar=None, max_tokens=9, watch=watch_for("1,1"))
    assert replace(answer, latency_ms=0) == Completion(
        "[1,1]", False, 50, 40, 2, 0, "atom@12ab", client.endpoint.url, left=True
    )


def test_an_answer_that_was_left_is_not_lost_for_want_of_its_models_name(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    client = LlamaServer(Endpoint(httpserver.url_for("").rstrip("/")), timeout_s=5, clock=lambda: now)
    left = events(PROGRESS, piece("[1", 1), piece(",1", 2), LAST)
    whole = events(PROGRESS, piece("[1", 1), LAST)

    def ask(response: Response) -> str:
        httpserver.expect_oneshot_request("/completion").respond_with_response(response)
        return client.complete("x", grammar=None, max_tokens=9, watch=watch_for("1,1")).model

    with pytest.raises(ServerFailure, match="/props"):
        ask(left)
    assert ask(whole) == "atom@12ab"
    # A name of a moment ago is not asked for again; an older one serves where the server tells none.
    asked = [request.path for request, _ in httpserver.log].count("/props")
    assert ask(left) == "atom@12ab"
    assert [request.path for request, _ in httpserver.log].count("/props") == asked
    now = 60.0
    assert ask(left) == "atom@12ab"
    assert [request.path for request, _ in httpserver.log].count("/props") == asked + 1
    props = {"total_slots": 1, "default_generation_settings": {"n_ctx": 64}, "model_alias": "another"}
    httpserver.expect_request("/props").respond_with_json(props)
    assert ask(left) == "another"


def test_a_token_that_reaches_behind_what_is_kept(httpserver: HTTPServer, client: LlamaServer) -> None:
    def entry(text: str, logprob: float) -> dict[str, object]:
        return {"completion_probabilities": [{"logprob": logprob, "bytes": [*text.encode()]}]}

    tokens = [("[", -1.0), ("甲", -2.0), ("],[", -3.0), ("甲", -4.0)]
    httpserver.expect_request("/completion").respond_with_response(
        events(*(piece(text, number, **entry(text, logprob)) for number, (text, logprob) in enumerate(tokens, 1)))
    )
    props = {"total_slots": 1, "default_generation_settings": {"n_ctx": 64}, "model_alias": "m"}
    httpserver.expect_request("/props").respond_with_json(props)
    answer = client.complete(
        "x", grammar=None, max_tokens=9, watch=lambda said: Finished(said[:3] + "]", 3) if len(said) > 5 else None
    )
    assert (answer.text, answer.token_logprobs, answer.token_chars) == ("[甲]]", (-1.0, -2.0, -3.0), (1, 1, 1))


def test_something_between_that_sends_no_events(httpserver: HTTPServer, client: LlamaServer) -> None:
    httpserver.expect_request("/completion").respond_with_json(LAST | {"content": "鲁迅"})
    assert client.complete("x", grammar=None, max_tokens=1, watch=watch_for("鲁")).text == "鲁迅"


def test_odd_events_are_read(httpserver: HTTPServer, client: LlamaServer) -> None:
    body = b": ping\r\ndata:\n\ndata:" + json.dumps(piece("\u9c81"), ensure_ascii=False).encode() + b"\r\n\r\nid: 5\n"
    body += b"data: " + json.dumps(LAST).encode()
    httpserver.expect_request("/completion").respond_with_response(Response(body, content_type="Text/Event-Stream"))
    assert client.complete("x", grammar=None, max_tokens=1, watch=watch_for("b")).text == "\u9c81"


def test_something_between_that_calls_events_something_else(httpserver: HTTPServer, client: LlamaServer) -> None:
    response = events(PROGRESS, piece("\u9c81", 1), LAST)
    response.content_type = "application/octet-stream"
    httpserver.expect_request("/completion").respond_with_response(response)
    assert client.complete("x", grammar=None, max_tokens=1, watch=watch_for("b")).text == "\u9c81"


@pytest.mark.parametrize(
    ("response", "code", "words"),
    [
        (events(piece("a")), "bad_answer", "ends before its last event"),
        (events(piece("a"), "[}"), "bad_answer", "not an answer"),
        (events(piece("a"), {"content": 5}), "bad_answer", "content"),
        (events(piece("a"), LAST | {"tokens_evaluated": 1}), "bad_answer", "in the cache"),
        (events(piece("a"), {"error": {"message": "out of memory", "code": 500}}), "http_500", "out of memory"),
        (events(piece("a"), end='\n\nerror: {"message":"gone"}\n\n'), "http_500", "gone"),
        (events(piece("a") | {"tokens_predicted": -1}), "bad_answer", "tokens_predicted"),
        (
            events({"error": {"message": "too long", "type": "exceed_context_size_error", "n_ctx": 64}}),
            "context_overflow",
            "too long",
        ),
        (Response('{"error":{"message":"Loading model"}}', status=503), "loading", "Loading"),
    ],
)
def test_a_stream_that_is_no_answer(
    httpserver: HTTPServer, client: LlamaServer, response: Response, code: str, words: str
) -> None:
    httpserver.expect_request("/completion").respond_with_response(response)
    with pytest.raises(ServerFailure, match=words) as caught:
        client.complete("x", grammar=None, max_tokens=1, watch=watch_for("b"))
    assert (caught.value.code, caught.value.endpoint) == (code, client.endpoint.url)
