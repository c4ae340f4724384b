"""Text from outside in a prompt: kept from being read as the model's special tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from triplelake.pool.protocol import Prompt


class PromptPart(Protocol):
    """A run of a prompt; `untrusted` marks what may hold the text of a special token and shall not be read as one."""

    @property
    def text(self) -> str: ...

    @property
    def untrusted(self) -> bool: ...


def protect(parts: Iterable[PromptPart], tokenize: Callable[[str], list[int]]) -> Prompt:
    """The prompt that says exactly what its parts say.

    A server reads special tokens in any prompt text, so a document that holds `</s>` would break out
    of its place. Parts that are marked are sent as token ids, the others as text; who makes the parts decides.

    Args:
        tokenize: ids of a text with special tokens left as text: `CompletionClient.tokenize`.
    """
    mixed: list[str | int] = []
    for part in parts:
        if part.untrusted and part.text:
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
