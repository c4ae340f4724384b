"""An answer to `/completion`: how the bytes that a server sends become it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import AliasChoices, AliasPath, Field, TypeAdapter, ValidationError

from triplelake.pool.answers import MOST_NAME_CHARS, Body, Count, Name, NotAnAnswer, Refusal, read_body, read_refusal
from triplelake.pool.protocol import Watch
from triplelake.types import Completion

COMPLETION_FIELDS = (
    "content",
    "model",
    "truncated",
    "stop_type",
    "tokens_evaluated",
    "tokens_predicted",
    "timings/cache_n",
)
"""The `response_fields` to ask for: without them every answer repeats the prompt and all settings."""

PROBABILITIES_FIELD = "completion_probabilities"
"""The further field of an answer that was asked for with `n_probs`."""

_REPLACEMENT = "\ufffd"
"""What a server writes for a character that a limit has cut."""

_LOGPROB_DIGITS = 2
"""Hundredths are as much as confidence can use, and take a third of the space that all digits would."""

LEAST_LOGPROB = -100.0
"""Of a token that the model would never have said; llama-server sends the lowest number that it has."""

_MOST_CHARS = 1_000_000


class _Entry(Body):
    """A decoded token, or several that make one character, with the logprob of the last; none for the answer's end."""

    logprob: float
    bytes: list[Annotated[int, Field(ge=0, le=255)]] = Field([], max_length=MOST_NAME_CHARS)


class _CompletionBody(Body):
    content: Annotated[str, Field(max_length=_MOST_CHARS)]
    model: Name
    truncated: bool = False
    stop_type: str | None = None
    tokens_evaluated: Count
    tokens_predicted: Count
    cached: Count = Field(0, validation_alias=AliasChoices("timings/cache_n", AliasPath("timings", "cache_n")))
    entries: Any = Field(None, validation_alias=PROBABILITIES_FIELD)


class _EventBody(Body):
    """A token of an answer, how much of its prompt is read, the last event (`stop_type`), or trouble (`error`)."""

    content: Annotated[str, Field(max_length=_MOST_CHARS)] = ""
    tokens_evaluated: Count = 0
    tokens_predicted: Count = 0
    cached: Count = Field(0, validation_alias=AliasPath("prompt_progress", "cache"))
    entries: list[Any] = Field([], validation_alias=PROBABILITIES_FIELD)
    stop_type: str | None = None
    error: Any = None


_COMPLETION = TypeAdapter(_CompletionBody)
_EVENT = TypeAdapter(_EventBody)
_ENTRIES = TypeAdapter(Annotated[list[_Entry], Field(max_length=_MOST_CHARS)])


def read_completion(raw: bytes, *, endpoint: str, latency_ms: float) -> Completion:
    """A body of `/completion`.

    Raises:
        NotAnAnswer: it is none, or says what cannot be.
    """
    body = read_body(_COMPLETION, raw)
    return _completion(body, body.content, body.entries, endpoint=endpoint, latency_ms=latency_ms)


def _completion(body: _CompletionBody, text: str, entries: Any, *, endpoint: str, latency_ms: float) -> Completion:
    if body.cached > body.tokens_evaluated:
        raise NotAnAnswer(f"{body.cached} tokens of a prompt of {body.tokens_evaluated} were in the cache")
    logprobs, chars = _tokens(entries, text)
    return Completion(
        text=text,
        truncated=body.truncated or body.stop_type == "limit",
        prompt_tokens=body.tokens_evaluated,
        cached_tokens=body.cached,
        completion_tokens=body.tokens_predicted,
        latency_ms=latency_ms,
        model=body.model,
        endpoint=endpoint,
        token_logprobs=logprobs,
        token_chars=chars,
    )


