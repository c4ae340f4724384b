"""The job over Spark Connect: the driver is elsewhere, there is no desk, and everything else is as ever."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake.pool import FakePool
from harness.cluster import free_port
from harness.deadline import DEADLINE_S, wait_until
from harness.jobs import Job
from harness.lake import Lake, check_derived, check_offsets, check_unique
from harness.servers import general_ontology

from triplelake.config import AnswerSettings
from triplelake.pool.shares import capacity

pytestmark = [pytest.mark.infra, pytest.mark.spark]

_CLASS = "org.apache.spark.sql.connect.service.SparkConnectServer"
_TEXTS = [
    *(f"林若兰生于临川城，教了{number + 1}年书。" for number in range(20)),
    *(f"陳若蘭生於臨川城，教了{number + 1}年書。" for number in range(10)),
    *(f"Ada Vale was born in Tarven and taught for {number + 1} years." for number in range(10)),
]


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a Spark Connect server with Delta, of the environment's own Spark."""
    folder, port = tmp_path_factory.mktemp("connect"), free_port()
    command: list[str | Path] = [Path(sys.executable).parent / "spark-submit", "--class", _CLASS]
    command += ["--conf", "spark.connect.grpc.binding.address=127.0.0.1"]
    command += ["--conf", f"spark.connect.grpc.binding.port={port}"]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "spark-internal"],
            cwd=folder,
            env={**os.environ, "PYSPARK_PYTHON": sys.executable},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until(lambda: _listens(port), "the server to listen", alive=lambda: server.poll() is None)
        yield f"sc://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(DEADLINE_S)


def _listens(port: int) -> bool:
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) == 0


def test_a_run_that_is_killed_goes_on(remote: str, tmp_path: Path) -> None:
    file = tmp_path / "corpus.jsonl"
    lines = [json.dumps({"id": f"d{number}", "text": text}, ensure_ascii=False) for number, text in enumerate(_TEXTS)]
    file.write_text("\n".join(lines), encoding="utf-8")
    lake = Lake(tmp_path / "kg")
    with FakePool(servers=2, slots=4, latency_s=0.2) as pool:
        words = ["jobs/extract.py", "--input", file, "--id-column", "id", "--output", tmp_path / "kg"]
        words += ["--pool", pool.setting, "--profile", "base"]
        words += ["--set", "run.bucket_size=4", "--set", "run.wave_s=0.001"]
        job = Job(words, tmp_path, remote=remote)
        job.wait_until(lambda: lake.version("attempts") > 1, "two commits of answers")
        job.kill()
        committed = {row["request_id"] for row in lake.rows("attempts")}
        assert 0 < len(committed) < len(_TEXTS)

        done = Job(words, tmp_path, remote=remote).wait()
        assert done.code == 0, done.text
        assert "Going on with the plan of an earlier run" in done.stdout
        check_unique(lake)
        assert {row["request_id"] for row in lake.rows("chunks")} == {
            row["request_id"] for row in lake.rows("attempts")
        }
        assert check_offsets(lake) > 0
        check_derived(lake, general_ontology(), AnswerSettings())
        assert len(lake.view("current_documents")) == len(_TEXTS)
        # What had been committed was asked once; each of the two waves at a time kept to the servers' capacity.
        texts = {row["text"] for row in lake.rows("chunks") if row["request_id"] in committed}
        counts = pool.counts()
        assert {counts.asked[text] for text in texts} == {1}
        assert counts.peak <= 2 * sum(map(capacity, pool.endpoints))

        pool.forget()
        done = Job(words, tmp_path, remote=remote).wait()
        assert done.code == 0, done.text
        assert pool.counts(texts=False).received == 0
    done = Job(["jobs/maintain.py", "--output", tmp_path / "kg"], tmp_path, remote=remote).wait()
    assert done.code == 0, done.text
    assert f"{len(_TEXTS)} rows of 1 finished plan dropped" in done.stdout
    query = ["jobs/sql.py", "--output", tmp_path / "kg", "SELECT count(*) AS n FROM current_documents"]
    done = Job(query, tmp_path, remote=remote).wait()
    assert done.code == 0 and str(len(_TEXTS)) in done.stdout, done.text


def test_a_signal_ends_what_the_server_computes(remote: str, tmp_path: Path) -> None:
    file = tmp_path / "in.txt"
    file.write_text("\n".join(_TEXTS), encoding="utf-8")
    with FakePool(servers=1, slots=2, latency_s=0.5) as pool:
        words = ["jobs/extract.py", "--input", file, "--format", "lines", "--output", tmp_path / "kg"]
        job = Job([*words, "--pool", pool.setting, "--profile", "base"], tmp_path, remote=remote)
        job.wait_until(lambda: pool.counts(texts=False).received > 0, "the first question")
        job.tell(signal.SIGTERM)
        done = job.wait()
        assert done.code == 130, done.text
        assert "the same command goes on" in done.stderr
        pool.wait("open_connections", at_most=0)
        assert pool.counts(texts=False).received < len(_TEXTS)
    assert [row["status"] for row in Lake(tmp_path / "kg").rows("runs")] == ["interrupted"]
