"""Start and stop the daemons of a stand-alone Spark cluster, each on the host that it is to run on.

    python infra/spark/cluster.py master --host 10.0.0.1 --secret-file /etc/triplelake/spark.secret
    python infra/spark/cluster.py worker --host 10.0.0.2 --master spark://10.0.0.1:7077 --secret-file …
    python infra/spark/cluster.py stop

Needs the Spark of this Python's environment (`make setup`, or `infra/setup_env.py --extras spark`), else that of
SPARK_HOME. A daemon that runs already is left alone. Jobs are given to the cluster with `infra/spark/submit.py`.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from spark_common import HERE, Failed, Parser, cluster_secret, ended, read_properties, spark_binary

_START_S = 120.0
_STOP_S = 20.0
_POLL_S = 0.1


@dataclass(frozen=True)
class Daemon:
    """A process of Spark's that outlives this script.

    Args:
        name: of its files below `folder`: NAME.pid, NAME.log, NAME.conf.
    """

    name: str
    folder: Path

    @property
    def pid(self) -> int | None:
        """Of its process, if that is there: since a host was started anew, the number may be another's."""
        try:
            pid = int(self._file("pid").read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, ValueError):
            return None
        # For an instant, when Spark's script becomes Java, a process has no command line; one that ended has none, too.
        is_becoming = not command and state != "Z"
        return pid if is_becoming or b"org.apache.spark.deploy." in command else None

    def start(self, command: Sequence[str], host: str, properties: str) -> None:
        """Start it in the background; its output goes to its log, and all that it opens is at `host`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        conf = self._file("conf")
        conf.unlink(missing_ok=True)
        # It may hold the secret, which must not stand in a command line either.
        with os.fdopen(os.open(conf, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(properties)
        with self._file("log").open("ab") as log:
            process = subprocess.Popen(
                [*command, "--properties-file", str(conf)],
                # Spark opens its pages at all addresses of a host where this does not name one.
                env={**os.environ, "SPARK_LOCAL_IP": host},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._file("pid").write_text(f"{process.pid}\n")

    def wait_until(self, ready: Callable[[], bool], what: str) -> None:
        """Wait for what shows that it works.

        Raises:
            Failed: it ended, or took too long.
        """
        deadline = time.monotonic() + _START_S
        while not ready():
            if self.pid is None:
                raise Failed(4, self.name, f"ended at once: {self._last_words()}", f"Look at {self._file('log')}.")
            if time.monotonic() > deadline:
                raise Failed(
                    4, self.name, f"{what} is not to be seen after {_START_S:.0f} s", f"Look at {self._file('log')}."
                )
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """End it; what does not end by itself is killed, with the executors of a worker."""
        pid = self.pid
        if pid is not None:
            os.killpg(pid, signal.SIGTERM)
            deadline = time.monotonic() + _STOP_S
            while self.pid is not None and time.monotonic() < deadline:
                time.sleep(_POLL_S)
            if self.pid is not None:
                os.killpg(pid, signal.SIGKILL)
        for kind in ("pid", "conf"):
            self._file(kind).unlink(missing_ok=True)

    def _last_words(self) -> str:
        lines = self._file("log").read_text(errors="replace").strip().splitlines()
        return next((line for line in reversed(lines) if "Exception" in line or "rror" in line), "its log is empty")

    def _file(self, kind: str) -> Path:
        return self.folder / f"{self.name}.{kind}"


def main(argv: list[str] | None = None) -> int:
    return ended(lambda: _run(_parser().parse_args(argv)))


def _parser() -> Parser:
    parser = Parser(
        description="Start and stop the daemons of a stand-alone Spark cluster on this host.", allow_abbrev=False
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="master|worker|stop")
    master = commands.add_parser("master", help="start the master", allow_abbrev=False)
    master.add_argument("--port", type=int, default=7077, help="where jobs and workers reach it (default: 7077)")
    worker = commands.add_parser("worker", help="start a worker", allow_abbrev=False)
    worker.add_argument("--master", required=True, metavar="URL", help="spark://HOST:PORT of the master")
    worker.add_argument("--cores", type=int, metavar="N", help="tasks at a time (default: the cores of this host)")
    worker.add_argument("--memory", metavar="SIZE", help="for executors, such as 8g (default: all but 1 GB)")
    for daemon, port in ((master, 8080), (worker, 8081)):
        daemon.add_argument("--host", required=True, metavar="ADDRESS", help="address of this host to listen on")
        daemon.add_argument(
            "--web-port",
            type=int,
            default=port,
            metavar="PORT",
            help="page that shows its state (default: %(default)s)",
        )
        daemon.add_argument("--secret-file", type=Path, metavar="FILE", help="the cluster's secret, on one line")
    stop = commands.add_parser("stop", help="stop all daemons that were started here", allow_abbrev=False)
    for each in (master, worker, stop):
        each.add_argument(
            "--prefix",
            type=Path,
            metavar="DIR",
            default=Path("/opt/triplelake"),
            help="logs, process ids and the executors' folders lie in its folder spark (default: %(default)s)",
        )
        each.add_argument("--dry-run", action="store_true", help="say what would be done, and stop")
    return parser


def _run(options: argparse.Namespace) -> None:
    folder: Path = options.prefix.absolute() / "spark"
    if options.command == "stop":
        _stop_all(folder, dry_run=options.dry_run)
        return
    daemon = Daemon(options.command if options.command == "master" else f"worker-{options.host}", folder)
    properties = read_properties(HERE / "daemons.conf") | cluster_secret(
        options.secret_file, required=not _loopback(options.host)
    )
    command = [str(spark_binary("spark-class")), *_words(options, folder)]
    if options.dry_run:
        print(f"would run: {shlex.join(command)}")
        print(f"would log to {folder / daemon.name}.log")
        return
    if daemon.pid is not None:
        print(f"{daemon.name} runs already, process {daemon.pid}")
        return
    daemon.start(command, options.host, "".join(f"{name} {value}\n" for name, value in properties.items()))
    try:
        daemon.wait_until(lambda: _ready(options), "its page of state")
    except BaseException:
        daemon.stop()
        raise
    where = f"spark://{options.host}:{options.port}" if options.command == "master" else f"of {options.master}"
    print(f"{daemon.name} runs, process {daemon.pid}, {where}; state: http://{options.host}:{options.web_port}")


def _words(options: argparse.Namespace, folder: Path) -> list[str]:
    """The daemon's class and its options."""
    own = ["--host", options.host, "--webui-port", str(options.web_port)]
    if options.command == "master":
        return ["org.apache.spark.deploy.master.Master", *own, "--port", str(options.port)]
    own += ["--work-dir", str(folder / f"work-{options.host}")]
    own += ["--cores", str(options.cores)] if options.cores else []
    own += ["--memory", options.memory] if options.memory else []
    return ["org.apache.spark.deploy.worker.Worker", *own, options.master]


def _ready(options: argparse.Namespace) -> bool:
    """Whether a master listens, or a worker has found its master."""
    try:
        with urllib.request.urlopen(f"http://{options.host}:{options.web_port}/json/", timeout=5) as answer:
            state = json.load(answer)
    except (OSError, ValueError):
        return False
    return options.command == "master" or bool(state["masterurl"])


def _stop_all(folder: Path, *, dry_run: bool) -> None:
    # Workers first: one whose master is gone looks for it until its end.
    daemons = [Daemon(file.stem, folder) for file in sorted(folder.glob("*.pid"), reverse=True)]
    for daemon in daemons:
        print(f"{'would stop' if dry_run else 'stopping'} {daemon.name}, process {daemon.pid}")
        if not dry_run:
            daemon.stop()
    if not daemons:
        print(f"nothing of {folder} runs")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    sys.exit(main())
