"""What the tests of infra/spark run in: its scripts as processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# Test modules have unique names instead of packages, so what they share is found by its folder.
sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[2] / "e2e"))

from harness.jobs import ROOT

SCRIPTS = ROOT / "infra" / "spark"


class Scripts:
    """Runs the scripts of infra/spark."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, script: str, *words: object) -> subprocess.CompletedProcess[str]:
        command: list[str | Path] = [sys.executable, SCRIPTS / script, *map(str, words)]
        return subprocess.run(
            command, cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300
        )


@pytest.fixture
def script(tmp_path: Path) -> Scripts:
    return Scripts(tmp_path)
