"""Build what a cluster needs, for the Python and the platform that run this script.

    python infra/build_dist.py [--out dist] [--wheel-only]

- the wheel of triplelake, for Databricks and for the machine that starts the job;
- an archive of triplelake and all its packages, for executors that have nothing of it: Spark unpacks it beside
  each executor (`--archives FILE#triplelake_env`), and `PYTHONPATH=triplelake_env` shows it to their Python.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Build the wheel and the archive for a cluster.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder to write to (default: dist)")
    parser.add_argument("--wheel-only", action="store_true", help="no archive: Databricks and images install the wheel")
    options = parser.parse_args(argv)
    out: Path = options.out.absolute()
    wheel = build_wheel(out)
    if options.wheel_only:
        print(wheel)
        return 0
    archive = build_archive(wheel, out)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    print(f"""{wheel}
{archive}

On a cluster whose nodes have Python {python}, with the wheel installed where you start the job:
  spark-submit --archives {archive}#triplelake_env \\
    --conf spark.executorEnv.PYTHONPATH=triplelake_env jobs/extract.py …""")
    return 0


def build_wheel(out: Path) -> Path:
    """Build the wheel from a clean slate: what an older build left in `build/` would get into it."""
    shutil.rmtree(ROOT / "build", ignore_errors=True)
    for old in out.glob("triplelake-*.whl"):
        old.unlink()
    _pip("wheel", "--no-deps", "--wheel-dir", out, ROOT)
    (wheel,) = out.glob("triplelake-*.whl")
    return wheel


def build_archive(wheel: Path, out: Path) -> Path:
    """Pack the wheel and its dependencies, native ones included, as one folder to put on a `PYTHONPATH`."""
    folder = ROOT / "build" / "archive"
    shutil.rmtree(folder, ignore_errors=True)
    _pip("install", "--no-compile", "--target", folder, wheel)
    version = wheel.name.split("-")[1]
    platform = sysconfig.get_platform().replace("-", "_")
    archive = out / f"triplelake-{version}-py{sys.version_info.major}{sys.version_info.minor}-{platform}.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        tar.add(folder, arcname=".")
    return archive


def _pip(command: str, *arguments: str | Path) -> None:
    call = [sys.executable, "-m", "pip", command, "--quiet", "--disable-pip-version-check", *map(str, arguments)]
    subprocess.run(call, check=True, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
