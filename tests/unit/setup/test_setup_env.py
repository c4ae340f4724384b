"""Set-up: the right Java, the right JARs, Spark's settings in place, nothing done twice."""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from pytest_httpserver import HTTPServer

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def setup_env(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("setup_env", ROOT / "infra" / "setup_env.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("JAVA_HOME", "SPARK_HOME", "SPARK_CONF_DIR"):
        monkeypatch.delenv(name, raising=False)
    return module


@pytest.fixture
def env(tmp_path: Path) -> Path:
    """An environment's folder, with the spaces and the quote that a person's home can hold."""
    folder = tmp_path / "my friend's env"
    (folder / "bin").mkdir(parents=True)
    return folder


def fake_java(home: Path, version: str) -> Path:
    """A Java that tells its version, else its JAVA_HOME and its arguments, one a line."""
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True, exist_ok=True)
    script = f"""#!/bin/sh
[ "$1" = -version ] && {{ echo 'openjdk version "{version}" 2025-01-01' >&2; exit 0; }}
printf '%s\\n' "$JAVA_HOME" "$@"
"""
    java.write_text(script, encoding="utf-8")
    java.chmod(0o755)
    return java


@pytest.mark.parametrize(
    ("told", "major"), [("17.0.15", 17), ("21.0.8", 21), ("21", 21), ("1.8.0_402", 1), ("25-ea", 25)]
)
def test_java_version_is_the_major_one(setup_env: ModuleType, tmp_path: Path, told: str, major: int) -> None:
    assert setup_env.java_version(fake_java(tmp_path, told)) == major


def test_a_java_that_does_not_start_has_no_version(setup_env: ModuleType, tmp_path: Path) -> None:
    java = fake_java(tmp_path, "17")
    java.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    assert setup_env.java_version(java) is None
    assert setup_env.java_version(tmp_path / "absent") is None


def test_java_home_comes_first_and_a_wrong_version_is_passed_over(
    setup_env: ModuleType, env: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, good = fake_java(tmp_path / "8", "1.8.0_402"), fake_java(tmp_path / "21", "21.0.8")
    monkeypatch.setenv("PATH", str(good.parent))
    assert setup_env.find_java(env) == good
    monkeypatch.setenv("JAVA_HOME", str(old.parent.parent))
    assert setup_env.find_java(env) == good
    monkeypatch.setenv("PATH", str(old.parent))
    assert setup_env.find_java(env) is None
    monkeypatch.setenv("JAVA_HOME", str(good.parent.parent))
    assert setup_env.find_java(env) == good


def test_the_environments_own_shim_is_no_java_of_the_machine(
    setup_env: ModuleType, env: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_java(env, "21.0.8")
    monkeypatch.setenv("PATH", str(env / "bin"))
    assert setup_env.find_java(env) is None


def test_the_shim_drops_the_vector_module_and_nothing_else(setup_env: ModuleType, env: Path, tmp_path: Path) -> None:
    setup_env.write_java_shim(env, fake_java(tmp_path / "a java", "21"))
    arguments = ["-Xmx1g", "--add-modules=jdk.incubator.vector", "-Dname=two words", "", "$HOME", "*"]
    done = subprocess.run([env / "bin" / "java", *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str(env), "-Xmx1g", "-Dname=two words", "", "$HOME", "*"]


def with_jar_list(setup_env: ModuleType, monkeypatch: pytest.MonkeyPatch, folder: Path, body: bytes) -> None:
    listed = folder / "infra" / "jars.txt"
    listed.parent.mkdir(parents=True)
    listed.write_text(f"# why\n\nio/delta/x/1/delta-x-1.jar {hashlib.sha256(body).hexdigest()}\n", encoding="utf-8")
    monkeypatch.setattr(setup_env, "JAR_LIST", listed)
    monkeypatch.setattr(setup_env, "ROOT", folder)


def test_jars_are_fetched_once_and_older_ones_removed(
    setup_env: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, httpserver: HTTPServer
) -> None:
    with_jar_list(setup_env, monkeypatch, tmp_path, b"jar")
    httpserver.expect_oneshot_request("/maven/io/delta/x/1/delta-x-1.jar").respond_with_data(b"jar")
    jars = tmp_path / "jars"
    jars.mkdir()
    for name in ("delta-x-0.jar", "spark-core.jar", "the-users-own.jar"):
        (jars / name).write_bytes(b"")
    for _ in range(2):
        setup_env.fetch_jars(jars, httpserver.url_for("/maven/"))
    assert sorted(f.name for f in jars.iterdir()) == ["delta-x-1.jar", "spark-core.jar", "the-users-own.jar"]
    assert (jars / "delta-x-1.jar").read_bytes() == b"jar"
    assert len(httpserver.log) == 1


def test_a_jar_with_another_hash_is_refused(
    setup_env: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, httpserver: HTTPServer
) -> None:
    with_jar_list(setup_env, monkeypatch, tmp_path, b"jar")
    httpserver.expect_request("/io/delta/x/1/delta-x-1.jar").respond_with_data(b"malice")
    jars = tmp_path / "jars"
    jars.mkdir()
    with pytest.raises(setup_env.SetupFailed, match=r"delta-x-1\.jar: is not the file that infra/jars\.txt names"):
        setup_env.fetch_jars(jars, httpserver.url_for(""))
    assert list(jars.iterdir()) == []


def test_a_repository_that_lacks_a_jar_is_named(
    setup_env: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, httpserver: HTTPServer
) -> None:
    with_jar_list(setup_env, monkeypatch, tmp_path, b"jar")
    httpserver.expect_request("/io/delta/x/1/delta-x-1.jar").respond_with_data(b"", status=404)
    (tmp_path / "jars").mkdir()
    with pytest.raises(setup_env.SetupFailed, match=r"(?s)delta-x-1\.jar: HTTP Error 404.*MAVEN_URL"):
        setup_env.fetch_jars(tmp_path / "jars", httpserver.url_for(""))


def test_every_listed_jar_has_a_path_and_a_hash(setup_env: ModuleType) -> None:
    listed = dict(setup_env._read_jar_list(setup_env.JAR_LIST))
    assert "io/delta/delta-spark_4.1_2.13/4.4.0/delta-spark_4.1_2.13-4.4.0.jar" in listed
    for path, digest in listed.items():
        *_, artifact, version, name = path.split("/")
        assert name == f"{artifact}-{version}.jar"
        assert len(bytes.fromhex(digest)) == 32


def test_spark_sees_the_projects_settings_as_they_stand(setup_env: ModuleType, tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    for _ in range(2):
        setup_env.write_spark_conf(tmp_path / "env", conf)
    for name in ("spark-defaults.conf", "log4j2.properties"):
        assert (conf / name).resolve() == ROOT / "conf" / name
    shell = subprocess.run(
        ["sh", "-c", f". {conf}/spark-env.sh; echo $JAVA_HOME"], capture_output=True, text=True, check=True
    )
    assert shell.stdout.strip() == str(tmp_path / "env")


def test_no_script_where_spark_could_not_source_it(setup_env: ModuleType, env: Path) -> None:
    setup_env.write_spark_conf(env, env / "conf")
    assert not (env / "conf" / "spark-env.sh").exists()


def test_nothing_is_done_twice_until_something_changes(
    setup_env: ModuleType, env: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[str] = []
    monkeypatch.setattr(setup_env, "set_up", lambda _env, extras: done.append(extras))
    assert setup_env.main(["--env", str(env), "--extras", "spark"]) == 0
    assert "Ready" in capsys.readouterr().out
    assert setup_env.main(["--env", str(env), "--extras", "spark"]) == 0
    assert capsys.readouterr().out == ""
    assert setup_env.main(["--env", str(env), "--extras", "spark,dev"]) == 0
    monkeypatch.setenv("JAVA_HOME", str(fake_java(env / "jdk", "21").parent.parent))
    assert setup_env.main(["--env", str(env), "--extras", "spark,dev"]) == 0
    assert done == ["spark", "spark,dev", "spark,dev"]


def test_a_failed_set_up_is_begun_again(
    setup_env: ModuleType, env: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise setup_env.SetupFailed("pip ended with 1\nno matching distribution")

    monkeypatch.setattr(setup_env, "set_up", fail)
    for _ in range(2):
        assert setup_env.main(["--env", str(env)]) == 1
        assert "no matching distribution" in capsys.readouterr().err


def test_a_folder_with_other_things_in_it_is_left_alone(setup_env: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years", encoding="utf-8")
    with pytest.raises(setup_env.SetupFailed, match="no Python environment"):
        setup_env.make_venv(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_a_command_that_fails_tells_its_last_lines(setup_env: ModuleType) -> None:
    with pytest.raises(setup_env.SetupFailed, match="ended with 3\nwhy"):
        setup_env.run(sys.executable, "-c", "print('why'); raise SystemExit(3)")


def test_another_spark_in_the_shell_is_told(setup_env: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(setup_env.warnings()) == []
    monkeypatch.setenv("SPARK_HOME", "/opt/spark-3.5")
    assert "/opt/spark-3.5" in next(setup_env.warnings())
