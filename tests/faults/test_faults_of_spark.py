"""What happens to a run's own tasks: one that dies with its process is done again, and nothing is there twice."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from fake.pool import FakePool
from harness.lake import check_offsets, check_unique
from pyspark.cloudpickle import register_pickle_by_value

from triplelake.engine.asking import ask
from triplelake.engine.asking.task import Assignment

pytestmark = pytest.mark.spark

Start = Callable[[FakePool], Any]
# Workers have none of the modules that tests import, so what they run is sent to them as it is.
register_pickle_by_value(sys.modules[__name__])
DOCUMENTS = [{"id": f"d{n}", "text": f"林若兰生于临川城，教了{n + 1}年书。"} for n in range(24)]


@dataclass(frozen=True)
class Mortal(Assignment):
    """An assignment of which one task dies with its process when it holds its answers and has returned none."""

    grave: str = ""

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in super().__call__(batches):
            if not Path(self.grave).exists():
                Path(self.grave).write_text(str(batch.num_rows), encoding="utf-8")
                os.kill(os.getpid(), signal.SIGKILL)
            yield batch


def test_a_task_that_dies_is_done_again_and_pays_for_itself_alone(
    job: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grave = tmp_path / "grave"
    monkeypatch.setattr(ask, "Assignment", partial(Mortal, grave=str(grave)))
    with FakePool(servers=2, slots=40) as pool:
        run = job(pool)
        run_row = run.extract(DOCUMENTS)
        assert (run_row.tally.answered, run_row.tally.failed, run_row.documents) == (24, 0, 24)
        lost = int(grave.read_text(encoding="utf-8"))
        assert 0 < lost < 24
        assert pool.counts().received == 24 + lost
    check_unique(run.lake)
    assert check_offsets(run.lake) > 0
