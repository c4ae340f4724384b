"""The bodies of llama-server's answers other than completions, and its errors."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from fake.engine import Engine
from fake.settings import TEMPLATE, ServerSettings
from fake.tokens import BOS, BOS_ID, EOS, N_VOCAB, piece, tokenize
from fake.work import Job


class Refusal(Exception):
    """An answer that is an error.

    Args:
        kind: the word of llama-server for it.
        details: further members of the error.
        headers: further headers.
    """

    def __init__(
        self, status: int, message: str, kind: str, *, headers: Mapping[str, str] | None = None, **details: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.body = {"error": {"code": status, "message": message, "type": kind, **details}}


def bad(message: str) -> Refusal:
    return Refusal(400, message, "invalid_request_error")


UNAUTHORIZED = Refusal(401, "Invalid API Key", "authentication_error")
NOT_FOUND = Refusal(404, "File Not Found", "not_found_error")
LOADING = Refusal(503, "Loading model", "unavailable_error")
NO_SLOT = Refusal(503, "no slot available", "unavailable_error")
NO_PROPS = Refusal(
    501, "This server does not support changing global properties. Start it with `--props`", "not_supported_error"
)
LOST = Refusal(500, "Context size has been exceeded.", "server_error")


def overflow(prompt_tokens: int, n_ctx: int) -> Refusal:
    return Refusal(
        400,
        f"request ({prompt_tokens} tokens) exceeds the available context size ({n_ctx} tokens), try increasing it",
        "exceed_context_size_error",
        n_prompt_tokens=prompt_tokens,
        n_ctx=n_ctx,
    )


def read_object(raw: bytes) -> dict[str, Any]:
    """The JSON object of a request."""
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise bad(f"[json.exception.parse_error.101] parse error: {error}") from None
    if not isinstance(body, dict):
        raise bad("[json.exception.type_error.304] cannot use at() with array")
    return body


def props(settings: ServerSettings, alias: str) -> dict[str, Any]:
    return {
        "default_generation_settings": {"params": {"n_predict": -1, "temperature": 0.8}, "n_ctx": settings.n_ctx},
        "total_slots": settings.slots,
        "model_alias": alias,
        "model_ftype": settings.ftype,
        "model_path": f"/models/{alias}.gguf",
        "modalities": {"vision": False, "video": False, "audio": False},
        "endpoint_slots": True,
        "endpoint_props": False,
        "endpoint_metrics": True,
        "chat_template": TEMPLATE,
        "bos_token": BOS,
        "eos_token": EOS,
        "build_info": "b0-fake",
        "is_sleeping": False,
    }


def models(settings: ServerSettings, alias: str) -> dict[str, Any]:
    meta = {
        "vocab_type": 1,
        "n_vocab": N_VOCAB,
        "n_ctx": settings.n_ctx,
        "n_ctx_train": max(32_768, settings.n_ctx),
        "n_embd": 4096,
        "n_params": settings.n_params,
        "size": settings.n_params,
        "ftype": settings.ftype,
    }
    entry = {"id": alias, "aliases": [alias], "tags": [], "object": "model", "created": int(time.time())}
    return {
        "models": [{"name": alias, "model": alias, "type": "model", "capabilities": ["completion"]}],
        "object": "list",
        "data": [{**entry, "owned_by": "llamacpp", "meta": meta}],
    }


def lora_adapters(settings: ServerSettings) -> list[dict[str, Any]]:
    return [
        {"id": number, "path": path, "scale": scale, "task_name": "", "prompt_prefix": ""}
        for number, (path, scale) in enumerate(settings.loras)
    ]


def slots(settings: ServerSettings, engine: Engine) -> list[dict[str, Any]]:
    bodies = []
    for number, (job, last, decoded) in enumerate(engine.slots()):
        body = {"id": number, "n_ctx": settings.n_ctx, "speculative": False, "is_processing": job is not None}
        # A slot tells of its last request until it has another.
        if shown := job or last:
            body |= _work(shown, decoded if job else shown.predicted, going_on=job is not None)
        bodies.append(body)
    return bodies


def _work(job: Job, decoded: int, *, going_on: bool) -> dict[str, Any]:
    left = {"has_next_token": going_on, "has_new_line": False, "n_remain": job.predicted - decoded}
    return {
        "id_task": job.number,
        "n_prompt_tokens": job.prompt_tokens + decoded,
        "n_prompt_tokens_processed": job.prompt_tokens - job.cached,
        "n_prompt_tokens_cache": job.cached,
        "params": {"n_predict": job.n_predict, "stream": False},
        "next_token": [{**left, "n_decoded": decoded}],
    }


def tokens(body: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of `/tokenize`."""
    content = body.get("content", "")
    special = bool(body.get("parse_special", True))
    if not isinstance(content, str | list):
        raise bad("[json.exception.type_error.302] type must be string, but is number")
    ids: list[int] = [BOS_ID] if body.get("add_special") and content else []
    for each in [content] if isinstance(content, str) else content:
        ids += [each] if isinstance(each, int) else tokenize(each, special=special)
    if body.get("with_pieces"):
        return {"tokens": [{"id": number, "piece": piece(number)} for number in ids]}
    return {"tokens": ids}


