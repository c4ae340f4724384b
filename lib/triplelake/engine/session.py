"""The Spark session that a command runs in."""

from __future__ import annotations

import os
import sys
from importlib.metadata import PackageNotFoundError, version

from delta.tables import DeltaTable
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from triplelake.errors import SetupError

_ROWS_PER_BATCH = 64
_NO_TABLE = "no-such-table-of-triplelake"
DELTA_PACKAGE = "io.delta:delta-spark_4.1_2.13:4.4.0"


def open_session(name: str) -> SparkSession:
    """The session that `spark-submit` or the notebook made, else a new one from Spark's own configuration.

    Raises:
        SetupError: Java is missing or Delta is not on Spark's classpath; the remedy is a command.
    """
    # Spark starts its workers with the first python3 of the PATH, which need not be this one.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    try:
        spark = SparkSession.builder.appName(name).getOrCreate()
    except Exception as error:
        raise SetupError(
            "Spark",
            f"does not start: {_first_line(error)}",
            "Spark 4.1 needs Java 17 or 21. `make setup` brings both; or set JAVA_HOME.",
        ) from error
    if not _has_delta(spark):
        raise SetupError("Spark", "has no Delta Lake on its classpath", _delta_remedy())
    # A row here is a document or a question to a model: few of them make a batch.
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", _ROWS_PER_BATCH)
    return spark


def parallelism(spark: SparkSession) -> int:
    """Tasks that run at the same time; over Spark Connect, what the shuffle is set to."""
    try:
        return spark.sparkContext.defaultParallelism
    except PySparkException:
        return int(spark.conf.get("spark.sql.shuffle.partitions", "8") or 8)


def driver_host(spark: SparkSession) -> str | None:
    """The address at which executors reach this process; None over Spark Connect, where there is none."""
    try:
        master = spark.sparkContext.master or ""
    except PySparkException:
        return None
    return "127.0.0.1" if master.startswith("local") else spark.conf.get("spark.driver.host", None)


def cancel_all(spark: SparkSession) -> None:
    """End what Spark computes for this session now, in whatever thread it was asked for."""
    spark.interruptAll()


def versions(spark: SparkSession) -> dict[str, str]:
    """Versions of what computes the tables."""
    found = {"spark": spark.version}
    for package in ("triplelake", "delta-spark"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed as a package"
    return found


def _has_delta(spark: SparkSession) -> bool:
    try:
        DeltaTable.isDeltaTable(spark, _NO_TABLE)
    except (TypeError, PySparkException):
        # Py4J finds a package where the class should be, or Spark cannot find the data source.
        return False
    extensions = spark.conf.get("spark.sql.extensions", "") or ""
    return "DeltaSparkSessionExtension" in extensions or _is_databricks(spark)


def _is_databricks(spark: SparkSession) -> bool:
    return spark.conf.get("spark.databricks.clusterUsageTags.sparkVersion", None) is not None


def _delta_remedy() -> str:
    return (
        "Start it with Delta, for example:\n"
        f"  spark-submit --packages {DELTA_PACKAGE} \\\n"
        "    --conf spark.sql.extensions=io.delta.sql.DeltaSparkSessionExtension \\\n"
        "    --conf spark.sql.catalog.spark_catalog=org.apache.spark.sql.delta.catalog.DeltaCatalog jobs/extract.py …\n"
        "`make setup` writes these lines to the Spark of its own environment."
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
