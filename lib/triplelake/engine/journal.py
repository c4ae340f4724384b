"""The row that a run leaves in `runs`, whatever its end."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from pyspark.sql import functions as F

from triplelake.config import Settings, leaves
from triplelake.engine.asking.tally import Tally
from triplelake.errors import Interrupted, OutputError, TriplelakeError, classified
from triplelake.prompt.prompts import LANGS
from triplelake.tables.lease import Lease
from triplelake.tables.schemas import ATTEMPTS, RUNS, SEQUENCE
from triplelake.tables.store import Store

log = logging.getLogger(__name__)

Status = Literal["succeeded", "failed", "interrupted"]


@dataclass
class Journal:
    """Collects what a run did.

    Args:
        command: `extract`, `probe`, `republish` or `maintain`.
        settings: as given.
    """

    command: str
    settings: Settings
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    versions: dict[str, str] = field(default_factory=dict)
    plan_id: str | None = None
    extraction_key: str | None = None
    documents: int = 0
    rejected: int = 0
    lost_lines: int = 0
    removed: int = 0
    chunks: int = 0
    requests: int = 0
    reused: int = 0
    triples: int = 0
    tally: Tally = field(default_factory=Tally)

    @contextmanager
    def recorded(self, store: Store, lease: Lease) -> Iterator[None]:
        """Leave the row at the end of the block, whatever that is, and with it the lease, if it was taken.

        Raises:
            Interrupted: a signal ended the block.
        """
        with lease:
            try:
                yield
            except KeyboardInterrupt:
                error = Interrupted(
                    store.output, "stopped by a signal", "Everything committed is kept; the same command goes on."
                )
                self._try_to_write(store, error)
                raise error from None
            except Exception as error:
                self._try_to_write(store, classified(error))
                raise
            self._write(store)

    def _try_to_write(self, store: Store, error: TriplelakeError) -> None:
        """Write the row if that is still possible: a signal or a full disk may have taken Spark along."""
        try:
            self._write(store, error)
        except Exception:
            # What ended the run is told anyway, and is mostly what keeps the row from being written.
            log.info("this run could not be written to `runs`")

    def _write(self, store: Store, error: TriplelakeError | None = None) -> None:
        """Append the row; `error` is what ended the run early, if anything did.

        A run that ended before there were tables leaves none behind.
        """
        if error and not store.exists(RUNS):
            return
        status: Status = "succeeded" if error is None else "interrupted" if isinstance(error, Interrupted) else "failed"
        row: dict[str, Any] = {
            "settings": json.dumps(self.settings.public(), ensure_ascii=False),
            "versions": json.dumps(self.versions, ensure_ascii=False),
            "ended_at": datetime.now(UTC),
            "answered": self.tally.answered,
            "failed": self.tally.failed,
            "prompt_tokens": self.tally.prompt_tokens,
            "cached_tokens": self.tally.cached_tokens,
            "completion_tokens": self.tally.completion_tokens,
            "endpoints": [tally.row(url) for url, tally in sorted(self.tally.endpoints.items())],
            "failed_tries": dict(self.tally.failed_tries),
            "asking_s": self.tally.seconds,
            "status": status,
            "exit_code": error.exit_code if error else 0,
            "error": f"{error.subject}: {error.reason}" if error else None,
            "remedy": error.remedy if error else None,
        }
        names = [name for name in RUNS.names if name != SEQUENCE]
        values = {name: row[name] if name in row else getattr(self, name) for name in names}
        store.append_row(RUNS, values, run_id=self.run_id)


_CHANGE_ANSWERS = ("ontology", "profile", "chunking", "prompt", "answer")


_FILES = {
    "relations": ("ontology", "the ontology has other relations, names, descriptions or patterns than it had"),
    **{f"prompt {lang}": ("prompt.dir", f"the prompt {lang}.yaml says something else than it did") for lang in LANGS},
    "gold": ("prompt.gold", "the gold that examples are taken from says something else than it did"),
    "template": ("profile", "the model is asked in another form than it was: its profile, or the server's template"),
}
"""Of the hashes in `Opened.versions`: the setting that names what is hashed, and what is said if only the hash differs.
Runs of earlier versions did not keep them."""


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
        versions: those of the pool and the files now, as `Opened.versions` has them.

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
