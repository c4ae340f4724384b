"""A client of one llama-server over HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, Literal, NoReturn, TypeVar

import requests

from triplelake.codes import Code
from triplelake.pool.answers import (
    COMPLETION_FIELDS,
    ModelInfo,
    Props,
    Slot,
    read_completion,
    read_metrics,
    read_model,
    read_props,
    read_slots,
)
from triplelake.pool.connections import Connections, SessionFactory, plain_session
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.failures import ServerFailure
from triplelake.pool.protocol import Prompt
from triplelake.types import Completion

_CONNECT_TIMEOUT_S = 10.0
_MESSAGE_CHARS = 300
_STATUS_CODES: Mapping[int, Code] = {
    401: Code.UNAUTHORIZED,
    403: Code.UNAUTHORIZED,
    429: Code.HTTP_429,
    501: Code.BAD_REQUEST,
    503: Code.HTTP_503,
}

T = TypeVar("T")


class LlamaServer:
    """One llama-server. Safe to call from several threads; every method raises `ServerFailure`.

    Args:
        endpoint: where it is and its key.
        timeout_s: seconds to wait for one answer.
        new_session: makes the `requests` session of a connection.
    """

    def __init__(self, endpoint: Endpoint, timeout_s: float, new_session: SessionFactory = plain_session) -> None:
        self.endpoint = endpoint
        self._timeout_s = timeout_s
        self._headers = {"Authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
        self._connections = Connections(new_session)

    def complete(
        self,
        prompt: Prompt,
        *,
        grammar: str | None,
        max_tokens: int,
        stop: Sequence[str] = (),
        timeout_s: float | None = None,
    ) -> Completion:
        """Decode greedily; see `CompletionClient.complete`."""
        body = completion_body(prompt, grammar=grammar, max_tokens=max_tokens, stop=stop)
        started = time.perf_counter()
        raw = self._send("POST", "/completion", body, timeout_s)
        latency_ms = (time.perf_counter() - started) * 1000
        return self._parse(
            raw, lambda data: read_completion(json.loads(data), endpoint=self.endpoint.url, latency_ms=latency_ms)
        )

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        """Token ids of a text, no BOS added; `special` reads `</s>` and its like as tokens, not as text."""
        body = {"content": text, "add_special": False, "parse_special": special}
        raw = self._send("POST", "/tokenize", body)
        return self._parse(raw, lambda data: [int(token) for token in json.loads(data)["tokens"]])

    def apply_template(self, messages: Sequence[Mapping[str, str]]) -> str:
        """The prompt that the server's chat template makes of messages (`role`, `content`)."""
        raw = self._send("POST", "/apply-template", {"messages": [dict(message) for message in messages]})
        return self._parse(raw, lambda data: str(json.loads(data)["prompt"]))

    def props(self) -> Props:
        """Slots, context and template of the server."""
        return self._parse(self._send("GET", "/props"), lambda data: read_props(json.loads(data)))

    def model(self) -> ModelInfo:
        """What the server tells of its GGUF."""
        return self._parse(self._send("GET", "/v1/models"), lambda data: read_model(json.loads(data)))

    def slots(self) -> tuple[Slot, ...]:
        """The slots and which of them work; a `bad_request` on a server started with `--no-slots`."""
        return self._parse(self._send("GET", "/slots"), lambda data: read_slots(json.loads(data)))

    def metrics(self) -> dict[str, float]:
        """Counters and gauges by name; a `bad_request` on a server started without `--metrics`.

        Sample it every five seconds at most: a busy server can stall on more (llama.cpp #29104).
        """
        return self._parse(self._send("GET", "/metrics"), lambda data: read_metrics(data.decode()))

    def health(self) -> bool:
        """Whether the server is up and its model loaded. It says yes even when wedged."""
        try:
            self._send("GET", "/health")
        except ServerFailure:
            return False
        return True

    def close(self) -> None:
        """Close the connections that are idle."""
        self._connections.close()

    def _send(
        self, method: Literal["GET", "POST"], path: str, body: Any = None, timeout_s: float | None = None
    ) -> bytes:
        seconds = self._timeout_s if timeout_s is None else min(timeout_s, self._timeout_s)
        try:
            with self._connections.borrow() as session:
                response = session.request(
                    method,
                    self.endpoint.url + path,
                    json=body,
                    headers=self._headers,
                    timeout=(min(_CONNECT_TIMEOUT_S, seconds), seconds),
                    allow_redirects=False,
                )
        except requests.Timeout:
            self._fail(Code.TIMEOUT, f"no answer to {path} within {seconds:g} s")
        except requests.RequestException as error:
            self._fail(Code.CONNECTION, f"{path}: {_root_cause(error)}")
        if response.status_code != 200:
            self._refused(path, response)
        return response.content

    def _parse(self, raw: bytes, read: Callable[[bytes], T]) -> T:
        try:
            return read(raw)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            start = raw[:_MESSAGE_CHARS].decode("utf-8", "replace")
            self._fail(Code.BAD_ANSWER, f"not an answer of llama-server ({type(error).__name__}: {error}): {start}")

    def _refused(self, path: str, response: requests.Response) -> NoReturn:
        error = _error_of(response)
        message = str(error.get("message") or response.reason or "no reason given")[:_MESSAGE_CHARS]
        status = response.status_code
        if error.get("type") == "exceed_context_size_error":
            self._fail(
                Code.CONTEXT_OVERFLOW, message, n_prompt_tokens=error.get("n_prompt_tokens"), n_ctx=error.get("n_ctx")
            )
        code = _STATUS_CODES.get(status, Code.HTTP_500 if status >= 500 else Code.BAD_REQUEST)
        if code == Code.HTTP_503 and "loading model" in message.lower():
            code = Code.LOADING
        self._fail(code, f"{path}: HTTP {status}: {message}", retry_after_s=_retry_after(response))

    def _fail(self, code: Code, message: str, **details: Any) -> NoReturn:
        raise ServerFailure(code, message, endpoint=self.endpoint.url, **details) from None


def completion_body(
    prompt: Prompt, *, grammar: str | None, max_tokens: int, stop: Sequence[str] = ()
) -> dict[str, Any]:
    """What `/completion` is asked with, to be sent as JSON; the arguments are those of `CompletionClient.complete`."""
    body: dict[str, Any] = {
        "prompt": prompt if isinstance(prompt, str) else list(prompt),
        "n_predict": max_tokens,
        # A chain of top_k with k = 1 is greedy and leaves out seven samplers that would change nothing.
        "samplers": ["top_k"],
        "top_k": 1,
        "cache_prompt": True,
        "stream": False,
        "stop": list(stop),
        "response_fields": list(COMPLETION_FIELDS),
    }
    if grammar is not None:
        body["grammar"] = grammar
    return body


def _error_of(response: requests.Response) -> Mapping[str, Any]:
    """The `error` object of a refusal; a proxy in between answers with a page instead."""
    try:
        body = json.loads(response.content)
    except ValueError:
        return {}
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {"message": error}


def _retry_after(response: requests.Response) -> float | None:
    value = response.headers.get("Retry-After", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _root_cause(error: BaseException) -> str:
    """The system's own words (`Connection refused`) below the layers of requests and urllib3."""
    reason = getattr(error.args[0], "reason", error.args[0]) if error.args else error
    return " ".join(str(reason).split())[:_MESSAGE_CHARS]
