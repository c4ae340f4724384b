"""The client seam: what the rest of the pool needs of a server, whatever carries it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from triplelake.pool.answers import LoraAdapter, ModelInfo, Props
from triplelake.pool.endpoints import Endpoint
from triplelake.types import Completion

Prompt: TypeAlias = str | Sequence[str | int]
"""Text in which special tokens are read, or text mixed with token ids that stand as they are."""


@dataclass(frozen=True, slots=True)
class Finished:
    """An answer that needs no more tokens.

    Args:
        text: all of it, closed as its form wants.
        said: so many characters of it the server has said; the others close it.
    """

    text: str
    said: int


Watch: TypeAlias = Callable[[str], Finished | None]
"""Sees one answer grow: it is given all text so far after each token, and says where no more is needed."""


class CompletionClient(Protocol):
    """Completes prompts greedily on one server. Safe to call from several threads."""

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
        """Decode at most `max_tokens` tokens after `prompt`.

        Args:
            grammar: what the answer must obey, GBNF or llguidance; None admits anything.
            stop: texts that end the answer; they are not part of it.
            probabilities: tell the log probability of each token.
            watch: sees the answer token by token, and the server is left where it says so; one for each answer.
            timeout_s: seconds to wait, if fewer than the client's own limit.

        Raises:
            ServerFailure: of any code.
        """

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        """Ids of a text; with `special` the texts of special tokens become these tokens.

        Raises:
            ServerFailure: of any code.
        """

    def close(self) -> None:
        """Let go of the connections that are idle."""


class ServerClient(CompletionClient, Protocol):
    """What a run asks of a server besides completions: before its first wave, and how busy it is.

    Every method raises `ServerFailure`.
    """

    def props(self) -> Props:
        """Slots and context of the server."""

    def model(self) -> ModelInfo:
        """What identifies its model."""

    def lora_adapters(self) -> tuple[LoraAdapter, ...]:
        """The adapters that it has loaded, and how much of each it adds."""

    def apply_template(self, messages: Sequence[Mapping[str, str]], kwargs: Mapping[str, object] | None = None) -> str:
        """The prompt that its chat template makes of messages (`role`, `content`).

        Args:
            kwargs: variables for the template.
        """

    def metrics(self) -> dict[str, float]:
        """Counters and gauges by name; `requests_processing` and `requests_deferred` tell how busy it is."""


ClientFactory: TypeAlias = Callable[[Endpoint, float], CompletionClient]
"""Makes a client from an endpoint and the seconds to wait for one answer."""
