"""What earlier runs of an output asked with, as `runs` tells: their keys, and what of their settings is another now."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pyspark.sql import functions as F

from triplelake.config import Settings, leaves
from triplelake.errors import OutputError
from triplelake.tables.schemas import ATTEMPTS, RUNS, SEQUENCE
from triplelake.tables.store import Store
from triplelake.types import LANGS

_CHANGE_ANSWERS = ("ontology", "profile", "chunking", "prompt", "answer")
"""Sections of the settings that can change an answer."""

_FILES = {
    "relations": ("ontology", "the ontology has other relations, names, descriptions or patterns than it had"),
    **{f"prompt {lang}": ("prompt.dir", f"the prompt {lang}.yaml says something else than it did") for lang in LANGS},
    "gold": ("prompt.gold", "the gold that examples are taken from says something else than it did"),
    "template": ("profile", "the model is asked in another form than it was: its profile, or the server's template"),
}
"""Of the hashes in `OpenPool.versions`: the setting that names what is hashed, and what is said if only the hash
differs. Runs of earlier versions did not keep them."""


def newest_key(store: Store) -> str | None:
    """The extraction key of the newest run that asked; None if none did."""
    asked = store.read(RUNS).where("command = 'extract' AND extraction_key IS NOT NULL AND plan_id IS NOT NULL")
    rows = asked.orderBy(F.desc(SEQUENCE), F.desc("ended_at")).select("extraction_key").limit(1).collect()
    return str(rows[0][0]) if rows else None


def answers_by_key(store: Store) -> Mapping[str, int]:
    """How many requests are answered, by what they were asked with."""
    good = store.read(ATTEMPTS).where("status <> 'failed'")
    rows = good.groupBy("extraction_key").agg(F.countDistinct("request_id").alias("answers")).collect()
    return {row["extraction_key"]: row["answers"] for row in rows}


def changes(store: Store, key: str, settings: Settings, versions: Mapping[str, str]) -> list[str]:
    """What differs, of all that can change an answer, between the newest run with a key and these settings.

    Args:
        versions: those of the pool and the files now, as `OpenPool.versions` has them.

    Returns:
        A line for each: `answer.max_tokens was 320, is 200`; of a file only that it has changed. Empty if no run had
        this key.
    """
    rows = (
        store.read(RUNS)
        .where(F.col("extraction_key") == key)
        .orderBy(F.desc(SEQUENCE), F.desc("ended_at"))
        .limit(1)
        .collect()
    )
    if not rows:
        return []
    stored, then = json.loads(rows[0]["settings"]), json.loads(rows[0]["versions"])
    defaults = Settings().public()
    before = dict(leaves({part: _filled(stored.get(part), defaults[part]) for part in _CHANGE_ANSWERS}))
    now = dict(leaves({part: settings.public()[part] for part in _CHANGE_ANSWERS}))
    # The form of an answer is part of the profile, whose hash tells it.
    told = {name: value for name, value in versions.items() if name != "form"}
    before |= {name: then.get(name) for name in told}
    now |= told
    differ = {name: value for name, value in now.items() if value != before.get(name)}
    found = []
    for name, value in differ.items():
        if name not in _FILES:
            found.append(f"{name} was {_shown(before.get(name))}, is {_shown(value)}")
        elif before.get(name) is not None and _FILES[name][0] not in differ:
            found.append(_FILES[name][1])
    return found or ["a file has other content than it had: the ontology, a prompt, or the model's profile or template"]


def _filled(stored: Any, default: Any) -> Any:
    """A stored section with today's keys: what a run of an earlier version could not set was as the default is."""
    return {**default, **stored} if isinstance(stored, dict) and isinstance(default, dict) else stored


def _shown(value: Any) -> str:
    return "not set" if value is None else str(value)


def last_key(store: Store, settings: Settings) -> str:
    """The extraction key of the newest run that asked with these settings.

    Raises:
        OutputError: there is none.
    """
    wanted = {name: settings.public()[name] for name in _CHANGE_ANSWERS}
    defaults = Settings().public()
    runs = store.read(RUNS).where("extraction_key IS NOT NULL").orderBy(F.desc(SEQUENCE), F.desc("ended_at"))
    for row in runs.select("extraction_key", "settings").toLocalIterator():
        stored = json.loads(row["settings"])
        if {name: _filled(stored.get(name), defaults[name]) for name in _CHANGE_ANSWERS} == wanted:
            return str(row["extraction_key"])
    raise OutputError(
        store.output,
        "holds no run with these settings of ontology, profile, chunking, prompt and answer",
        "Give the same --config, --ontology and --set as the run whose answers are to be read again.",
    )
