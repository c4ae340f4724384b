"""Text from outside in a prompt: kept from being read as the model's special tokens."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Protocol

from triplelake.pool.protocol import Prompt

# Special tokens of every known model family hold one of these: `</s>`, `<|im_end|>`, `[INST]`, `>>ABSTRACT<<`,
# or a control character. A text without any is read the same either way and needs no question to the server.
_SUSPECT = re.compile(r"[<>\[\]|\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class PromptPart(Protocol):
    """A run of a prompt; `untrusted` marks what comes from a document."""

    @property
    def text(self) -> str: ...

    @property
    def untrusted(self) -> bool: ...


def protect(parts: Iterable[PromptPart], tokenize: Callable[[str], list[int]]) -> Prompt:
    """The prompt that says exactly what its parts say.

    A server reads special tokens in any prompt text, so a document that holds `</s>` would break out
    of its place. Such parts are sent as token ids, the others as text.

    Args:
        tokenize: ids of a text with special tokens left as text: `LlamaServer.tokenize`.
    """
    mixed: list[str | int] = []
    for part in parts:
        if part.untrusted and _SUSPECT.search(part.text):
            # The server puts BOS before a leading text only.
            mixed.extend(tokenize(part.text) if mixed else ["", *tokenize(part.text)])
        elif mixed and isinstance(last := mixed[-1], str):
            mixed[-1] = last + part.text
        elif part.text:
            mixed.append(part.text)
    if not mixed:
        return ""
    only = mixed[0]
    return only if len(mixed) == 1 and isinstance(only, str) else mixed
