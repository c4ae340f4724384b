"""What Spark sends to executors can be read there, where only the archive of `make dist` and Spark are."""

from __future__ import annotations

import subprocess
import sys

_MODULES = (
    "commands.export",
    "engine.asking.task",
    "engine.planning.chunker",
    "engine.planning.source",
    "tables.publish",
)
"""Where functions stand that `mapInArrow` is given."""


def test_its_modules_need_no_package_of_the_driver_alone() -> None:
    lines = ["import sys", "sys.modules['delta'] = sys.modules['pandas'] = None"]
    lines += [f"import triplelake.{name}" for name in _MODULES]
    done = subprocess.run([sys.executable, "-c", "; ".join(lines)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
