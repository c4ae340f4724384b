"""Processes of a session, on Linux: a job, or a part of a cluster, with all that it started."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from pathlib import Path

_EXECUTOR = "CoarseGrainedExecutorBackend"


def members(session: int) -> list[int]:
    """The processes of a session; a killed one that nobody waited for yet is not counted."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, of = stat.read_text().rpartition(")")[2].split()[:4]
        except (OSError, ValueError):
            continue
        if int(of) == session and state != "Z":
            found.append(int(stat.parent.name))
    return found


def kill_executors(sessions: Iterable[int], most: int | None = None) -> int:
    """`kill -9` on Spark's executors, each a JVM of its own: all, or `most`; how many there were."""
    executors = executors_of(sessions)
    for pid in executors[:most]:
        os.kill(pid, signal.SIGKILL)
    return len(executors)


def executors_of(sessions: Iterable[int]) -> list[int]:
    """Spark's executors, in the order in which `kill_executors` takes them."""
    return [pid for session in sessions for pid in members(session) if _EXECUTOR in _command_line(pid)]


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""