def template(body: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of `/apply-template`."""
    messages = body.get("messages")
    if not isinstance(messages, list):
        raise bad("'messages' is required")
    said = []
    for message in messages:
        if "content" not in message and message.get("role") != "assistant":
            raise bad("All non-assistant messages must contain 'content'")
        said.append(f"<|im_start|>{message['role']}\n{message.get('content') or ''}<|im_end|>\n")
    if messages and messages[-1]["role"] == "assistant":
        # It is taken as the beginning of the answer.
        said[-1] = said[-1].removesuffix("<|im_end|>\n")
        return {"prompt": "".join(said)}
    return {"prompt": "".join(said) + "<|im_start|>assistant\n"}


_METRICS = (
    ("prompt_tokens_total", "counter", "Number of prompt tokens processed, excluding cached tokens"),
    ("prompt_tokens_cached_total", "counter", "Number of prompt tokens reused from the cache"),
    ("prompt_seconds_total", "counter", "Total time spent processing prompts"),
    ("tokens_predicted_total", "counter", "Number of generation tokens processed"),
    ("tokens_predicted_seconds_total", "counter", "Total time spent generating tokens"),
    ("n_decode_total", "counter", "Total number of llama_decode() calls"),
    ("n_tokens_max", "counter", "Largest observed sequence length (prompt + generation)"),
    ("spec_decode_num_draft_tokens_total", "counter", "Speculative: Total draft tokens generated"),
    ("spec_decode_num_accepted_tokens_total", "counter", "Speculative: Total draft tokens accepted"),
    ("spec_decode_num_drafts_total", "counter", "Speculative: Total speculative decoding verification steps"),
    ("prompt_tokens_seconds", "gauge", "Average prompt throughput in tokens/s"),
    ("predicted_tokens_seconds", "gauge", "Average generation throughput in tokens/s"),
    ("requests_processing", "gauge", "Number of requests processing"),
    ("requests_deferred", "gauge", "Number of requests deferred"),
    ("n_busy_slots_per_decode", "gauge", "Average number of busy slots per llama_decode() call"),
)


def metrics(engine: Engine) -> str:
    seen = engine.counters
    values: dict[str, float] = {
        "prompt_tokens_total": seen.prompt_tokens,
        "prompt_tokens_cached_total": seen.prompt_tokens_cached,
        "prompt_seconds_total": seen.prompt_s,
        "tokens_predicted_total": seen.predicted,
        "tokens_predicted_seconds_total": seen.predicted_s,
        "n_decode_total": engine.steps,
        "n_tokens_max": seen.longest,
        "prompt_tokens_seconds": seen.prompt_tokens / seen.prompt_s if seen.prompt_s else 0,
        "predicted_tokens_seconds": seen.predicted / seen.predicted_s if seen.predicted_s else 0,
        "requests_processing": engine.processing,
        "requests_deferred": engine.deferred,
        "n_busy_slots_per_decode": engine.busy_per_step,
    }
    lines = []
    for name, kind, text in _METRICS:
        lines.append(f"# HELP llamacpp:{name} {text}\n# TYPE llamacpp:{name} {kind}\n")
        value = values.get(name, 0)
        lines.append(f"llamacpp:{name} {value if isinstance(value, int) else format(value, '.6g')}\n")
    return "".join(lines)
