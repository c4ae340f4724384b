"""A signal while a command's modules are loaded ends it with one line and its exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

JOBS = Path(__file__).resolve().parents[3] / "jobs"

# Python itself imports this module before anything else: it sends the signal when the first module of ours that takes
# long is looked for.
_TELLS = """
import os, signal, sys

class Tells:
    def find_spec(self, name, path=None, target=None):
        if name == "triplelake.cli" and os.environ.pop("TELL", None):
            os.kill(os.getpid(), getattr(signal, SIGNAL))

sys.meta_path.insert(0, Tells())
"""


@pytest.mark.parametrize(("job", "name"), [("extract.py", "SIGINT"), ("extract.py", "SIGTERM"), ("sql.py", "SIGINT")])
def test_a_signal_during_the_imports(job: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(_TELLS.replace("SIGNAL)", f'"{name}")'))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "TELL": "1"}
    done = subprocess.run([sys.executable, JOBS / job], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "error: run: stopped by a signal\nThe same command goes on.\n"


def test_every_command_starts_so() -> None:
    for file in JOBS.glob("*.py"):
        imports = [line for line in file.read_text(encoding="utf-8").splitlines() if "import" in line.split()]
        assert imports[-1] == "from triplelake.start import start", file
        assert not any("triplelake" in line for line in imports[:-1]), file
