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

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import from_json

_MOST_INT = 2**31 - 1
_MOST_LONG = 2**63 - 1
_MOST_SLOTS = 4096
MOST_NAME_CHARS = 1_000
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


@dataclass(frozen=True, slots=True)
class LoraAdapter:
    """An adapter that a server has loaded.

    Args:
        id: its place in the server's list.
        path: of its file, as the server was given it.
        scale: how much of it is added to the weights; 0: nothing.
    """

    id: int
    path: str
    scale: float


class NotAnAnswer(ValueError):
    """What came is not what llama-server sends; the words say in one line what is wrong with it."""


Count = Annotated[int, Field(ge=0, le=_MOST_INT)]
_Long = Annotated[int, Field(ge=0, le=_MOST_LONG)]
_Size = Annotated[int, Field(ge=1, le=_MOST_INT)]
Name = Annotated[str, Field(max_length=MOST_NAME_CHARS)]


class Body(BaseModel):
    # Strict: a count that is a text, a fraction or a truth value comes from something that is no llama-server.
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", protected_namespaces=())


class _Generation(Body):
    n_ctx: _Size


class _PropsBody(Body):
    total_slots: Annotated[int, Field(ge=1, le=_MOST_SLOTS)]
    default_generation_settings: _Generation
    model_alias: Name | None = None
    model_path: str | None = None
    chat_template: str | None = None
    bos_token: Name | None = None
    eos_token: Name | None = None
    build_info: Name | None = None


class _Meta(Body):
    ftype: Name | None = None
    n_params: _Long
    n_vocab: _Size
    n_ctx_train: Count
    size: _Long


class _Model(Body):
    id: Name
    meta: _Meta


class _ModelsBody(Body):
    data: Annotated[list[_Model], Field(min_length=1)]


class _SlotBody(Body):
    id: Count
    n_ctx: Count
    is_processing: bool


class _LoraBody(Body):
    id: Count
    path: str
    scale: float


class _TokensBody(Body):
    tokens: list[Count]


class _PromptBody(Body):
    prompt: str


B = TypeVar("B")
_PROPS = TypeAdapter(_PropsBody)
_MODELS = TypeAdapter(_ModelsBody)
_SLOTS = TypeAdapter(list[_SlotBody])
_LORAS = TypeAdapter(list[_LoraBody])
_TOKENS = TypeAdapter(_TokensBody)
_PROMPT = TypeAdapter(_PromptBody)
_COUNT = TypeAdapter(Count)


def read_props(raw: bytes) -> Props:
    """A body of `/props`; raises NotAnAnswer."""
    body = read_body(_PROPS, raw)
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
    model = read_body(_MODELS, raw).data[0]
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
    return tuple(Slot(slot.id, slot.n_ctx, slot.is_processing) for slot in read_body(_SLOTS, raw))


def read_loras(raw: bytes) -> tuple[LoraAdapter, ...]:
    """A body of `/lora-adapters`; raises NotAnAnswer."""
    return tuple(LoraAdapter(each.id, each.path, each.scale) for each in read_body(_LORAS, raw))


def read_tokens(raw: bytes) -> list[int]:
    """A body of `/tokenize`; raises NotAnAnswer."""
    return read_body(_TOKENS, raw).tokens


def read_prompt(raw: bytes) -> str:
    """A body of `/apply-template`; raises NotAnAnswer."""
    return read_body(_PROMPT, raw).prompt


def read_metrics(raw: bytes) -> dict[str, float]:
    """The samples of `/metrics` by name, without the prefix `llamacpp:`; raises NotAnAnswer.

    One that is no finite number (Prometheus writes NaN for what has no value) is left out, as one that is not told.
    """
    try:
        told = {name: float(value) for name, value in _METRIC.findall(raw.decode())}
    except ValueError as error:
        raise NotAnAnswer(str(error)[:MOST_NAME_CHARS]) from None
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


def read_body(form: TypeAdapter[B], raw: bytes) -> B:
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
