"""A client of one llama-server over HTTP."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from functools import partial
from http.client import HTTPException
from typing import Any, Literal, NoReturn, TypeAlias, TypeVar

import requests
import urllib3

from triplelake.codes import Code
from triplelake.pool import addresses
from triplelake.pool.addresses import Finding
from triplelake.pool.answers import (
    LoraAdapter,
    ModelInfo,
    NotAnAnswer,
    Props,
    Refusal,
    Slot,
    read_loras,
    read_metrics,
    read_model,
    read_prompt,
    read_props,
    read_refusal,
    read_slots,
    read_tokens,
)
from triplelake.pool.bounds import MOST_BYTES, TooLong
from triplelake.pool.completions import (
    COMPLETION_FIELDS,
    PROBABILITIES_FIELD,
    Broken,
    Streamed,
    read_completion,
    read_stream,
)
from triplelake.pool.connections import Connections, SessionFactory, plain_session
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.failures import ServerFailure
from triplelake.pool.protocol import Prompt, Watch
from triplelake.types import Completion

_CONNECT_TIMEOUT_S = 10.0
_PIECE = 2**16
_NAMED_S = 5.0
"""Seconds for which a server is taken to have the model that it named last."""
_LEAST_S = 1.0
_MESSAGE_CHARS = 300
_EVERYWHERE = frozenset({"/props", "/completion", "/v1/models"})
_STATUS_CODES: Mapping[int, Code] = {
    401: Code.UNAUTHORIZED,
    403: Code.UNAUTHORIZED,
    429: Code.HTTP_429,
    501: Code.BAD_REQUEST,
    503: Code.HTTP_503,
}

T = TypeVar("T")
_Verb: TypeAlias = Literal["GET", "POST"]


class WrongAddress(ServerFailure):
    """What answered is no llama-server, or is not reached as it must be; `finding` says what to do."""

    finding: Finding


class LlamaServer:
    """One llama-server. Safe to call from several threads; every method raises `ServerFailure`.

    Args:
        endpoint: where it is and its key.
        timeout_s: seconds to wait for one answer, from the first byte of the question to the last of the answer.
        new_session: makes the `requests` session of a connection; if None, one that trusts the endpoint's authorities.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        timeout_s: float,
        new_session: SessionFactory | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.endpoint = endpoint
        self._timeout_s = timeout_s
        self._clock = clock
        self._headers = {"Authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
        self._named = ("", 0.0)  # the model that answered last, and when
        self._connections = Connections(new_session or partial(plain_session, endpoint.ca))

    def complete(
        self,
        prompt: Prompt,
        *,
        grammar: str | None,
        max_tokens: int,
        stop: Sequence[str] = (),
        probabilities: bool = False,
        watch: Watch | None = None,
        timeout_s: float | None = None,
    ) -> Completion:
        """Decode greedily; see `CompletionClient.complete`."""
        body = completion_body(prompt, grammar=grammar, max_tokens=max_tokens, stop=stop, probabilities=probabilities)
        if watch is not None:
            # The event that tells how much of the prompt was cached comes with the progress alone.
            body |= {"stream": True, "return_progress": True}
        started = self._clock()
        raw = self._ask(
            "POST", "/completion", body, timeout_s, _whole if watch is None else partial(_streamed, watch=watch)
        )
        latency_ms = max(0.0, self._clock() - started) * 1000
        url = self.endpoint.url
        if isinstance(raw, bytes):
            return self._parse(raw, lambda data: read_completion(data, endpoint=url, latency_ms=latency_ms))
        if raw.last is None:
            model = self._model_alias(started, timeout_s)
        else:
            model = raw.last.model
            self._named = (model, self._clock())
        try:
            return raw.completion(endpoint=url, latency_ms=latency_ms, model=model)
        except NotAnAnswer as error:
            self._fail(Code.BAD_ANSWER, f"not an answer of llama-server ({error})")

    def _model_alias(self, started: float, timeout_s: float | None) -> str:
        """The model that answers, where an answer was left before the event that names it.

        The answer is there, so that it is not lost for want of a name that was known before.
        """
        name, known_at = self._named
        if name and self._clock() - known_at < _NAMED_S:
            return name
        left_s = self._seconds(timeout_s) - (self._clock() - started)
        try:
            raw = self._ask("GET", "/props", None, max(_LEAST_S, left_s), _whole)
            alias = self._parse(raw, read_props).alias
        except ServerFailure:
            if not name:
                raise
            return name
        self._named = (alias, self._clock())
        return alias

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        """Token ids of a text, no BOS added; `special` reads `</s>` and its like as tokens, not as text."""
        body = {"content": text, "add_special": False, "parse_special": special}
        raw = self._send("POST", "/tokenize", body)
        return self._parse(raw, read_tokens)

    def apply_template(self, messages: Sequence[Mapping[str, str]], kwargs: Mapping[str, object] | None = None) -> str:
        """The prompt that the server's chat template makes of messages (`role`, `content`).

        Args:
            kwargs: variables for the template; it takes those that it knows.
        """
        body: dict[str, Any] = {"messages": [dict(message) for message in messages]}
        if kwargs:
            body["chat_template_kwargs"] = dict(kwargs)
        raw = self._send("POST", "/apply-template", body)
        return self._parse(raw, read_prompt)

    def props(self) -> Props:
        """Slots, context and template of the server."""
        return self._parse(self._send("GET", "/props"), read_props)

    def model(self) -> ModelInfo:
        """What the server tells of its GGUF."""
        return self._parse(self._send("GET", "/v1/models"), read_model)

    def slots(self) -> tuple[Slot, ...]:
        """The slots and which of them work; a `bad_request` on a server started with `--no-slots`."""
        return self._parse(self._send("GET", "/slots"), read_slots)

    def lora_adapters(self) -> tuple[LoraAdapter, ...]:
        """The adapters that the server has loaded and how much of each it adds; none on a server without any."""
        return self._parse(self._send("GET", "/lora-adapters"), read_loras)

    def metrics(self) -> dict[str, float]:
        """Counters and gauges by name; a `bad_request` on a server started without `--metrics`.

        Sample it every five seconds at most: a busy server can stall on more (llama.cpp #29104).
        """
        return self._parse(self._send("GET", "/metrics"), read_metrics)

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

    def _seconds(self, timeout_s: float | None) -> float:
        return self._timeout_s if timeout_s is None else min(timeout_s, self._timeout_s)

    def _send(self, method: _Verb, path: str, body: Any = None) -> bytes:
        return self._ask(method, path, body, None, _whole)

    def _ask(
        self, method: _Verb, path: str, body: Any, timeout_s: float | None, read: Callable[[requests.Response], T]
    ) -> T:
        seconds = self._seconds(timeout_s)
        try:
            with self._connections.borrow() as session:
                response = session.request(
                    method,
                    self.endpoint.url + path,
                    json=body,
                    headers=self._headers,
                    timeout=(min(_CONNECT_TIMEOUT_S, seconds), seconds),
                    allow_redirects=False,
                    stream=True,
                )
                if response.status_code == 200:
                    return read(response)
                raw = _whole(response)
        except Broken as broken:
            self._overflowed(broken.refusal)
            self._fail(Code.HTTP_500, f"{path}: gave up its answer: {broken.refusal.message[:_MESSAGE_CHARS]}")
        except NotAnAnswer as error:
            self._fail(Code.BAD_ANSWER, f"not an answer of llama-server ({error})")
        except TooLong:
            self._fail(Code.BAD_ANSWER, f"{path}: answers with more than {MOST_BYTES >> 20} MB")
        except (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError):
            self._fail(Code.TIMEOUT, f"no whole answer to {path} within {seconds:g} s")
        # An address or a file of certificates that cannot be used raises plain ValueError or OSError.
        except (OSError, ValueError, urllib3.exceptions.HTTPError, HTTPException) as error:
            self._mistaken(addresses.of_tls(self.endpoint.url, error), Code.CONNECTION)
            self._fail(Code.CONNECTION, f"{path}: {_root_cause(error)}")
        self._refused(path, response, raw)

    def _parse(self, raw: bytes, read: Callable[[bytes], T]) -> T:
        try:
            return read(raw)
        except NotAnAnswer as error:
            self._mistaken(addresses.of_page(self.endpoint.url, 200, {}, raw), Code.BAD_ANSWER)
            start = raw[:_MESSAGE_CHARS].decode("utf-8", "replace")
            self._fail(Code.BAD_ANSWER, f"not an answer of llama-server ({error}): {start}")

    def _refused(self, path: str, response: requests.Response, raw: bytes) -> NoReturn:
        refusal = read_refusal(raw)
        message = (refusal.message or response.reason or "no reason given")[:_MESSAGE_CHARS]
        status = response.status_code
        self._overflowed(refusal)
        code = _STATUS_CODES.get(status, Code.HTTP_500 if status >= 500 else Code.BAD_REQUEST)
        if code == Code.HTTP_503 and "loading model" in message.lower():
            code = Code.LOADING
        if 300 <= status < 400:
            # It says nothing of the request: a login that stands in the way from now on, for one.
            location = response.headers.get("Location", "")
            self._mistaken(addresses.of_redirect(self.endpoint.url, path, status, location), Code.CONNECTION)
        if not refusal.message:
            self._mistaken(addresses.of_page(self.endpoint.url, status, response.headers, raw), code)
        if status in (404, 405) and path in _EVERYWHERE:
            self._mistaken(addresses.of_absence(path, status, message), code)
        self._fail(code, f"{path}: HTTP {status}: {message}", retry_after_s=_retry_after(response))

    def _overflowed(self, refusal: Refusal) -> None:
        if refusal.kind == "exceed_context_size_error":
            message, size = refusal.message[:_MESSAGE_CHARS], refusal.n_prompt_tokens
            self._fail(Code.CONTEXT_OVERFLOW, message, n_prompt_tokens=size, n_ctx=refusal.n_ctx)

    def _mistaken(self, finding: Finding | None, code: Code) -> None:
        if finding is not None:
            failure = WrongAddress(code, finding.reason, endpoint=self.endpoint.url)
            failure.finding = finding
            raise failure from None

    def _fail(self, code: Code, message: str, **details: Any) -> NoReturn:
        raise ServerFailure(code, message, endpoint=self.endpoint.url, **details) from None


def _whole(response: requests.Response) -> bytes:
    return b"".join(_pieces(response))


def _streamed(response: requests.Response, watch: Watch) -> Streamed | bytes:
    """An answer read as it comes; as a whole where something between us and the server passes on no stream."""
    if not response.headers.get("Content-Type", "").lower().startswith("text/event-stream"):
        raw = _whole(response)
        return read_stream([raw], watch) if raw.startswith(b"data:") else raw
    try:
        return read_stream(_pieces(response), watch)
    finally:
        # In the middle of an answer the server notices at its next token that nobody listens, and its slot is free.
        # Behind the end of one llama-server closes the connection, whatever its Keep-Alive says: not to be used again.
        response.close()


def _pieces(response: requests.Response) -> Iterator[bytes]:
    pieces: Iterator[bytes] = response.raw.stream(_PIECE, decode_content=False)
    return pieces


def completion_body(
    prompt: Prompt,
    *,
    grammar: str | None,
    max_tokens: int,
    stop: Sequence[str] = (),
    probabilities: bool = False,
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
    if probabilities:
        body["n_probs"] = 1
        body["response_fields"].append(PROBABILITIES_FIELD)
    if grammar is not None:
        body["grammar"] = grammar
    return body


def _retry_after(response: requests.Response) -> float | None:
    """Seconds, `inf` included: how long a server is really left alone is the backend's to say."""
    value = response.headers.get("Retry-After", "")
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        # A date that no calendar holds raises OverflowError or OSError.
        except (ValueError, TypeError, IndexError, OverflowError, OSError):
            return None
    return None if math.isnan(seconds) else max(0.0, seconds)


def _root_cause(error: BaseException) -> str:
    """The system's own words (`Connection refused`) below the layers of requests and urllib3."""
    reason = getattr(error.args[0], "reason", error.args[0]) if error.args else error
    return " ".join(str(reason).split())[:_MESSAGE_CHARS]
