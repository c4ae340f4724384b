"""An answer to `/completion`: how the bytes that a server sends become it."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import AliasChoices, AliasPath, Field, TypeAdapter, ValidationError

from triplelake.pool.answers import MOST_NAME_CHARS, Body, Count, Name, NotAnAnswer, read_body
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


_COMPLETION = TypeAdapter(_CompletionBody)
_ENTRIES = TypeAdapter(Annotated[list[_Entry], Field(max_length=_MOST_CHARS)])


def read_completion(raw: bytes, *, endpoint: str, latency_ms: float) -> Completion:
    """A body of `/completion`.

    Raises:
        NotAnAnswer: it is none, or says what cannot be.
    """
    body = read_body(_COMPLETION, raw)
    if body.cached > body.tokens_evaluated:
        raise NotAnAnswer(f"{body.cached} tokens of a prompt of {body.tokens_evaluated} were in the cache")
    logprobs, chars = _tokens(body.entries, body.content)
    return Completion(
        text=body.content,
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
