"""The commands of `jobs/` as processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pyspark

from harness.deadline import DEADLINE_S, wait_until
from harness.servers import API_KEY
from harness.sessions import executors_of, kill_executors, members

ROOT = Path(__file__).resolve().parents[3]
_OF_ANOTHER_SPARK = (
    "SPARK_HOME",
    "SPARK_CONF_DIR",
    "PYSPARK_PYTHON",
    "PYSPARK_DRIVER_PYTHON",
    "PYSPARK_SUBMIT_ARGS",
    "PYTHONPATH",
    "SPARK_REMOTE",
)
_NUMBERS = count()


@dataclass(frozen=True)
class Done:
    """A command that ended; `code` is negative if a signal ended it."""

    code: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        """All that a person saw."""
        return self.stdout + self.stderr


class Job:
    """A command in a session of its own, so that a signal reaches it and nothing else.

    Args:
        words: the command, such as `["jobs/extract.py", "--output", …]`; a script is given to Python.
        folder: where it runs.
        api_key: of its pool.
        spark: more properties of Spark.
        spark_home: a Spark of its own (`own_spark`).
        remote: URL of the Spark Connect server that it is to use, in place of a Spark of its own.
    """

    def __init__(
        self,
        words: Sequence[object],
        folder: Path,
        *,
        api_key: str = API_KEY,
        spark: Sequence[str] = (),
        spark_home: Path | None = None,
        remote: str | None = None,
    ) -> None:
        number = next(_NUMBERS)
        self._out, self._err = folder / f"job-{number}.out", folder / f"job-{number}.err"
        binaries = Path(sys.executable).parent
        environment = {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER_SPARK}
        environment["PATH"] = f"{binaries}{os.pathsep}{environment['PATH']}"
        environment["TRIPLELAKE__API_KEY"] = api_key
        environment["COLUMNS"] = "400"
        if spark_home:
            environment["SPARK_HOME"] = str(spark_home)
        if remote:
            environment["SPARK_REMOTE"] = remote
        properties = [word for each in spark for word in ("--conf", each)]
        script, *arguments = map(str, words)
        starter = [binaries / "spark-submit", *properties] if spark else [sys.executable]
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                [*starter, ROOT / script, *arguments],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    @property
    def output(self) -> str:
        """What it has printed until now."""
        return self._out.read_text(encoding="utf-8", errors="replace")

    def wait_until(self, seen: object, what: str) -> None:
        """Wait until a condition holds, while the command runs."""
        assert callable(seen)
        try:
            wait_until(seen, what, alive=lambda: self.runs)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output}\n{self._err.read_text(errors='replace')}") from None

    def kill(self) -> None:
        """`kill -9` on driver and JVM at once; returns when nothing of the session is left."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(DEADLINE_S)
        wait_until(lambda: not members(self._process.pid), "the end of Spark's workers")

    @property
    def executors(self) -> list[int]:
        """The processes of a local cluster's executors."""
        return executors_of([self._process.pid])

    def kill_executors(self, most: int | None = None) -> int:
        """`kill -9` on executors of a local cluster: all, or `most`; how many there were."""
        return kill_executors([self._process.pid], most)

    def tell(self, number: signal.Signals) -> None:
        """A signal to the driver alone, as a scheduler sends it."""
        self._process.send_signal(number)

    def tell_all(self, number: signal.Signals) -> None:
        """A signal to driver and JVM, as a terminal sends it."""
        os.killpg(self._process.pid, number)

    def wait(self, longest_s: float = DEADLINE_S) -> Done:
        """Wait for its end."""
        try:
            code = self._process.wait(longest_s)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            raise
        return Done(code, self.output, self._err.read_text(encoding="utf-8", errors="replace"))


def run_job(words: Sequence[object], folder: Path, *, api_key: str = API_KEY, spark: Sequence[str] = ()) -> Done:
    """Run a command to its end."""
    return Job(words, folder, api_key=api_key, spark=spark).wait()


def own_spark(folder: Path) -> Path:
    """The environment's Spark under a home of its own: executors of a local cluster work below SPARK_HOME."""
    folder.mkdir()
    for part in Path(pyspark.__file__).parent.iterdir():
        (folder / part.name).symlink_to(part)
    return folder
