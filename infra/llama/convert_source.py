"""The conversion scripts of llama.cpp, without a build of it: out of a source archive on the Python package index."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

VERSION = "0.3.36"
SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
_PACKAGE = "llama-cpp-python"
_SOURCE = f"llama_cpp_python-{VERSION}/vendor/llama.cpp/"
_SCRIPT = "convert_lora_to_gguf.py"
_WANTED = (_SCRIPT, "convert_hf_to_gguf.py", "conversion/", "gguf-py/gguf/", "LICENSE")
_LAST_LINES = 8
_MISSING = re.compile(r"^ModuleNotFoundError: No module named '([\w.]+)'", re.MULTILINE)
_ENVIRONMENT = "Run it with a Python that has torch, transformers and safetensors: make setup-train makes one."
_OTHERWISE = f"Or name {_SCRIPT} of a llama.cpp that is here with --script."


class CannotConvert(Exception):
    """What is wrong, with the exit code of infra's commands: 2 usage, 3 something is missing here, 4 failed."""

    def __init__(self, code: int, subject: object, reason: str, remedy: str) -> None:
        super().__init__(code, subject, reason, remedy)
        self.code = code
        lines = "\n  ".join(remedy.splitlines())
        self.text = f"error: {subject}: {reason}\n  {lines}"

    def __str__(self) -> str:
        return self.text


def conversion_script() -> Path:
    """convert_lora_to_gguf.py with what it imports of llama.cpp; fetched once into the user's cache.

    pip fetches the archive and compares its hash before it looks into it; nothing is compiled. Looking into it takes
    scikit-build-core from the index, which pip needs for any source archive.

    Raises:
        CannotConvert: it is not there and cannot be fetched, or the cache can be written by others.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "triplelake"
    folder = cache / f"llama-convert-{VERSION}-{SHA256[:12]}"
    if not (folder / _SCRIPT).is_file():
        _fetch(folder)
    state = folder.stat()
    if state.st_uid != os.getuid() or state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise CannotConvert(3, folder, "can be written by others, and is run", f"rm -r {folder}")
    return folder / _SCRIPT


def _fetch(folder: Path) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(prefix="fetching-", dir=folder.parent) as name:
            part = Path(name) / "source"
            part.mkdir(mode=0o700)
            _unpack(_download(Path(name)), part)
            # One that was made meanwhile by another run is the same.
            if not folder.exists():
                part.replace(folder)
    except OSError as error:
        raise CannotConvert(3, folder, f"cannot be made: {error}", f"Set XDG_CACHE_HOME. {_OTHERWISE}") from None


def _download(folder: Path) -> Path:
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{_PACKAGE}=={VERSION} --hash=sha256:{SHA256}\n", encoding="utf-8")
    options = ["--no-deps", "--no-binary", _PACKAGE, "--require-hashes", "--disable-pip-version-check"]
    done = captured(["-m", "pip", "download", *options, "-r", str(wanted), "-d", str(folder)])
    archives = list(folder.glob("*.tar.gz"))
    if done.returncode or not archives:
        said = [line.strip() for line in done.stdout.splitlines() if line.strip()][-3:]
        remedy = "\n".join(["Check the network and pip's settings; it fetches 77 MB once.", _OTHERWISE, *said])
        raise CannotConvert(3, f"{_PACKAGE} {VERSION}", "pip could not fetch its source archive", remedy)
    return archives[0]


def convert(script: Path, words: Sequence[str], made: Path, kind: str) -> None:
    """Have a conversion script of llama.cpp write a GGUF file, with the `gguf` that came with it.

    Args:
        words: what is converted.
        made: the file.
        kind: type of its numbers, as the script calls it.

    Raises:
        CannotConvert: it fails, or this Python lacks a package that it needs.
    """
    environment = {name: value for name, value in os.environ.items() if name != "NO_LOCAL_GGUF"}
    order = [str(script), *words, "--outfile", str(made), "--outtype", kind]
    done = captured(order, {**environment, "HF_HUB_OFFLINE": "1"})
    if done.returncode or not made.is_file():
        raise _failed(script, done.stdout)


def _failed(script: Path, said: str) -> CannotConvert:
    if missing := _MISSING.search(said):
        return CannotConvert(3, sys.executable, f"lacks the package {missing[1]}", _ENVIRONMENT)
    lines = [line for line in said.splitlines() if line.strip()][-_LAST_LINES:]
    return CannotConvert(4, script, "failed", "\n".join(["The end of what it said:", *(f"  {line}" for line in lines)]))


def captured(words: Sequence[str], environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run this Python with some words; all that it says is in `stdout`.

    Args:
        environment: in place of this process's.
    """
    return subprocess.run(
        [sys.executable, *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )


def _unpack(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as content:
        for member in content:
            place = member.name.removeprefix(_SOURCE)
            if member.isfile() and place != member.name and place.startswith(_WANTED) and ".." not in place.split("/"):
                target = folder / place
                target.parent.mkdir(parents=True, exist_ok=True)
                source = content.extractfile(member)
                assert source  # of a file there always is one
                with source, target.open("wb") as file:
                    shutil.copyfileobj(source, file)
    if not (folder / _SCRIPT).is_file():
        raise CannotConvert(4, archive.name, f"holds no {_SCRIPT}", _OTHERWISE)
