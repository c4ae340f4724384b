"""A job started by `spark-submit` finds Delta Lake and prints nothing of Spark's own; other tests start by `python`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pyspark = pytest.importorskip("pyspark")

JOB = """
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
spark.range(10).write.format("delta").save("table")
assert spark.read.format("delta").load("table").count() == 10
"""


@pytest.mark.spark
def test_a_job_writes_delta_and_is_silent(tmp_path: Path) -> None:
    if not (Path(pyspark.__file__).parent / "conf" / "spark-defaults.conf").exists():
        pytest.fail("this environment is not set up; run: make setup")
    (tmp_path / "job.py").write_text(JOB, encoding="utf-8")
    binaries = Path(sys.executable).parent
    dropped = ("SPARK_HOME", "SPARK_CONF_DIR", "PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON", "PYSPARK_SUBMIT_ARGS")
    environment = {name: value for name, value in os.environ.items() if name not in dropped}
    environment["PATH"] = f"{binaries}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        [binaries / "spark-submit", "job.py"],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stdout) == (0, "")
