"""Put faults into a room of lib/triplelake one by one, and list those that its quick tests let pass.

    python infra/mutants.py triples [--only identity.py,ground.py] [--tests tests/unit/triples] [--jobs 2]

mutmut makes the faults: an operator exchanged, an argument left out, a constant changed. It takes code in src/ alone,
so that it works on a copy in build/mutants, which is made anew each time. A fault that no test notices is shown as a
diff; some of them change nothing that anybody could see. It takes seconds per fault, and rooms have hundreds.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPY = ROOT / "build" / "mutants"
_ALSO = ("conf", "docs", "jobs", "infra", "tests", "pyproject.toml", "setup.py", "README.md", "README.zh-CN.md")
_NOTICED = frozenset({"killed", "timeout", "caught by type check", "segfault"})
_LET_PASS = frozenset({"survived", "no tests", "suspicious"})


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="List the faults that the tests of a room let pass.")
    parser.add_argument("room", help="a folder or a file of lib/triplelake: triples, pool/limits.py")
    parser.add_argument("--only", default="", help="files of the room, separated by commas (default: all)")
    parser.add_argument("--tests", help="files or folders, separated by spaces (default: tests/unit/<room>)")
    parser.add_argument("--jobs", type=int, default=2, help="faults that are tried at a time (default: %(default)s)")
    options = parser.parse_args(argv)
    room = Path(options.room)
    if not (ROOT / "lib" / "triplelake" / room).exists():
        parser.error(f"lib/triplelake/{room} is not there")
    files = [room / name for name in options.only.split(",")] if options.only else [room]
    tests = options.tests.split() if options.tests else [f"tests/unit/{room.parts[0]}"]
    copy(COPY)
    configure(COPY, files, tests)
    if status := mutmut(COPY, "run", "--max-children", str(options.jobs)).returncode:
        return status
    return tell(COPY)


def copy(folder: Path) -> None:
    """The project as mutmut wants it: the package in src/."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "lib", folder / "src", ignore=ignored)
    for name in _ALSO:
        if (ROOT / name).is_dir():
            # Links are followed, because one leads into lib/, which the copy has not.
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder / name)


def configure(folder: Path, files: Sequence[Path], tests: Sequence[str]) -> None:
    """Add mutmut's settings to the copy's, since it has no options for them."""
    paths = [f"src/triplelake/{file}" for file in files]
    told = {
        "source_paths": ["src"],
        "only_mutate": [path if path.endswith(".py") else f"{path}/*" for path in paths],
        "also_copy": list(_ALSO),
        "pytest_add_cli_args_test_selection": list(tests),
        "pytest_add_cli_args": ["-m", "not model", "-n0", "-q"],
    }
    with (folder / "pyproject.toml").open("a", encoding="utf-8") as settings:
        settings.write("\n[tool.mutmut]\n")
        # Strings and lists of them are written alike in JSON and in TOML.
        settings.writelines(f"{name} = {json.dumps(value)}\n" for name, value in told.items())


def mutmut(folder: Path, *command: str, capture: bool = False) -> subprocess.CompletedProcess[str]:
    # Without PYTHONPATH, which would put the code before the one with the fault.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, "-m", "mutmut", *command], cwd=folder, env=env, text=True, capture_output=capture
    )


def tell(folder: Path) -> int:
    """Show each fault that was let pass, then the counts; 1 if there is none to count."""
    faults = dict(outcomes(mutmut(folder, "results", "--all", "true", capture=True).stdout))
    for name, outcome in faults.items():
        if outcome in _LET_PASS:
            print(mutmut(folder, "show", name, capture=True).stdout)
    counts = Counter(faults.values())
    noticed, passed = (sum(counts[each] for each in group) for group in (_NOTICED, _LET_PASS))
    if not noticed + passed:
        print("No fault was tried.", file=sys.stderr)
        return 1
    by_outcome = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
    print(f"{noticed} of {noticed + passed} faults noticed ({noticed / (noticed + passed):.0%}): {by_outcome}")
    return 0


def outcomes(told: str) -> Iterator[tuple[str, str]]:
    """Names of faults and what became of them, as mutmut lists them."""
    for line in told.splitlines():
        name, mark, outcome = line.strip().partition(": ")
        if mark:
            yield name, outcome


if __name__ == "__main__":
    sys.exit(main())
