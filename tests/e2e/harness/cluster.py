"""A stand-alone Spark cluster on this machine whose workers are hosts of their own, and what runs on it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import requests

from harness.deadline import DEADLINE_S, wait_until
from harness.sessions import kill_executors

_MASTER = "org.apache.spark.deploy.master.Master"
_WORKER = "org.apache.spark.deploy.worker.Worker"
_ACTIVE = "status=active&details=true"


class Cluster:
    """A master and two workers of one core at 127.0.0.1 and 127.0.0.2; all end with the block.

    Spark runs a speculative copy of a task on another host only, and the workers of `local-cluster` share one.

    Attributes:
        master: its URL, for `spark.master`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._workers: dict[str, int] = {}
        self._port = free_port()
        self.master = f"spark://127.0.0.1:{self._port}"

    def __enter__(self) -> Cluster:
        self._folder.mkdir()
        try:
            self._start(_MASTER, "--host", "127.0.0.1", "--port", str(self._port))
            wait_until(self._listens, "the master", alive=lambda: self._processes[0].poll() is None)
            for host in ("127.0.0.1", "127.0.0.2"):
                own = ("--host", host, "--cores", "1", "--memory", "1g", "--work-dir", str(self._folder / host))
                self._workers[host] = self._start(_WORKER, *own, self.master)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def kill_executors(self, host: str | None = None) -> int:
        """`kill -9` on all executors, or those of a host, which their workers start anew; how many there were."""
        sessions = [process.pid for process in self._processes] if host is None else [self._workers[host]]
        return kill_executors(sessions)

    def stop(self) -> None:
        """Kill all, executors included: they are in the session of their worker."""
        for process in reversed(self._processes):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(DEADLINE_S)

    def _start(self, name: str, *words: str) -> int:
        spark_class = Path(sys.executable).parent / "spark-class"
        log = self._folder / f"{len(self._processes)}.log"
        with log.open("wb") as out:
            command: list[str | Path] = [spark_class, name, *words, "--webui-port", "0"]
            self._processes.append(
                subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
                )
            )
        return self._processes[-1].pid

    def _listens(self) -> bool:
        with socket.socket() as line:
            return line.connect_ex(("127.0.0.1", self._port)) == 0


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@dataclass(frozen=True, slots=True)
class RunningTask:
    """An attempt of a task, as Spark tells of it."""

    host: str
    speculative: bool


class SparkTasks:
    """What runs now, told by the web interface of a job's driver.

    Args:
        port: a free one of this machine.

    Attributes:
        settings: Spark properties of the job.
    """

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1/applications"
        self.settings = ("spark.ui.enabled=true", f"spark.ui.port={port}")

    def running(self) -> list[RunningTask]:
        """All running tasks; none while the driver does not answer yet."""
        try:
            stages = [stage for app in self._get("") for stage in self._get(f"/{app['id']}/stages?{_ACTIVE}")]
        except requests.RequestException:
            return []
        tasks = [task for stage in stages for task in stage.get("tasks", {}).values()]
        return [RunningTask(each["host"], each["speculative"]) for each in tasks if each["status"] == "RUNNING"]

    def _get(self, path: str) -> Any:
        response = requests.get(self._url + path, timeout=DEADLINE_S)
        response.raise_for_status()
        return response.json()
