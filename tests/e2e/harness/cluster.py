"""A stand-alone Spark cluster on this machine whose workers are hosts of their own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from harness.deadline import DEADLINE_S, wait_until
from harness.sessions import kill_executors

_MASTER = "org.apache.spark.deploy.master.Master"
_WORKER = "org.apache.spark.deploy.worker.Worker"


class Cluster:
    """A master and two workers of one core at 127.0.0.1 and 127.0.0.2; all end with the block.

    Spark runs a speculative copy of a task on another host only, and the workers of `local-cluster` share one.

    Attributes:
        master: its URL, for `spark.master`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._port = free_port()
        self.master = f"spark://127.0.0.1:{self._port}"

    def __enter__(self) -> Cluster:
        self._folder.mkdir()
        try:
            self._start(_MASTER, "--host", "127.0.0.1", "--port", str(self._port))
            wait_until(self._listens, "the master", alive=lambda: self._processes[0].poll() is None)
            for host in ("127.0.0.1", "127.0.0.2"):
                own = ("--host", host, "--cores", "1", "--memory", "1g", "--work-dir", str(self._folder / host))
                self._start(_WORKER, *own, self.master)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def kill_executors(self) -> int:
        """`kill -9` on all executors, which their workers start anew; how many there were."""
        return kill_executors(process.pid for process in self._processes)

    def stop(self) -> None:
        """Kill all, executors included: they are in the session of their worker."""
        for process in reversed(self._processes):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(DEADLINE_S)

    def _start(self, name: str, *words: str) -> None:
        spark_class = Path(sys.executable).parent / "spark-class"
        log = self._folder / f"{len(self._processes)}.log"
        with log.open("wb") as out:
            command = [spark_class, name, *words, "--webui-port", "0"]
            self._processes.append(
                subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
                )
            )

    def _listens(self) -> bool:
        with socket.socket() as line:
            return line.connect_ex(("127.0.0.1", self._port)) == 0


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
