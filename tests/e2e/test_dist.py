"""`make dist`: the wheel is whole, and executors that have nothing of the project run it from the archive."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest
from harness.jobs import ROOT, own_spark

# Its function runs in executors whose Python has no package at all: pyspark comes with Spark, the rest in the archive.
JOB = """
import json

from pyspark.sql import SparkSession


def look(batches):
    import os
    import sys

    import pyarrow as pa
    import triplelake.text
    import triplelake.types

    for batch in batches:
        yield pa.RecordBatch.from_pydict({
            "python": [sys.executable],
            "cwd": [os.getcwd()],
            "module": [triplelake.types.__file__],
            "lang": [triplelake.text.detect_language("魯迅生於紹興，著有吶喊。")],
        })


spark = SparkSession.builder.getOrCreate()
rows = spark.range(0, 4, 1, 4).mapInArrow(look, "python string, cwd string, module string, lang string").collect()
print(json.dumps([row.asDict() for row in rows]))
spark.stop()
"""


class Dist(NamedTuple):
    wheel: Path
    archive: Path


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Dist:
    out = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, ROOT / "infra" / "build_dist.py", "--out", out], check=True)
    return Dist(*out.glob("*.whl"), *out.glob("*.tar.gz"))


def test_the_wheel_holds_every_module_and_setting(dist: Dist) -> None:
    with zipfile.ZipFile(dist.wheel) as wheel:
        inside = set(wheel.namelist())
    modules = {str(file.relative_to(ROOT / "lib")) for file in (ROOT / "lib" / "triplelake").rglob("*.py")}
    conf = ROOT / "conf"
    settings = {f"triplelake/conf/{file.relative_to(conf)}" for file in conf.rglob("*") if file.is_file()}
    assert modules | settings <= inside
    assert not [name for name in inside if name.startswith(("tests/", "infra/"))]


@pytest.mark.spark
@pytest.mark.infra  # makes an environment and starts a small cluster
def test_bare_executors_run_triplelake_from_the_archive(dist: Dist, tmp_path: Path) -> None:
    spark_home = own_spark(tmp_path / "spark")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    python = tmp_path / "bare" / "bin" / "python"
    assert subprocess.run([python, "-I", "-c", "import triplelake"], capture_output=True).returncode != 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "job.py").write_text(JOB, encoding="utf-8")
    command: list[str | Path] = [
        *(spark_home / "bin" / "spark-submit", "--master", "local-cluster[2,1,1024]"),
        *("--archives", f"{dist.archive}#triplelake_env"),
        *("--conf", "spark.executorEnv.PYTHONPATH=triplelake_env"),
        "job.py",
    ]
    kept = {name: os.environ[name] for name in ("HOME", "JAVA_HOME", "LANG", "PATH") if name in os.environ}
    environment = kept | {
        "SPARK_HOME": str(spark_home),
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "PYSPARK_PYTHON": str(python),
    }
    done = subprocess.run(
        command, cwd=elsewhere, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert len(seen) == 4
    for row in seen:
        work_dir = Path(row["cwd"])
        assert work_dir.is_relative_to((spark_home / "work").resolve())
        assert Path(row["module"]).is_relative_to(work_dir / "triplelake_env")
        assert row["python"] == str(python)
        assert row["lang"] == "zh-Hant"
