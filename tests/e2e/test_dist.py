"""`make dist`: the wheel is whole, an empty environment runs it, and bare executors run the archive."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from harness.deadline import DEADLINE_S
from harness.jobs import ROOT, own_spark
from harness.servers import API_KEY, Counted

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


def build(out: Path, *words: str) -> Path:
    """Run `make dist` to a folder."""
    subprocess.run([sys.executable, ROOT / "infra" / "build_dist.py", "--out", out, *words], check=True)
    return out


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (wheel,) = build(tmp_path_factory.mktemp("wheel"), "--wheel-only").iterdir()
    return wheel


def test_the_wheel_holds_every_module_and_setting(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        inside = set(packed.namelist())
    modules = {str(file.relative_to(ROOT / "lib")) for file in (ROOT / "lib" / "triplelake").rglob("*.py")}
    conf = ROOT / "conf"
    settings = {f"triplelake/conf/{file.relative_to(conf)}" for file in conf.rglob("*") if file.is_file()}
    assert modules | settings <= inside
    assert not [name for name in inside if name.startswith(("tests/", "infra/"))]


class Installed:
    """An environment into which pip has installed the wheel, with nothing beside it, and a folder to work in.

    Its Spark is as pip leaves it, without Delta Lake's JARs.
    """

    def __init__(self, wheel: Path, folder: Path) -> None:
        self.folder = folder / "work"
        self.folder.mkdir()
        self._binaries = folder / "env" / "bin"
        subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
        # -I: what a PYTHONPATH shows counts as installed to pip.
        pip = (self._binaries / "python", "-I", "-m", "pip", "install", "--quiet", f"{wheel}[spark,completion]")
        subprocess.run(pip, check=True, stdin=subprocess.DEVNULL)
        kept = {name: os.environ[name] for name in ("HOME", "JAVA_HOME", "MAVEN_URL", "PATH") if name in os.environ}
        told = {"XDG_CACHE_HOME": str(folder / "cache"), "TRIPLELAKE__RUN__PREFLIGHT": "false", "COLUMNS": "200"}
        self._environment = {**kept, **told, "LANG": "C.UTF-8", "TRIPLELAKE__API_KEY": API_KEY}

    def order(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Run the command `triplelake`."""
        return subprocess.run(
            [self._binaries / "triplelake", *map(str, words)],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
        )

    def python(self, program: str) -> str:
        """What a program prints."""
        return subprocess.run(
            [self._binaries / "python", "-c", program],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(wheel, tmp_path_factory.mktemp("installed"))


@pytest.mark.infra  # makes an environment with a Spark of its own
def test_installed_command_tells_its_version_options_and_errors(installed: Installed, wheel: Path) -> None:
    version = wheel.name.split("-")[1]
    told = installed.order("--version")
    assert (told.returncode, told.stdout, told.stderr) == (0, f"triplelake {version}\n", "")
    told = installed.order("extract", "--help")
    assert told.returncode == 0 and "\nthe texts:\n  --input PATH" in told.stdout
    told = installed.order("extract", "--input", "nothing.jsonl", "--output", "out")
    assert told.returncode == 3 and "error: nothing.jsonl: no such file or folder" in told.stderr
    told = installed.order("extract", "--inptu", "nothing.jsonl")
    assert told.returncode == 2 and "Did you mean --input?" in told.stderr
    told = installed.order("--print-completion", "bash")
    assert told.returncode == 0 and "tune-prompt" in told.stdout


@pytest.mark.infra
def test_installed_package_explains_itself(installed: Installed) -> None:
    text = installed.python("import triplelake; help(triplelake)")
    assert "triplelake extract --input" in text and "class TriplelakeError(" in text and "\nVERSION\n" in text


@pytest.mark.infra
def test_installed_package_brings_the_files_to_edit(installed: Installed) -> None:
    told = installed.order("extract", "--init", "my", "--lang", "zh")
    assert told.returncode == 0 and "triplelake extract --config my/extract.yaml" in told.stdout
    assert (installed.folder / "my" / "prompts" / "zh-Hans.yaml").is_file()


@pytest.mark.spark
@pytest.mark.infra  # fetches 87 MB
def test_installed_command_runs_on_the_spark_that_pip_brought(installed: Installed, scripted: Counted) -> None:
    told = installed.order("demo", "--pool", scripted.url, "--output", "kg")
    assert told.returncode == 0, told.stderr
    assert len(scripted.asked) == 72
    assert "io.delta#delta-spark_4.1_2.13" in told.stderr, "Spark fetches Delta Lake and says so"
    told = installed.order("sql", "--output", "kg", "SELECT count(*) AS read FROM current_documents")
    assert told.returncode == 0 and "│ 72 " in told.stdout
    # Later starts are silent, but for a line of Java's own.
    assert [line for line in told.stderr.splitlines() if "jdk.incubator.vector" not in line] == []
    for format in ("csv", "nq"):
        told = installed.order("export", "--output", "kg", "--to", f"facts.{format}")
        assert told.returncode == 0 and (installed.folder / f"facts.{format}").stat().st_size > 1000, told.stderr
    told = installed.order("report", "--output", "kg", "--to", "kg.html")
    assert told.returncode == 0 and "<svg" in (installed.folder / "kg.html").read_text(encoding="utf-8"), told.stderr
    printed = installed.python(f"""
import triplelake
known = triplelake.open("kg")
articles = known.spark.createDataFrame([("a", "青河流经松城，最后注入金湖。")], "url string, body string")
run = triplelake.extract(articles, output="frame", id_column="url", text_column="body", pool="{scripted.url}")
print(known.documents.count(), run.counts.documents, run.triples.count() == run.counts.triples > 0)
""")
    assert printed == "72 1 True\n"


@pytest.mark.spark
@pytest.mark.infra  # makes an environment and starts a small cluster
def test_bare_executors_run_triplelake_from_the_archive(tmp_path: Path) -> None:
    (archive,) = build(tmp_path / "dist").glob("*.tar.gz")
    spark_home = own_spark(tmp_path / "spark")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    python = tmp_path / "bare" / "bin" / "python"
    assert subprocess.run([python, "-I", "-c", "import triplelake"], capture_output=True).returncode != 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "job.py").write_text(JOB, encoding="utf-8")
    command: list[str | Path] = [
        *(spark_home / "bin" / "spark-submit", "--master", "local-cluster[2,1,1024]"),
        *("--archives", f"{archive}#triplelake_env"),
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
