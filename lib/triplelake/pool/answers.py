"""What a llama.cpp server tells, as values, and how its JSON becomes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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


def read_completion(body: Mapping[str, Any], *, endpoint: str, latency_ms: float) -> Completion:
    """A body of `/completion`; raises KeyError, TypeError or ValueError if it is none."""
    text = body["content"]
    if not isinstance(text, str):
        raise TypeError("`content` is not a text")
    cached = body.get("timings/cache_n", body.get("timings", {}).get("cache_n", 0))
    return Completion(
        text=text,
        truncated=bool(body.get("truncated")) or body.get("stop_type") == "limit",
        prompt_tokens=int(body["tokens_evaluated"]),
        cached_tokens=int(cached),
        completion_tokens=int(body["tokens_predicted"]),
        latency_ms=latency_ms,
        model=str(body["model"]),
        endpoint=endpoint,
    )


def read_props(body: Mapping[str, Any]) -> Props:
    """A body of `/props`; raises KeyError, TypeError or ValueError if it is none."""
    return Props(
        total_slots=int(body["total_slots"]),
        n_ctx=int(body["default_generation_settings"]["n_ctx"]),
        alias=str(body.get("model_alias") or body["model_path"]),
        chat_template=str(body.get("chat_template") or ""),
        bos_token=str(body.get("bos_token") or ""),
        eos_token=str(body.get("eos_token") or ""),
        build=str(body.get("build_info") or ""),
    )


def read_model(body: Mapping[str, Any]) -> ModelInfo:
    """A body of `/v1/models`; raises KeyError, IndexError, TypeError or ValueError if it is none."""
    model = body["data"][0]
    meta = model["meta"]
    return ModelInfo(
        alias=str(model["id"]),
        ftype=str(meta.get("ftype") or ""),
        n_params=int(meta["n_params"]),
        n_vocab=int(meta["n_vocab"]),
        n_ctx_train=int(meta["n_ctx_train"]),
        size=int(meta["size"]),
    )


def read_slots(body: Any) -> tuple[Slot, ...]:
    """A body of `/slots`; raises KeyError, TypeError or ValueError if it is none."""
    return tuple(Slot(int(slot["id"]), int(slot["n_ctx"]), bool(slot["is_processing"])) for slot in body)


def read_metrics(text: str) -> dict[str, float]:
    """The samples of `/metrics` by name, without the prefix `llamacpp:`; raises ValueError."""
    return {name: float(value) for name, value in _METRIC.findall(text)}
