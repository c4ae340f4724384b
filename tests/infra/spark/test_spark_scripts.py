"""The scripts of infra/spark say what they would do, and what is wrong with what they were told."""

from __future__ import annotations

import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest


def properties(shown: str) -> dict[str, str]:
    words = shlex.split(shown.removeprefix("would run:"))
    return dict(word.split("=", 1) for option, word in pairwise(words) if option == "--conf")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "spark.secret"
    file.touch(mode=0o600)
    file.write_text("a-secret-of-the-tests\n")
    return file


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    file = tmp_path / "triplelake.tar.gz"
    file.touch()
    return file


def test_daemons_are_told_and_not_started(script: Any, secret: Path, tmp_path: Path) -> None:
    own = ("--prefix", tmp_path, "--secret-file", secret, "--dry-run")
    done = script("cluster.py", "master", "--host", "10.0.0.1", *own)
    assert done.returncode == 0, done.stderr
    assert "org.apache.spark.deploy.master.Master --host 10.0.0.1 --webui-port 8080 --port 7077" in done.stdout
    worker = ("--host", "10.0.0.2", "--master", "spark://10.0.0.1:7077", "--cores", "4", "--memory", "8g")
    done = script("cluster.py", "worker", *worker, *own)
    assert "--cores 4 --memory 8g spark://10.0.0.1:7077" in done.stdout
    assert "a-secret-of-the-tests" not in done.stdout
    assert not (tmp_path / "spark").exists()
    done = script("cluster.py", "stop", "--prefix", tmp_path)
    assert (done.returncode, done.stdout) == (0, f"nothing of {tmp_path / 'spark'} runs\n")


def test_a_job_is_told_with_the_properties_of_its_store(script: Any, secret: Path, archive: Path) -> None:
    cluster = ("--master", "spark://10.0.0.1:7077", "--archive", archive, "--secret-file", secret, "--dry-run")
    done = script("submit.py", *cluster, "--store", "s3", "--", "--conf", "a.b=c", "jobs/extract.py", "--input", "x y")
    assert done.returncode == 0, done.stderr
    chosen = properties(done.stdout)
    assert chosen["spark.archives"] == f"{archive}#triplelake_env"
    assert chosen["spark.executorEnv.PYTHONPATH"] == "triplelake_env"
    assert chosen["spark.hadoop.fs.s3.impl"] == "org.apache.hadoop.fs.s3a.S3AFileSystem"
    assert chosen["spark.authenticate"] == "true"
    assert "a-secret-of-the-tests" not in done.stdout
    assert done.stdout.endswith("--conf a.b=c jobs/extract.py --input 'x y'\n")


def test_a_job_for_kubernetes_is_told(script: Any) -> None:
    cluster = ("--master", "k8s://https://10.0.0.1:6443", "--image", "registry.example/triplelake:0.1.0", "--dry-run")
    done = script("submit.py", *cluster, "--store", "gcs", "--", "local:///opt/triplelake/jobs/extract.py")
    assert done.returncode == 0, done.stderr
    chosen = properties(done.stdout)
    assert chosen["spark.submit.deployMode"] == "cluster"
    assert chosen["spark.kubernetes.driver.secretKeyRef.TRIPLELAKE__API_KEY"] == "llama:api-key"
    assert "spark.archives" not in chosen


_MASTER = ["cluster.py", "master", "--host"]
_SUBMIT = ["submit.py", "--master"]


@pytest.mark.parametrize(
    ("words", "code", "subject", "remedy"),
    [
        ([*_MASTER, "10.0.0.1"], 2, "--secret-file: is missing", "openssl rand"),
        ([*_MASTER, "127.0.0.1", "--secret-file", "no"], 2, "no: cannot be read", "Check --secret-file"),
        ([*_MASTER, "127.0.0.1", "--secret-file", "open"], 2, "open: can be read by others", "chmod 600"),
        ([*_MASTER, "127.0.0.1", "--secret-file", "empty"], 2, "empty: holds no secret", "openssl rand"),
        (["cluster.py", "worker", "--host", "127.0.0.1"], 2, "cluster.py worker: the following arguments", "--help"),
        ([*_SUBMIT, "yarn", "--", "job.py"], 2, "yarn: is neither", "Check --master"),
        ([*_SUBMIT, "spark://h:7077", "--archive", "no", "--", "job.py"], 3, "no: is not there", "make dist"),
        ([*_SUBMIT, "k8s://https://h", "--", "job.py"], 2, "--image: is missing", "infra/spark/Dockerfile"),
    ],
)
def test_bad_usage_is_told_with_a_remedy(
    script: Any, tmp_path: Path, words: list[str], code: int, subject: str, remedy: str
) -> None:
    (tmp_path / "open").write_text("readable\n")
    (tmp_path / "open").chmod(0o644)
    (tmp_path / "empty").touch(mode=0o600)
    done = script(*words)
    told = done.stderr.splitlines()
    assert done.returncode == code, done.stderr
    assert told[0].startswith(f"error: {subject}")
    assert told[1].startswith("  ") and remedy in told[1]
    assert len(told) == 2
