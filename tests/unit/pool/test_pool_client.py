"""One client against scripted servers: every way an answer can go wrong has its code."""

from __future__ import annotations

import json
import pickle
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import requests
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from triplelake.codes import Code
from triplelake.pool.client import LlamaServer
from triplelake.pool.connections import Connections
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.failures import ServerFailure
from triplelake.types import FailedTry

COMPLETION = {
    "content": "鲁迅",
    "model": "atom@12ab",
    "truncated": False,
    "stop_type": "eos",
    "tokens_evaluated": 50,
    "tokens_predicted": 7,
    "timings/cache_n": 40,
}


@pytest.fixture
def client(httpserver: HTTPServer) -> LlamaServer:
    return LlamaServer(Endpoint(httpserver.url_for("").rstrip("/"), "secret"), timeout_s=5)


def ask(client: LlamaServer, timeout_s: float | None = None) -> ServerFailure:
    with pytest.raises(ServerFailure) as caught:
        client.complete("1", grammar=None, max_tokens=1, timeout_s=timeout_s)
    return caught.value


def test_completion_is_greedy_small_and_typed(httpserver: HTTPServer, client: LlamaServer) -> None:
    httpserver.expect_request("/completion", method="POST").respond_with_json(COMPLETION)
    answer = client.complete(["文本：", 12, "。"], grammar="root ::= x", max_tokens=9, stop=['"]]'])
    assert (answer.text, answer.truncated, answer.model) == ("鲁迅", False, "atom@12ab")
    assert (answer.prompt_tokens, answer.cached_tokens, answer.completion_tokens) == (50, 40, 7)
    assert answer.endpoint == client.endpoint.url
    assert answer.latency_ms > 0
    request, _ = httpserver.log[0]
    sent = request.get_json()
    assert request.headers["Authorization"] == "Bearer secret"
    assert sent["prompt"] == ["文本：", 12, "。"]
    assert (sent["samplers"], sent["top_k"], sent["cache_prompt"], sent["stream"]) == (["top_k"], 1, True, False)
    assert (sent["grammar"], sent["n_predict"], sent["stop"]) == ("root ::= x", 9, ['"]]'])
    assert set(sent["response_fields"]) == set(COMPLETION)


def test_no_grammar_is_not_sent_and_whole_bodies_are_read(httpserver: HTTPServer, client: LlamaServer) -> None:
    whole = {key: value for key, value in COMPLETION.items() if "/" not in key} | {"timings": {"cache_n": 3}}
    httpserver.expect_request("/completion").respond_with_json(whole)
    assert client.complete("x", grammar=None, max_tokens=1).cached_tokens == 3
    assert "grammar" not in httpserver.log[0][0].get_json()


@pytest.mark.parametrize("change", [{"truncated": True}, {"stop_type": "limit"}])
def test_truncated_by_context_or_by_limit(
    httpserver: HTTPServer, client: LlamaServer, change: dict[str, object]
) -> None:
    httpserver.expect_request("/completion").respond_with_json(COMPLETION | change)
    assert client.complete("x", grammar=None, max_tokens=1).truncated


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [
        (400, "bad_request", False),
        (401, "unauthorized", False),
        (403, "unauthorized", False),
        (404, "bad_request", False),
        (429, "http_429", True),
        (500, "http_500", True),
        (501, "bad_request", False),
        (502, "http_500", True),
        (503, "http_503", True),
    ],
)
def test_status_becomes_code(
    httpserver: HTTPServer, client: LlamaServer, status: int, code: str, retryable: bool
) -> None:
    httpserver.expect_request("/completion").respond_with_json({"error": {"message": "why"}}, status=status)
    failure = ask(client)
    assert (failure.code, failure.retryable, failure.endpoint) == (code, retryable, client.endpoint.url)
    assert "why" in str(failure)
    assert "secret" not in str(failure)


def test_loading_is_told_from_other_503(httpserver: HTTPServer, client: LlamaServer) -> None:
    body = {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}
    httpserver.expect_request("/completion").respond_with_json(body, status=503)
    assert ask(client).code == "loading"


