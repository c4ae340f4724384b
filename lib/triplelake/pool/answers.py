"""What a llama.cpp server tells, as values, and how the bytes that it sends become them.

A server is never trusted. Types, ranges, lengths and code points are checked here, once: what leaves this module fits
the columns of `attempts`. The parser is pydantic's own, which refuses unpaired surrogates, deep nesting, `NaN` where a
number belongs and integers without end by a plain error, where `json` raises RecursionError or lets them through.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import from_json

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

_MOST_INT = 2**31 - 1
_MOST_LONG = 2**63 - 1
_MOST_SLOTS = 4096
_MOST_CHARS = 1_000_000
_MOST_NAME_CHARS = 1_000
_METRIC = re.compile(r"^(?:llamacpp:)?(\w+)(?:\{[^}]*\})?\s+(\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Props:
    """`/props` of a server.

    Args:
        total_slots: requests that it decodes at the same time.
        n_ctx: tokens of prompt and answer that one slot holds.
        alias: the name that it declares; the path of its GGUF where none was given.
        chat_template: Jinja source; ChatML where the GGUF has none.
        bos_token, eos_token: text of these tokens; empty if the model has none.
        build: of llama.cpp.
    """

    total_slots: int
    n_ctx: int
    alias: str
    chat_template: str
    bos_token: str
    eos_token: str
    build: str


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """`/v1/models` of a server: what it tells of its GGUF.

    Args:
        alias: the declared name, or a path.
        ftype: the quantisation in words, such as `Q8_0`; empty from servers that do not tell.
        n_params: weights.
        n_vocab: tokens of the vocabulary.
        n_ctx_train: tokens of context that the model was trained on.
        size: bytes of the tensors.
    """

    alias: str
    ftype: str
    n_params: int
    n_vocab: int
    n_ctx_train: int
    size: int


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot of a server: its tokens of context, and whether it is working."""

    id: int
    n_ctx: int
    busy: bool


class NotAnAnswer(ValueError):
    """What came is not what llama-server sends; the words say in one line what is wrong with it."""


Count = Annotated[int, Field(ge=0, le=_MOST_INT)]
_Long = Annotated[int, Field(ge=0, le=_MOST_LONG)]
_Size = Annotated[int, Field(ge=1, le=_MOST_INT)]
_Name = Annotated[str, Field(max_length=_MOST_NAME_CHARS)]


class _Body(BaseModel):
    # Strict: a count that is a text, a fraction or a truth value comes from something that is no llama-server.
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", protected_namespaces=())


class _Entry(_Body):
    """A decoded token, or several that make one character, with the logprob of the last; none for the answer's end."""

    logprob: float
    bytes: Annotated[list[Annotated[int, Field(ge=0, le=255)]], Field(max_length=_MOST_NAME_CHARS)] = []


class _CompletionBody(_Body):
    content: Annotated[str, Field(max_length=_MOST_CHARS)]
    model: _Name
    truncated: bool = False
    stop_type: str | None = None
    tokens_evaluated: Count
    tokens_predicted: Count
    cached: Count = Field(0, validation_alias=AliasChoices("timings/cache_n", AliasPath("timings", "cache_n")))
    entries: Any = Field(None, validation_alias=PROBABILITIES_FIELD)


class _Generation(_Body):
    n_ctx: _Size


class _PropsBody(_Body):
    total_slots: Annotated[int, Field(ge=1, le=_MOST_SLOTS)]
    default_generation_settings: _Generation
    model_alias: _Name | None = None
    model_path: str | None = None
    chat_template: str | None = None
    bos_token: _Name | None = None
    eos_token: _Name | None = None
    build_info: _Name | None = None


class _Meta(_Body):
    ftype: _Name | None = None
    n_params: _Long
    n_vocab: _Size
    n_ctx_train: Count
    size: _Long


class _Model(_Body):
    id: _Name
    meta: _Meta


class _ModelsBody(_Body):
    data: Annotated[list[_Model], Field(min_length=1)]


class _SlotBody(_Body):
    id: Count
    n_ctx: Count
    is_processing: bool


class _TokensBody(_Body):
    tokens: list[Count]


class _PromptBody(_Body):
    prompt: str


