"""What makes two runs ask the same question."""

from __future__ import annotations

import json

from triplelake.config import Settings
from triplelake.triples.identity import stable_hash


def extraction_key(settings: Settings, *, fingerprint: str, engine: str, prompt: tuple[str, ...]) -> str:
    """Hash of all that can change an answer.

    Args:
        fingerprint: the model, as the pool declares it.
        engine: the grammar engine that the pool speaks.
        prompt: everything of prompt, few-shot, ontology and template that can change an answer.
    """
    chosen = settings.model_dump(mode="json", include={"answer": True, "chunking": True})
    chosen["answer"]["grammar"] = engine
    return stable_hash(fingerprint, json.dumps(chosen, sort_keys=True), *prompt)


def command_hash(settings: Settings, key: str) -> str:
    """Hash of the settings that choose the work, so that the same command finds its plan again."""
    chosen = settings.model_dump(mode="json", include={"input", "corpus"})
    chosen |= settings.run.model_dump(mode="json", include={"mode", "limit", "sample", "seed", "retry_failed"})
    return stable_hash(key, json.dumps(chosen, sort_keys=True))
