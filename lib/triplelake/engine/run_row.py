"""The row that a run leaves in `runs`, whatever its end."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from triplelake.config import Settings
from triplelake.engine.asking.tally import Tally
from triplelake.errors import BudgetSpent, Interrupted, TriplelakeError, classified
from triplelake.tables.lease import Lease
from triplelake.tables.schemas import RUNS, SEQUENCE
from triplelake.tables.store import Store
from triplelake.types import RunCommand, RunStatus

log = logging.getLogger(__name__)


@dataclass
class RunRow:
    """What a run did, as it is written into its row of `runs`.

    Args:
        command: what a person ordered.
        settings: as given.
        spent: the budget that ended the run before all was asked.
    """

    command: RunCommand
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
    spent: BudgetSpent | None = None

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
            self._write(store, self.spent)

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
            "status": _status(error),
            "exit_code": self._exit_code(error),
            "error": f"{error.subject}: {error.reason}" if error else None,
            "remedy": error.remedy if error else None,
        }
        names = [name for name in RUNS.names if name != SEQUENCE]
        values = {name: row[name] if name in row else getattr(self, name) for name in names}
        store.append_row(RUNS, values, run_id=self.run_id)

    def _exit_code(self, error: TriplelakeError | None) -> int:
        if error is None or (isinstance(error, BudgetSpent) and self.settings.budget.success):
            return 0
        return error.exit_code


def _status(error: TriplelakeError | None) -> RunStatus:
    match error:
        case None:
            return "succeeded"
        case BudgetSpent():
            return "budget_spent"
        case Interrupted():
            return "interrupted"
    return "failed"
