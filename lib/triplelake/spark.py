"""The Spark session that a command runs in."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from uuid import uuid4

from py4j.protocol import Py4JError
from pyspark import SparkContext
from pyspark.errors import AnalysisException, PySparkException
from pyspark.logger import PySparkLogger
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from triplelake.errors import SetupError
from triplelake.filesystems import one_line
from triplelake.interrupts import held
from triplelake.pip_spark import PipSpark
from triplelake.version import __version__

_SETTINGS: Mapping[str, str] = {
    # A row here is a document or a question to a model: few of them make a batch.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "64",
    # Spark's default is INT96, which Parquet has given up and some readers refuse.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
}
_LOGGERS = ("SQLQueryContextLogger", "DataFrameQueryContextLogger")
_MOST_TASKS = 1 << 14
_JOB_TAG = f"triplelake-{uuid4().hex}"
"""Of this process, since a cluster's other notebooks may share its Spark context."""
_NO_TABLE = "delta.`/no-such-table-of-triplelake`"
DELTA_PACKAGE = "io.delta:delta-spark_4.1_2.13:4.4.0"
_JAVA_REMEDY = "Spark 4.1 needs Java 17 or 21. `make setup` brings both; or set JAVA_HOME."
_PROPERTIES_REMEDY = "Check Spark's properties: conf/spark-defaults.conf, --conf, --packages, --jars."
_REMOTE_REMEDY = "Check SPARK_REMOTE (sc://HOST:15002), or unset it to start Spark here."


def open_session(name: str, given: SparkSession | None = None) -> SparkSession:
    """The session that is given, or that `spark-submit` or the notebook made; else a new one from Spark's own
    configuration, or of the Spark Connect server that the variable SPARK_REMOTE names.

    Raises:
        SetupError: Java is missing, the server is not there, or Delta is not on Spark's classpath.
    """
    pip_spark = PipSpark(os.environ)
    spark = given or SparkSession.getActiveSession() or _start(name, pip_spark)
    # Its import makes errors of Delta errors of PySpark. Not at the top: executors unpickle functions of modules that
    # import this one, and need not have the package.
    import delta.exceptions  # noqa: F401

    _know_s3(spark)
    if not _has_delta(spark):
        raise SetupError("Spark", "has no Delta Lake on its classpath", _delta_remedy())
    pip_spark.worked()
    # Each error of a query is a line of JSON to PySpark; here it is raised, and told once.
    for logger in _LOGGERS:
        PySparkLogger.getLogger(logger).setLevel(logging.CRITICAL)
    for setting, value in _SETTINGS.items():
        spark.conf.set(setting, value)
    return spark


@contextmanager
def lent(given: SparkSession | None) -> Iterator[None]:
    """A block in which sessions are opened that belong to somebody: afterwards they are set as they were before."""
    spark = given or SparkSession.getActiveSession()
    before = {name: spark.conf.get(name, None) if spark else None for name in _SETTINGS}
    levels = {name: PySparkLogger.getLogger(name).level for name in _LOGGERS}
    try:
        yield
    finally:
        for name, level in levels.items():
            PySparkLogger.getLogger(name).setLevel(level)
        if spark := given or SparkSession.getActiveSession():
            for name, value in before.items():
                if value is None:
                    spark.conf.unset(name)
                else:
                    spark.conf.set(name, value)


def _start(name: str, pip_spark: PipSpark) -> SparkSession:
    # Spark starts its workers with the first python3 of the PATH, which need not be this one.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    try:
        with held(), pip_spark.told(os.environ):
            return SparkSession.builder.appName(name).getOrCreate()
    except Exception as error:
        if remote := os.environ.get("SPARK_REMOTE"):
            raise SetupError(remote, f"is no Spark Connect server: {one_line(error)}", _REMOTE_REMEDY) from error
        # Java itself says what is wrong with Spark's properties or its JARs.
        remedy = _JAVA_REMEDY if not isinstance(error, Py4JError) else _PROPERTIES_REMEDY
        raise SetupError("Spark", f"does not start: {one_line(error)}", remedy) from error


def parallelism(spark: SparkSession) -> int:
    """Tasks that run at the same time."""
    if context := _context(spark):
        return context.defaultParallelism
    # Spark Connect does not tell. A range is cut into as many parts, where nobody says otherwise.
    return spark.range(_MOST_TASKS).select(F.spark_partition_id()).distinct().count()


def driver_host(spark: SparkSession) -> str | None:
    """The address at which executors reach this process; None over Spark Connect, where there is none."""
    context = _context(spark)
    if context is None:
        return None
    return "127.0.0.1" if (context.master or "").startswith("local") else spark.conf.get("spark.driver.host", None)


@contextmanager
def cancellable(spark: SparkSession) -> Iterator[None]:
    """What this thread asks Spark to compute within the block is ended by `cancel_all`.

    The session's own tag does not do: Spark takes it off the thread as soon as a query within a query is done, such as
    the look at Delta's log before a table is read, and what comes after it is not found by `interruptAll`.
    """
    context = _context(spark)
    if context is None:
        yield  # a Spark Connect server finds what it computes for a session
        return
    context.addJobTag(_JOB_TAG)
    try:
        yield
    finally:
        context.removeJobTag(_JOB_TAG)


def cancel_all(spark: SparkSession) -> None:
    """End what Spark computes now in the `cancellable` blocks of all threads."""
    if context := _context(spark):
        context.cancelJobsWithTag(_JOB_TAG)
    else:
        spark.interruptAll()


def versions(spark: SparkSession) -> dict[str, str]:
    """Versions of what computes the tables."""
    try:
        delta = version("delta-spark")
    except PackageNotFoundError:
        delta = "not installed as a package"
    return {"spark": spark.version, "triplelake": __version__, "delta-spark": delta}


def _context(spark: SparkSession) -> SparkContext | None:
    """The context behind a session; None over Spark Connect, where it is the server's."""
    try:
        return spark.sparkContext
    except PySparkException:
        return None


def _know_s3(spark: SparkSession) -> None:
    """Let s3:// mean to Spark what it means to all others: Hadoop calls that s3a://, unless it is told otherwise."""
    try:
        hadoop = spark._jsc.hadoopConfiguration()
    except AttributeError:
        return  # Spark Connect: the server's own settings count
    for scheme in ("s3", "s3n"):
        if hadoop.get(f"fs.{scheme}.impl") is None:
            hadoop.set(f"fs.{scheme}.impl", "org.apache.hadoop.fs.s3a.S3AFileSystem")


def _has_delta(spark: SparkSession) -> bool:
    try:
        spark.catalog.tableExists(_NO_TABLE)
    except Exception as error:
        # Delta reads the name as a path, and says that nothing of its own is there; without it, Spark lacks a class.
        return isinstance(error, AnalysisException) and (error.getCondition() or "").startswith("DELTA_")
    return _is_databricks(spark)


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
