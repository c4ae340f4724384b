"""What a fake server is like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from fake.work import Speed

TEMPLATE = (
    "{%- for message in messages -%}\n  {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' -}}"
    "\n{%- endfor -%}\n{%- if add_generation_prompt -%}\n  {{- '<|im_start|>assistant\n' -}}\n{%- endif -%}"
)
"""The template that llama-server takes where the GGUF has none: ChatML."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """One server.

    Args:
        slots: requests decoded at the same time.
        n_ctx: tokens of prompt and answer that a slot holds.
        api_key: None lets everybody in.
        loras: path and scale of each adapter.
        alias, ftype, n_params: of the model; the fingerprint of a pool is made of them.
        llguidance: whether it has that engine; without it such a grammar is refused.
        zombies: whether it works on after a client left that waited for a whole answer, as the real one does.
        labels: what a prompt's text line begins with, one per language.
        labels_above: what the lines of title and context above it begin with.
        keep_texts: count questions by their text; by a hash of it if not, for millions of them.
        speed: how long requests take.
    """

    slots: int = 4
    n_ctx: int = 8192
    api_key: str | None = None
    loras: tuple[tuple[str, float], ...] = ()
    alias: str = "fake-7b.Q8_0@0123456789ab"
    ftype: str = "Q8_0"
    n_params: int = 7_000_000_000
    llguidance: bool = True
    zombies: bool = True
    labels: tuple[str, ...] = ("文本：", "Text: ")
    labels_above: tuple[str, ...] = ("标题：", "標題：", "上文：", "Title: ", "Context: ")
    keep_texts: bool = True
    speed: Speed = field(default_factory=Speed)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> ServerSettings:
        loras = tuple((path, scale) for path, scale in data["loras"])
        labels = {name: tuple(data[name]) for name in ("labels", "labels_above")}
        known = {**labels, "speed": Speed(**data["speed"]), "loras": loras}
        return ServerSettings(**{**data, **known})
