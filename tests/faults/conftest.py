"""What the tests of faults run in: a pool of fake servers, an output, and the job in this process."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from rich.console import Console

# Test modules have unique names instead of packages, so what they share is found by its folder.
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from fake.pool import FakePool
from harness.lake import Lake

from triplelake.commands.extract import extract
from triplelake.config import load_settings
from triplelake.engine.run_row import RunRow


@dataclass
class Job:
    """The job over one output, asking a fake pool."""

    folder: Path
    pool: FakePool
    said: str = ""

    @property
    def lake(self) -> Lake:
        return Lake(self.folder / "kg")

    def extract(self, texts: Sequence[Mapping[str, str]], **overrides: Any) -> RunRow:
        """Run it; `run__lanes=1` sets `run.lanes`."""
        file = self.folder / "corpus.jsonl"
        file.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in texts), encoding="utf-8")
        given: dict[str, Any] = {"input": (str(file),), "output": str(self.folder / "kg"), "pool": self.pool.setting}
        given |= {
            "run.preflight": False,
            "corpus.id_column": "id",
            "api_key": self.pool.endpoints[0].api_key,
            "profile": "base",
        }
        console = Console(file=io.StringIO(), width=400)
        try:
            settings = load_settings(None, given | {name.replace("__", "."): v for name, v in overrides.items()}, {})
            return extract(settings, console)
        finally:
            assert isinstance(console.file, io.StringIO)
            self.said = console.file.getvalue()


@pytest.fixture
def job(spark: SparkSession, tmp_path: Path) -> Callable[[FakePool], Job]:
    """Makes the job over a pool."""
    return lambda pool: Job(tmp_path, pool)