def test_context_overflow_tells_both_sizes(httpserver: HTTPServer, client: LlamaServer) -> None:
    error = {
        "code": 400,
        "message": "too long",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": 99,
        "n_ctx": 64,
    }
    httpserver.expect_request("/completion").respond_with_json({"error": error}, status=400)
    failure = ask(client)
    assert (failure.code, failure.n_prompt_tokens, failure.n_ctx) == ("context_overflow", 99, 64)


def test_retry_after_in_seconds_and_as_a_date(httpserver: HTTPServer, client: LlamaServer) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    for value in ("2.5", later, "soon"):
        httpserver.expect_ordered_request("/completion").respond_with_data(
            "busy", status=429, headers={"Retry-After": value}
        )
    assert ask(client).retry_after_s == 2.5
    dated = ask(client).retry_after_s
    assert dated is not None
    assert 60 < dated <= 90
    assert ask(client).retry_after_s is None


@pytest.mark.parametrize("body", ["<html>hello</html>", "[]", "{}", json.dumps(COMPLETION | {"content": None})])
def test_what_is_no_answer_is_a_bad_answer(httpserver: HTTPServer, client: LlamaServer, body: str) -> None:
    httpserver.expect_request("/completion").respond_with_data(body)
    assert ask(client).code == "bad_answer"


@pytest.mark.parametrize("body", ["[]", '{"error": "plain"}', "<html>"])
def test_refusals_of_gateways_are_read_too(httpserver: HTTPServer, client: LlamaServer, body: str) -> None:
    httpserver.expect_request("/completion").respond_with_data(body, status=500)
    assert ask(client).code == "http_500"


def test_timeout_of_the_call_is_kept(httpserver: HTTPServer, client: LlamaServer) -> None:
    released = threading.Event()

    def never(_: Request) -> Response:
        released.wait(10)
        return Response("{}")

    httpserver.expect_request("/completion").respond_with_handler(never)
    failure = ask(client, timeout_s=0.1)
    released.set()
    assert failure.code == "timeout"


@pytest.fixture
def hanging_up() -> Iterator[str]:
    """URL of a server that takes a request and closes the connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def test_dropped_connection(hanging_up: str) -> None:
    assert ask(LlamaServer(Endpoint(hanging_up), timeout_s=5)).code == "connection"


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = LlamaServer(Endpoint(f"http://127.0.0.1:{port}"), timeout_s=5)
    failure = ask(client)
    assert failure.code == "connection"
    assert "refused" in failure.message.lower()
    assert client.health() is False


def test_failure_survives_pickling() -> None:
    tried = (FailedTry("http://a", Code.HTTP_429),)
    failure = ServerFailure(Code.HTTP_429, "busy", endpoint="http://a", retry_after_s=3, failed_tries=tried)
    copy = pickle.loads(pickle.dumps(failure))
    assert (copy.code, copy.endpoint, copy.retry_after_s, copy.failed_tries) == ("http_429", "http://a", 3, tried)
    assert str(copy) == str(failure)


class Sessions:
    """Counts the sessions made and closed, on a clock of its own."""

    def __init__(self) -> None:
        self.made: list[requests.Session] = []
        self.closed: list[requests.Session] = []
        self.now = 0.0

    def new(self) -> requests.Session:
        session = requests.Session()
        session.close = lambda: self.closed.append(session)  # type: ignore[method-assign]  # a spy
        self.made.append(session)
        return session


def test_a_connection_is_renewed_before_its_hundredth_request() -> None:
    sessions = Sessions()
    connections = Connections(sessions.new, clock=lambda: sessions.now)
    used = []
    for _ in range(198):
        with connections.borrow() as session:
            used.append(session)
    assert len(sessions.made) == 2
    assert used.count(sessions.made[0]) == 99
    assert sessions.closed == [sessions.made[0]]


def test_a_connection_is_renewed_before_five_idle_seconds() -> None:
    sessions = Sessions()
    connections = Connections(sessions.new, clock=lambda: sessions.now)
    for now in (0.0, 3.9, 8.0):
        sessions.now = now
        with connections.borrow():
            pass
    assert len(sessions.made) == 2


def test_a_connection_that_failed_is_not_used_again() -> None:
    sessions = Sessions()
    connections = Connections(sessions.new)
    with pytest.raises(requests.ConnectionError), connections.borrow():
        raise requests.ConnectionError
    with connections.borrow():
        pass
    assert len(sessions.made) == 2
    assert sessions.closed == sessions.made[:1]
