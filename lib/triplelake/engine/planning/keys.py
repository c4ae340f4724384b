"""What makes two runs ask the same question."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from triplelake.config import Settings
from triplelake.prompt.fewshot import Example
from triplelake.prompt.ontology import Ontology
from triplelake.prompt.prompts import Prompt
from triplelake.triples.identity import stable_hash
from triplelake.types import Lang

_SHORT_HASH = 12


def extraction_key(settings: Settings, *, fingerprint: str, engine: str, prompt: tuple[str, ...]) -> str:
    """Hash of all that can change an answer, but for `asking.stop_repeats`: with it an answer is as it was, up to where
    it would repeat itself.

    Args:
        fingerprint: the model, as the pool declares it.
        engine: the grammar engine that the pool speaks.
        prompt: everything of prompt, few-shot, ontology and template that can change an answer.
    """
    chosen = settings.model_dump(mode="json", include={"answer": True, "chunking": True})
    chosen["answer"]["grammar"] = engine
    return stable_hash(fingerprint, json.dumps(chosen, sort_keys=True), *prompt)


def content_hashes(
    prompts: Mapping[Lang, Prompt],
    ontology: Ontology | None,
    template: Sequence[str],
    gold: Mapping[Lang, Sequence[Example]] = MappingProxyType({}),
) -> Mapping[str, str]:
    """Short hashes of what the files say that can change an answer, so that a person can be told which has changed.

    Args:
        prompts: as the profile fills them in.
        template: what stands around messages, how an answer is written, and what ends it.
        gold: the examples of which each request is shown the likest.

    Returns:
        `relations`, `prompt` with each language, `template`, and `gold` where there is any.
    """
    relations = ontology.relations if ontology else ()
    asked = {lang: replace(prompt, file=Path(), shipped=False) for lang, prompt in prompts.items()}
    texts: Mapping[str, Sequence[str]] = {
        "relations": [repr((each.id, each.names, each.description, each.object_pattern)) for each in relations],
        **{f"prompt {lang}": [repr(prompt)] for lang, prompt in asked.items()},
        "template": template,
        **({"gold": [repr(sorted(gold.items()))]} if gold else {}),
    }
    return {name: stable_hash(*each)[:_SHORT_HASH] for name, each in texts.items()}


def command_hash(settings: Settings, key: str) -> str:
    """Hash of the settings that choose the work, so that the same command finds its plan again."""
    chosen = settings.model_dump(mode="json", include={"input", "corpus"})
    chosen |= settings.run.model_dump(mode="json", include={"mode", "limit", "sample", "seed", "retry_failed"})
    return stable_hash(key, json.dumps(chosen, sort_keys=True))