class Broken(Exception):
    """The server gave up an answer that it had begun; `refusal` is what it says of it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


@dataclass(slots=True)
class Streamed:
    """An answer that came token by token, until its end or until its watch needed no more.

    Args:
        text: as its end or its watch has it.
        last: the event that ended it; None where its watch left the server.
        said: so many characters of `text` come from the server.
        entries: of all its tokens.
        token: the last of them, which counts those before it.
        cached_tokens: of the prompt, as the progress tells.
    """

    text: str = ""
    last: _CompletionBody | None = None
    said: int = 0
    entries: list[Any] = field(default_factory=list)
    token: _EventBody = field(default_factory=_EventBody)
    cached_tokens: int = 0

    def completion(self, *, endpoint: str, latency_ms: float, model: str) -> Completion:
        """The answer.

        Args:
            model: the server's alias, where the answer did not come to the event that names it.

        Raises:
            NotAnAnswer: it says what cannot be.
        """
        if self.last is not None:
            return _completion(self.last, self.text, self.entries, endpoint=endpoint, latency_ms=latency_ms)
        logprobs, chars = _tokens(self.entries, self.text[: self.said])
        many, ended = 0, 0
        while many < len(chars) and ended < self.said:
            ended += chars[many]
            many += 1
        # Its last token may reach behind what is kept of it.
        shown = (*chars[: many - 1], chars[many - 1] - max(0, ended - self.said)) if many else ()
        return Completion(
            text=self.text,
            truncated=False,
            prompt_tokens=self.token.tokens_evaluated,
            cached_tokens=min(self.cached_tokens, self.token.tokens_evaluated),
            completion_tokens=self.token.tokens_predicted,
            latency_ms=latency_ms,
            model=model,
            endpoint=endpoint,
            token_logprobs=logprobs[:many],
            token_chars=shown,
            left=True,
        )


def read_stream(pieces: Iterable[bytes], watch: Watch) -> Streamed:
    """An answer that comes as server-sent events, read until its end or until its watch needs no more.

    Args:
        pieces: of the body, as they come.

    Raises:
        NotAnAnswer: it is no such body, says what cannot be, or ends before its last event.
        Broken: the server gave it up.
    """
    found = Streamed()
    text = ""
    for data in _events(pieces):
        event = read_body(_EVENT, data)
        if event.error is not None:
            raise Broken(read_refusal(data))
        if event.stop_type is not None:
            found.last = read_body(_COMPLETION, data)
            found.text = text + event.content
            return found
        found.token = event
        found.cached_tokens = max(found.cached_tokens, event.cached)
        found.entries += event.entries
        if not event.content:
            continue
        text += event.content
        if (finished := watch(text)) is not None:
            found.text, found.said = finished.text, finished.said
            return found
    raise NotAnAnswer("it ends before its last event")


def _events(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The data of each event; llama-server writes it in one line."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from _data(lines)
    yield from _data([rest])


def _data(lines: Iterable[bytes]) -> Iterator[bytes]:
    for line in lines:
        name, _, value = line.partition(b":")
        if name == b"data" and value.strip():
            yield value
        elif name == b"error":
            yield b'{"error":' + value + b"}"


def _tokens(entries: Any, text: str) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Log probability and characters of each entry that stands in a text; none of either where they cannot be believed.

    An answer is no worse for want of them, so that it is kept: where they are of another form, spell another text (the
    server leaves out a character that a limit cut, and what stood before a stop word), or are all 0, as a server with
    speculative decoding sends them.
    """
    try:
        shown = [entry for entry in _ENTRIES.validate_python(entries or []) if entry.bytes]
    except ValidationError:
        return (), ()
    spelled = b"".join(bytes(entry.bytes) for entry in shown)
    logprobs = [entry.logprob for entry in shown]
    is_of_text = spelled.startswith(text.rstrip(_REPLACEMENT).encode())
    if not is_of_text or any(not -math.inf <= value <= 0 for value in logprobs) or not any(logprobs[1:]):
        return (), ()
    # A byte that goes on with a character begins none.
    chars = tuple(sum(byte & 0xC0 != 0x80 for byte in entry.bytes) for entry in shown)
    return tuple(round(max(value, LEAST_LOGPROB), _LOGPROB_DIGITS) for value in logprobs), chars
