"""What a Spark that came by pip alone is told, and which Sparks are left alone."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from triplelake import pip_spark
from triplelake.config import conf_dir
from triplelake.pip_spark import PipSpark

DELTA = "io.delta:delta-spark_4.1_2.13:4.4.0"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an installed pyspark without Delta Lake."""
    home = tmp_path / "pyspark"
    (home / "jars").mkdir(parents=True)
    monkeypatch.setattr(pip_spark, "_home", lambda: home)
    monkeypatch.setattr(pip_spark, "version", {"pyspark": "4.1.4", "delta-spark": "4.4.0"}.__getitem__)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return home


def told() -> dict[str, str]:
    return PipSpark({"PATH": "/bin"}).variables


def test_it_fetches_delta_lake_and_reads_the_projects_properties(home: Path, tmp_path: Path) -> None:
    environ = told()
    assert (Path(environ["SPARK_CONF_DIR"]) / "spark-defaults.conf").is_file()
    flag, package, *rest, last = shlex.split(environ["PYSPARK_SUBMIT_ARGS"])
    assert (flag, package, last) == ("--packages", DELTA, "pyspark-shell")
    assert f"spark.jars.ivySettings={conf_dir() / 'ivysettings.xml'}" in rest
    assert f"spark.jars.ivy={tmp_path}/cache/triplelake/{DELTA.replace(':', '_')}" in rest


def test_what_was_fetched_is_used_once_spark_has_started_with_it(home: Path, tmp_path: Path) -> None:
    spark = PipSpark({})
    jars = tmp_path / "cache" / "triplelake" / DELTA.replace(":", "_") / "jars"
    spark.worked()  # without Spark: nothing was fetched
    jars.mkdir(parents=True)
    for name in ("b.jar", "a.jar"):
        (jars / name).touch()
    assert "--packages" in told()["PYSPARK_SUBMIT_ARGS"], "Ivy may have been interrupted"
    spark.worked()
    assert "--packages" in told()["PYSPARK_SUBMIT_ARGS"], "Spark was there, and started by somebody else"
    with spark.told({}):
        pass  # Spark starts
    spark.worked()
    assert shlex.split(told()["PYSPARK_SUBMIT_ARGS"]) == [
        "--jars",
        f"{jars / 'a.jar'},{jars / 'b.jar'}",
        "pyspark-shell",
    ]


def test_jars_that_are_there_are_not_fetched(home: Path) -> None:
    (home / "jars" / "delta-spark_4.1_2.13-4.4.0.jar").touch()
    assert set(told()) == {"SPARK_CONF_DIR"}


def test_a_spark_that_is_set_up_is_left_alone(home: Path) -> None:
    (home / "conf").mkdir()
    (home / "conf" / "spark-defaults.conf").touch()
    assert told() == {}


@pytest.mark.parametrize("name", ["SPARK_HOME", "SPARK_REMOTE", "PYSPARK_SUBMIT_ARGS", "PYSPARK_GATEWAY_PORT"])
def test_a_spark_that_somebody_chose_is_left_alone(name: str, home: Path) -> None:
    assert PipSpark({name: "theirs"}).variables == {}


def test_a_folder_that_others_may_write_to_is_not_fetched_to(home: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache" / "triplelake"
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    assert set(told()) == {"SPARK_CONF_DIR"}


def test_without_spark_nothing_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pip_spark, "_home", lambda: None)
    assert told() == {}


def test_the_variables_are_told_to_spark_alone(home: Path) -> None:
    environ = {"PATH": "/bin"}
    spark = PipSpark(environ)
    with pytest.raises(RuntimeError), spark.told(environ):
        assert environ == {"PATH": "/bin", **spark.variables}
        raise RuntimeError
    assert environ == {"PATH": "/bin"}
