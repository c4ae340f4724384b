"""A server in a process of its own, which ends when this process does, however that comes about."""

from __future__ import annotations

import select
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import IO


class ServerProcess:
    """A module of Python that serves until its standard input ends; it writes a line when it is ready.

    Args:
        module, arguments: what is run.
        environment: all of the process's.
        log: where its standard error goes; else to that of this process.
        stop_s: how long it may take to end before it is killed.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        environment: Mapping[str, str],
        log: IO[bytes] | None = None,
        stop_s: float,
    ) -> None:
        self._stop_s = stop_s
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            # Ctrl-C in a terminal is for this process, which ends the server when it has asked its last questions.
            start_new_session=True,
        )
        assert self._process.stdin and self._process.stdout  # both are pipes
        self._stdin, self._stdout = self._process.stdin, self._process.stdout

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def write(self, line: bytes) -> None:
        """Hand it a line on its standard input.

        Raises:
            BrokenPipeError: it has ended.
        """
        self._stdin.write(line)
        self._stdin.flush()

    def read_line(self, timeout_s: float) -> bytes | None:
        """The next line of its standard output: empty where it has ended, None where none comes in time."""
        readable, _, _ = select.select([self._stdout], [], [], timeout_s)
        return self._stdout.readline() if readable else None

    def stop(self) -> None:
        """End it; nothing happens if it has ended."""
        # What could not be written to a process that has ended is still in the buffer.
        with suppress(BrokenPipeError):
            self._stdin.close()
        try:
            self._process.wait(self._stop_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stdout.close()
