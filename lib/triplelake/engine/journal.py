"""The row that a run leaves in `runs`, whatever its end."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from pyspark.sql import functions as F

from triplelake.config import Settings
from triplelake.engine.tally import Tally
from triplelake.errors import Interrupted, OutputError, TriplelakeError
from triplelake.tables.lease import Lease
from triplelake.tables.schemas import RUNS
from triplelake.tables.store import Store

Status = Literal["succeeded", "failed", "interrupted"]


@dataclass
class Journal:
    """Collects what a run did.

    Args:
        command: `extract` or `republish`.
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
    removed: int = 0
    chunks: int = 0
    requests: int = 0
    reused: int = 0
    triples: int = 0
    tally: Tally = field(default_factory=Tally)

    def write(self, store: Store, lease: Lease, error: TriplelakeError | None = None) -> None:
        """Append the row, and give the lease back with it; `error` is what ended the run early, if anything did.

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
        values = {name: row[name] if name in row else getattr(self, name) for name in RUNS.names}
        lease.give_back(lambda commit: store.append_row(RUNS, values, run_id=self.run_id, commit=commit))


_CHANGE_ANSWERS = ("ontology", "profile", "chunking", "prompt", "answer")


def last_key(store: Store, settings: Settings) -> str:
    """The extraction key of the newest run that asked with these settings.

    Raises:
        OutputError: there is none.
    """
    wanted = {name: settings.public()[name] for name in _CHANGE_ANSWERS}
    runs = store.read(RUNS).where("extraction_key IS NOT NULL").orderBy(F.desc("ended_at"))
    for row in runs.select("extraction_key", "settings").toLocalIterator():
        stored = json.loads(row["settings"])
        if {name: stored.get(name) for name in _CHANGE_ANSWERS} == wanted:
            return str(row["extraction_key"])
    raise OutputError(
        store.output,
        "holds no run with these settings of ontology, profile, chunking, prompt and answer",
        "Give the same --config, --ontology and --set as the run whose answers are to be read again.",
    )
