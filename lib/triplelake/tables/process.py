"""Which process this is, so that another one can tell later whether it is still there."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = Path("/proc/self/ns/pid")


@dataclass(frozen=True, slots=True)
class Process:
    """A process as another one can find it.

    Args:
        host: for people; two containers may have one name.
        pid: its number within `space`.
        space: in which numbers of processes mean the same: the boot of a machine, and of that one a PID namespace.
            Empty where the system does not tell.
        started: when it started, as the system counts; a number that is used again has another. Empty if unknown.
    """

    host: str
    pid: int
    space: str
    started: str

    def alive(self) -> bool | None:
        """Whether it is there; None if it cannot be known from here."""
        if not self.space or self.space != _space():
            return None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # it is there, and another's
        started = _started(self.pid)
        return started is None or not self.started or started == self.started


def this_process() -> Process:
    pid = os.getpid()
    return Process(socket.gethostname(), pid, _space(), _started(pid) or "")


def _space() -> str:
    if not sys.platform.startswith("linux"):
        # There containers have a Linux of their own, so the name of the machine does.
        return f"{sys.platform} {socket.gethostname()}"
    try:
        return f"{_BOOT.read_text().strip()} {os.readlink(_NAMESPACE)}"
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """When a process started; of one that has ended and waits for its parent `ended`; None if the system hides it."""
    try:
        # The name, in brackets, may hold spaces and brackets itself.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return "ended" if fields[0] in "ZX" else fields[19]
