"""What a run goes by: a plan with its counts, as a row of `plans` has it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """A complete plan.

    Args:
        documents: planned documents. chunks: their chunks. requests: to ask. reused: already answered.
        est_tokens: of the requests to ask, without the fixed prefix.
    """

    plan_id: str
    documents: int
    chunks: int
    requests: int
    reused: int
    est_tokens: int
