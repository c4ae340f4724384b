"""What can go wrong with one request to one server."""

from __future__ import annotations

from triplelake.codes import Code
from triplelake.types import FailedTry


class ServerFailure(Exception):
    """A request that a server did not answer as asked. It fails a request, not the job; see `fatal`.

    Args:
        code: what happened, in a word that lands in `attempts.error_code`.
        message: for a person, the server's own words where it gave some.
        endpoint: base URL of the server; empty if none was reached.
        retry_after_s: seconds for which the server asked to be left alone.
        n_prompt_tokens, n_ctx: of a `context_overflow`, what was sent and what a slot holds.
        failed_tries: what was tried before giving up, in order, this one included.
    """

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        endpoint: str = "",
        retry_after_s: float | None = None,
        n_prompt_tokens: int | None = None,
        n_ctx: int | None = None,
        failed_tries: tuple[FailedTry, ...] = (),
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.endpoint = endpoint
        self.retry_after_s = retry_after_s
        self.n_prompt_tokens = n_prompt_tokens
        self.n_ctx = n_ctx
        self.failed_tries = failed_tries

    def __str__(self) -> str:
        return f"{self.endpoint}: {self.message} ({self.code})" if self.endpoint else f"{self.message} ({self.code})"

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later or elsewhere."""
        return self.code.entry.retried
