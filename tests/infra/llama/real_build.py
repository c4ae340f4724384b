"""llama.cpp built from source for tests: what takes minutes is kept in the cache of this user and done once."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from llama_host import LLAMA

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "triplelake-infra"
PREFIX = CACHE / "prefix"
PLAIN_PREFIX = CACHE / "prefix-plain"
"""The same source with `--no-fast`."""
_SDIST = "llama_cpp_python-0.3.36"  # carries llama.cpp b11312
_CRATE = "llguidance-1.0.1"


def run(*command: str | Path, **options: Any) -> str:
    """What a command says, which must succeed."""
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    said: str = done.stdout
    assert done.returncode == 0, said
    return said


def build_command(prefix: Path, *options: str) -> list[str | Path]:
    """build.sh for the CPU, from packages of the registries."""
    command: list[str | Path] = [LLAMA / "build.sh", "--prefix", prefix, "--cpu", "--source", _archive()]
    return [*command, "--llguidance-source", _crate(), *options]


def _archive() -> Path:
    """The source archive of llama-cpp-python, from the package index."""
    archive = CACHE / f"{_SDIST}.tar.gz"
    if not archive.exists():
        name, _, version = _SDIST.rpartition("-")
        pip = (sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", name)
        run(*pip, "--dest", CACHE, f"{name}=={version}")
    return archive


def _crate() -> Path:
    """The unpacked crate, from where cargo keeps what it fetched for a package that depends on it."""
    registry = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo") / "registry" / "src"
    if not list(registry.glob(f"*/{_CRATE}")):
        with tempfile.TemporaryDirectory() as folder:
            package = Path(folder)
            name, _, version = _CRATE.rpartition("-")
            (package / "lib.rs").write_text("")
            metadata = '[package]\nname = "fetcher"\nversion = "0.0.0"\n[lib]\npath = "lib.rs"\n'
            (package / "Cargo.toml").write_text(f'{metadata}[dependencies]\n{name} = "={version}"\n')
            run("cargo", "fetch", cwd=package)
    return next(registry.glob(f"*/{_CRATE}"))
