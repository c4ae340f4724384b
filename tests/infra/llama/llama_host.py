"""A host made of a folder: its PATH holds what a test puts there, so that anything can be missing or fail."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
LLAMA = ROOT / "infra" / "llama"
STUBS = Path(__file__).parent / "stubs"
# What every Linux has; the scripts may use these without asking.
BASICS = (
    "awk",
    "basename",
    "bash",
    "cat",
    "chmod",
    "cmp",
    "cp",
    "cut",
    "date",
    "df",
    "dirname",
    "env",
    "find",
    "flock",
    "grep",
    "gzip",
    "head",
    "id",
    "install",
    "ldconfig",
    "ldd",
    "ln",
    "mkdir",
    "mv",
    "nproc",
    "numfmt",
    "paste",
    "readlink",
    "realpath",
    "rm",
    "sed",
    "sh",
    "sha256sum",
    "sort",
    "stat",
    "tail",
    "tar",
    "timeout",
    "tr",
)


class Host:
    """Runs the scripts with a PATH, a prefix and variables of its own."""

    def __init__(self, folder: Path) -> None:
        self.scripts = LLAMA
        self.bin = folder / "bin"
        self.prefix = folder / "prefix"
        self.calls = folder / "calls"
        self.bin.mkdir(parents=True)
        for name in BASICS:
            self.put(name, shutil.which(name) or f"/usr/sbin/{name}")
        # A host has no environment of this project; and a bare Python starts in a third of the time.
        self.put("python3", Path(sys.base_prefix) / "bin" / "python3")
        self.variables = {
            "PATH": str(self.bin),
            "HOME": str(folder),
            "STUB_CALLS": str(self.calls),
            "LC_ALL": "C.UTF-8",
        }

    def put(self, name: str, target: str | Path) -> None:
        (self.bin / name).unlink(missing_ok=True)
        (self.bin / name).symlink_to(target)

    def write(self, name: str, script: str) -> None:
        """A command of this host that runs a shell script."""
        (self.bin / name).unlink(missing_ok=True)
        (self.bin / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.bin / name).chmod(0o755)

    def stub(self, *names: str) -> None:
        for name in names:
            self.put(name, STUBS / name)

    def run(self, script: str, *options: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.scripts / script, "--prefix", self.prefix, *options],
            env=self.variables | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def called(self) -> str:
        return self.calls.read_text("utf-8") if self.calls.exists() else ""


def assert_refused(done: subprocess.CompletedProcess[str], code: int, subject: str, reason: str) -> None:
    """It ended with this code and told this error, each error with a remedy below it, and nothing like a defect."""
    assert done.returncode == code, done.stdout + done.stderr
    errors = re.findall(r"^error: (.+?): (.+)\n  (\S.+)$", done.stderr, re.MULTILINE)
    assert any(subject in told and reason in why for told, why, _ in errors), done.stderr
    assert "Traceback" not in done.stderr
    assert not re.search(r"\.sh: line \d+", done.stderr)
    assert len(done.stderr.splitlines()) < 40


def read_manifest(folder: Path) -> Any:
    return json.loads((folder / "manifest.json").read_text("utf-8"))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with what it holds."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
        if not path.is_symlink() or os.path.exists(path)
    }
