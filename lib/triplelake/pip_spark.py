"""A Spark that pip has installed and nobody has set up: it knows neither Delta Lake nor properties for one machine."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from triplelake.cache import cache_dir
from triplelake.config import conf_dir
from triplelake.errors import SetupError

_CHOSEN = (
    "SPARK_HOME",
    "SPARK_CONF_DIR",
    "SPARK_REMOTE",
    "PYSPARK_SUBMIT_ARGS",
    "PYSPARK_GATEWAY_PORT",  # spark-submit has started this process
    "DATABRICKS_RUNTIME_VERSION",
)
"""Variables by which somebody else has said which Spark is used, and how."""
_COMPLETE = "complete"
"""A file that says that Ivy has not been interrupted."""


class PipSpark:
    """What PySpark is told by its variables: the properties in `conf/`, and Delta Lake's JARs where it lacks them.

    Spark's own Ivy fetches the JARs at the first start, and says so at length. Later starts name them as files, in
    silence. Nothing is told to a Spark that `make setup`, `spark-submit`, a cluster or the user has set up.

    Args:
        environ: variables of this process.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.variables: dict[str, str] = {}
        """What is told, by the names of the variables."""
        self._ivy: Path | None = None
        self._was_told = False
        home = None if any(name in environ for name in _CHOSEN) else _home()
        if home is None or (home / "conf" / "spark-defaults.conf").exists():
            return
        self.variables["SPARK_CONF_DIR"] = str(conf_dir().resolve())
        package = _delta_package()
        if package is None or any((home / "jars").glob("delta-spark_*.jar")):
            return
        try:
            self._ivy = cache_dir() / package.replace(":", "_")
        except SetupError:
            return  # opening the session tells what Spark lacks
        known = sorted((self._ivy / "jars").glob("*.jar")) if (self._ivy / _COMPLETE).exists() else []
        words = ["--jars", ",".join(map(str, known))] if known else _fetched(package, self._ivy)
        self.variables["PYSPARK_SUBMIT_ARGS"] = shlex.join((*words, "pyspark-shell"))

    @contextmanager
    def told(self, environ: MutableMapping[str, str]) -> Iterator[None]:
        """A block that starts Spark; afterwards the variables are as they were, for other programs that are started."""
        environ.update(self.variables)
        self._was_told = True
        try:
            yield
        finally:
            for name in self.variables:
                del environ[name]

    def worked(self) -> None:
        """Remember that Spark has Delta Lake now: what Ivy has fetched, if it was asked, is all there."""
        if self._was_told and self._ivy and (self._ivy / "jars").is_dir():
            (self._ivy / _COMPLETE).touch()


def _fetched(package: str, ivy: Path) -> list[str]:
    """What lets Spark fetch a package to a folder."""
    properties = {"spark.jars.ivy": ivy, "spark.jars.ivySettings": conf_dir().resolve() / "ivysettings.xml"}
    return ["--packages", package, *(word for each in properties.items() for word in ("--conf", "{}={}".format(*each)))]


def _home() -> Path | None:
    found = find_spec("pyspark")
    return Path(found.origin).parent if found and found.origin else None


def _delta_package() -> str | None:
    """The JARs that belong to the installed packages, as Maven names them; None where one of these is missing."""
    try:
        spark, delta = version("pyspark"), version("delta-spark")
    except PackageNotFoundError:
        return None
    return f"io.delta:delta-spark_{'.'.join(spark.split('.')[:2])}_2.13:{delta}"
