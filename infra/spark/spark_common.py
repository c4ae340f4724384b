"""What the scripts of infra/spark share."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

HERE = Path(__file__).resolve().parent


class Failed(Exception):
    """An error told to a person, and the exit code that it leaves: 2 usage, 3 a prerequisite, 4 a daemon or a job."""

    def __init__(self, code: int, subject: str, reason: str, remedy: str) -> None:
        super().__init__(f"error: {subject}: {reason}\n  {remedy}")
        self.code = code


class Parser(argparse.ArgumentParser):
    """Argparse that reports as these scripts do."""

    def error(self, message: str) -> NoReturn:
        raise Failed(2, self.prog, message, f"`{self.prog} --help` shows all options.")


def ended(work: Callable[[], int | None]) -> int:
    """Do the work of a script; its exit code."""
    try:
        return work() or 0
    except Failed as failure:
        print(failure, file=sys.stderr)
        return failure.code


def read_properties(file: Path) -> dict[str, str]:
    """The properties of a file as Spark reads it: a name and a value a line, `#` before a comment."""
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    pairs = (line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))
    return {name: value for name, value in pairs}


def cluster_secret(file: Path | None, *, required: bool) -> dict[str, str]:
    """The properties that let in only who knows the secret of the cluster.

    Raises:
        Failed: there is none where it is required, or others could read it.
    """
    if file is None:
        if required:
            raise Failed(
                2,
                "--secret-file",
                "is missing: whoever reaches a master without a secret runs programs on its workers",
                "Make one, the same on all hosts: (umask 077; openssl rand -hex 32 > spark.secret)",
            )
        return {}
    try:
        secret = file.read_text(encoding="ascii").strip()
        readable = file.stat().st_mode & 0o077
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(2, str(file), f"cannot be read as a secret: {error}", "Check --secret-file.") from None
    if readable:
        raise Failed(2, str(file), "can be read by others than its owner", f"chmod 600 {file}")
    if not secret or len(secret.split()) != 1:
        raise Failed(2, str(file), "holds no secret of one word", f"openssl rand -hex 32 > {file}")
    return {"spark.authenticate": "true", "spark.network.crypto.enabled": "true", "spark.authenticate.secret": secret}


def spark_binary(name: str) -> Path:
    """A program of Spark: of this Python's environment, else of SPARK_HOME.

    Raises:
        Failed: there is no Spark.
    """
    folders = [Path(sys.executable).parent]
    if home := os.environ.get("SPARK_HOME"):
        folders.append(Path(home) / "bin")
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise Failed(
        3,
        name,
        f"is in none of {', '.join(map(str, folders))}",
        "Run this script with the Python of the environment (. .venv/bin/activate), or set SPARK_HOME.",
    )
