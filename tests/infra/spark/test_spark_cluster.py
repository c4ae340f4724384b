"""A stand-alone cluster that infra/spark starts, a job that it submits, and a worker that is killed on the way."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyspark
import pytest
from fake.pool import FakePool
from harness.cluster import free_port
from harness.deadline import DEADLINE_S, wait_until
from harness.jobs import ROOT
from harness.lake import Lake, check_offsets, check_unique
from harness.sessions import members

pytestmark = [pytest.mark.infra, pytest.mark.spark]

HOSTS = ("127.0.0.1", "127.0.0.2")
_PUT_TOGETHER = {"spark.kubernetes.authenticate.driver.serviceAccountName"}
"""A name that no class of Spark holds as a whole: it is made of a prefix and its end."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, ROOT / "infra" / "build_dist.py", "--out", out], check=True)
    [file] = out.glob("*.tar.gz")
    return file


class Daemons:
    """A cluster of this machine, by infra/spark/cluster.py."""

    def __init__(self, script: Any, folder: Path) -> None:
        self._script = script
        self.folder = folder / "spark"
        self.secret = folder / "spark.secret"
        self.secret.touch(mode=0o600)
        self.secret.write_text("of-the-tests\n")
        self.master = f"spark://{HOSTS[0]}:{free_port()}"

    def start(self) -> None:
        port = self.master.rpartition(":")[2]
        self._start("master", "--host", HOSTS[0], "--port", port)
        for host in HOSTS:
            self._start("worker", "--host", host, "--master", self.master, "--cores", "1", "--memory", "1g")

    def pid(self, name: str) -> int:
        return int((self.folder / f"{name}.pid").read_text())

    def stop(self) -> str:
        done = self._script("cluster.py", "stop", "--prefix", self.folder.parent)
        assert done.returncode == 0, done.stderr
        return str(done.stdout)

    def _start(self, *words: str) -> None:
        own = ("--web-port", str(free_port()), "--prefix", self.folder.parent, "--secret-file", self.secret)
        for expected in ("runs, process", "runs already"):
            done = self._script("cluster.py", *words, *own)
            assert done.returncode == 0, done.stderr
            assert expected in done.stdout


@pytest.fixture
def daemons(script: Any, tmp_path: Path) -> Iterator[Daemons]:
    made = Daemons(script, tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def submit(daemons: Daemons, archive: Path, python: Path, folder: Path, *words: object) -> subprocess.Popen[bytes]:
    command = [
        *(sys.executable, ROOT / "infra" / "spark" / "submit.py", "--master", daemons.master),
        *(
            "--archive",
            archive,
            "--python",
            python,
            "--driver-host",
            "127.0.0.1",
            "--secret-file",
            daemons.secret,
            "--",
        ),
        # As small as the machine of the tests.
        *("--conf", "spark.executor.cores=1", "--conf", "spark.executor.memory=1g", "--driver-memory", "1g"),
        *(ROOT / "jobs" / "extract.py", *words),
    ]
    with (folder / "job.log").open("ab") as log:
        return subprocess.Popen(
            list(map(str, command)), cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )


def test_a_job_outlives_a_worker_of_the_cluster(daemons: Daemons, archive: Path, tmp_path: Path) -> None:
    texts = [f"林若兰生于临川城，教了{number + 1}年书。" for number in range(60)]
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts), "utf-8")
    # A Python that has no package at all: what its tasks need is in the archive.
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    python = tmp_path / "bare" / "bin" / "python"
    lake = Lake(tmp_path / "kg")
    with FakePool(servers=2, slots=4, latency_s=2.0) as pool:
        words: tuple[str | Path, ...] = ("--input", corpus, "--output", tmp_path / "kg", "--pool", pool.setting)
        words += ("--profile", "base", "--set", "run.bucket_size=8", "--set", "run.wave_s=0.001")
        job = submit(daemons, archive, python, tmp_path, *words)
        try:
            wait_until(
                lambda: lake.version("attempts") > 0 and pool.counts(texts=False).in_flight > 0,
                "answers that are committed, and others in flight",
                alive=lambda: job.poll() is None,
            )
            committed = {row["request_id"] for row in lake.rows("attempts")}
            # The worker with its executor, as when its host is lost.
            os.killpg(daemons.pid(f"worker-{HOSTS[1]}"), signal.SIGKILL)
            assert job.wait(DEADLINE_S) == 0, (tmp_path / "job.log").read_text()
        finally:
            job.kill()
        assert 0 < len(committed) < len(texts)
        asked_once(lake, committed, pool.counts().asked)
        assert len(lake.rows("attempts")) == len(texts)
        check_unique(lake)
        assert check_offsets(lake) == len(lake.rows("triples")) > 0
        # Both had executors, each with the archive beside it.
        for host in HOSTS:
            assert list((daemons.folder / f"work-{host}").glob("app-*/*/triplelake_env/triplelake/types.py"))

        pool.forget()
        again = submit(daemons, archive, python, tmp_path, *words)
        assert again.wait(DEADLINE_S) == 0, (tmp_path / "job.log").read_text()
        assert pool.counts(texts=False).received == 0

        apps = set(daemons.folder.glob("work-*/app-*"))
        daemons.secret.write_text("another\n")
        stranger = submit(daemons, archive, python, tmp_path, *words)
        assert stranger.wait(DEADLINE_S) == 7, (tmp_path / "job.log").read_text()
        assert set(daemons.folder.glob("work-*/app-*")) == apps
    started = [daemons.pid("master"), daemons.pid(f"worker-{HOSTS[0]}")]
    daemons.stop()
    assert [members(pid) for pid in started] == [[], []]
    assert not list(daemons.folder.glob("*.conf")), "the secret lies about"


def asked_once(lake: Lake, committed: set[str], asked: Mapping[str, int]) -> None:
    """What was committed before the loss was not asked again."""
    texts = {row["text"] for row in lake.rows("chunks") if row["request_id"] in committed}
    assert {asked[text] for text in texts} == {1}


def known_properties() -> set[str]:
    """Names of properties as they stand in the classes of Spark and Delta Lake."""
    jars = Path(pyspark.__file__).parent / "jars"
    families = ("spark-core", "spark-common-utils", "spark-sql", "spark-catalyst", "spark-kubernetes", "spark-network")
    found: set[str] = set()
    for family in (*families, "spark-launcher", "delta-spark"):
        for jar in jars.glob(f"{family}*.jar"):
            with zipfile.ZipFile(jar) as classes:
                for name in classes.namelist():
                    if name.endswith(".class"):
                        found |= {word.decode() for word in re.findall(rb"spark\.[\w.]+", classes.read(name))}
    return found


def test_every_property_is_one_that_spark_knows() -> None:
    known = known_properties()
    named: set[str] = set()
    for file in sorted((ROOT / "infra" / "spark").rglob("*.conf")):
        lines = file.read_text(encoding="utf-8").splitlines()
        named |= {line.split()[0] for line in lines if line.strip() and not line.startswith("#")}
    # Hadoop's are handed on, and those that end in a name of the user's stand there without it.
    own = {name for name in named if not name.startswith(("spark.hadoop.", "spark.sql.catalog."))} - _PUT_TOGETHER
    assert len(own) > 25
    assert {name for name in own if name not in known and f"{name.rpartition('.')[0]}." not in known} == set()