B = TypeVar("B")
_COMPLETION = TypeAdapter(_CompletionBody)
_ENTRIES = TypeAdapter(Annotated[list[_Entry], Field(max_length=_MOST_CHARS)])
_PROPS = TypeAdapter(_PropsBody)
_MODELS = TypeAdapter(_ModelsBody)
_SLOTS = TypeAdapter(list[_SlotBody])
_TOKENS = TypeAdapter(_TokensBody)
_PROMPT = TypeAdapter(_PromptBody)
_COUNT = TypeAdapter(Count)


def read_completion(raw: bytes, *, endpoint: str, latency_ms: float) -> Completion:
    """A body of `/completion`.

    Raises:
        NotAnAnswer: it is none, or says what cannot be.
    """
    body = _read(_COMPLETION, raw)
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


def read_props(raw: bytes) -> Props:
    """A body of `/props`; raises NotAnAnswer."""
    body = _read(_PROPS, raw)
    alias = body.model_alias or body.model_path
    if not alias:
        raise NotAnAnswer("neither `model_alias` nor `model_path` is there")
    return Props(
        total_slots=body.total_slots,
        n_ctx=body.default_generation_settings.n_ctx,
        alias=alias,
        chat_template=body.chat_template or "",
        bos_token=body.bos_token or "",
        eos_token=body.eos_token or "",
        build=body.build_info or "",
    )


def read_model(raw: bytes) -> ModelInfo:
    """A body of `/v1/models`; raises NotAnAnswer."""
    model = _read(_MODELS, raw).data[0]
    meta = model.meta
    return ModelInfo(
        alias=model.id,
        ftype=meta.ftype or "",
        n_params=meta.n_params,
        n_vocab=meta.n_vocab,
        n_ctx_train=meta.n_ctx_train,
        size=meta.size,
    )


def read_slots(raw: bytes) -> tuple[Slot, ...]:
    """A body of `/slots`; raises NotAnAnswer."""
    return tuple(Slot(slot.id, slot.n_ctx, slot.is_processing) for slot in _read(_SLOTS, raw))


def read_tokens(raw: bytes) -> list[int]:
    """A body of `/tokenize`; raises NotAnAnswer."""
    return _read(_TOKENS, raw).tokens


def read_prompt(raw: bytes) -> str:
    """A body of `/apply-template`; raises NotAnAnswer."""
    return _read(_PROMPT, raw).prompt


def read_metrics(raw: bytes) -> dict[str, float]:
    """The samples of `/metrics` by name, without the prefix `llamacpp:`; raises NotAnAnswer.

    One that is no finite number (Prometheus writes NaN for what has no value) is left out, as one that is not told.
    """
    try:
        told = {name: float(value) for name, value in _METRIC.findall(raw.decode())}
    except ValueError as error:
        raise NotAnAnswer(str(error)[:_MOST_NAME_CHARS]) from None
    return {name: value for name, value in told.items() if math.isfinite(value)}


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a server or something before it says of a request that it refuses.

    Args:
        message: its words; empty if it has none.
        kind: llama-server's word for the error.
        n_prompt_tokens, n_ctx: of a prompt that is too long.
    """

    message: str = ""
    kind: str = ""
    n_prompt_tokens: int | None = None
    n_ctx: int | None = None


def read_refusal(raw: bytes) -> Refusal:
    """The `error` of a refusal; a proxy in between answers with a page instead, of which nothing is taken."""
    try:
        body = from_json(raw)
    except ValueError:
        return Refusal()
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return Refusal(error if isinstance(error, str) else "")
    message, kind = error.get("message"), error.get("type")
    return Refusal(
        message if isinstance(message, str) else "",
        kind if isinstance(kind, str) else "",
        _count(error.get("n_prompt_tokens")),
        _count(error.get("n_ctx")),
    )


def _read(form: TypeAdapter[B], raw: bytes) -> B:
    try:
        return form.validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise NotAnAnswer(f"`{where}`: {first['msg'].lower()}" if where else first["msg"]) from None


def _count(value: Any) -> int | None:
    try:
        return _COUNT.validate_python(value, strict=True)
    except ValidationError:
        return None
