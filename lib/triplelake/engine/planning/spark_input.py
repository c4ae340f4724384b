"""What Spark reads by itself, by the name of its format: Parquet, a Delta table at a path, a table of a catalog."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

from py4j.protocol import Py4JError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from triplelake.config import CorpusFormat
from triplelake.corpus.files import fingerprint, list_files, list_roots
from triplelake.engine.planning.tabular import Rows, rescued
from triplelake.errors import InputError, UsageError
from triplelake.filesystems import CHECK_STORE, GIVE_LIBRARY, absolute, lacks_library, one_line, without_wildcards
from triplelake.tables.store import delta_name
from triplelake.triples.identity import stable_hash


@dataclass(frozen=True)
class SparkInput:
    """An input that Spark reads, not yet opened.

    Args:
        inputs: what the settings name.
        format: one of `SPARK_READS`.
    """

    spark: SparkSession
    inputs: tuple[str, ...]
    format: CorpusFormat

    def __post_init__(self) -> None:
        if self.format != "parquet" and len(self.inputs) > 1:
            raise UsageError(
                "--input", f"names several {self.format} inputs; one is read at a time", "Run once for each."
            )

    @property
    def name(self) -> str:
        """The input for people, the first where there are several."""
        return self.inputs[0]

    def rows(self) -> Rows:
        """The rows as Spark sees them.

        Raises:
            InputError: there is no such input, or it cannot be read or reached.
        """
        paths = self._parquet_paths() if self.format == "parquet" else []
        try:
            if self.format == "table":
                return Rows(self.spark.read.table(self.name))
            return Rows(self.spark.read.format(self.format).load(paths or absolute(self.name)))
        except (Py4JError, PySparkException) as error:
            if paths and (rows := rescued(self.spark, paths, list_files(self.inputs))) is not None:
                return rows
            if isinstance(error, AnalysisException):
                if error.getCondition() == "COLUMN_ALREADY_EXISTS":
                    raise _alike(self.name, error) from None
                first = str(error).splitlines()[0]
                raise InputError(self.name, f"cannot be read as {self.format}: {first}", "Check --input.") from None
            # What a store says that cannot be reached is no error of Spark's own.
            raise InputError(
                self.name,
                f"cannot be reached: {one_line(error)}",
                GIVE_LIBRARY if lacks_library(error) else CHECK_STORE,
            ) from error

    def version(self) -> str:
        """What changes when the rows do."""
        if self.format == "parquet":
            return fingerprint(list_files(self.inputs))
        table = delta_name(absolute(self.name)) if self.format == "delta" else self.name
        try:
            row = self.spark.sql(f"DESCRIBE HISTORY {table} LIMIT 1").select("version", "timestamp").collect()[0]
        except AnalysisException:
            # Not every catalog table has a history; then the plan is made anew each time.
            return uuid4().hex
        return stable_hash(self.name, str(row["version"]), str(row["timestamp"]))

    def source(self) -> Column:
        """Where a row comes from: its file, or the table."""
        return F.col("_metadata.file_path") if self.format == "parquet" else F.lit(self.name)

    def place(self) -> Column:
        """Where a row stands in its file; the rows of a table have no place."""
        return F.col("_metadata.row_index").cast("string") if self.format == "parquet" else F.lit("")

    def _parquet_paths(self) -> list[str]:
        """What the input names, so that Spark finds the same: its wildcards are others, and it knows no `~`."""
        return [without_wildcards(absolute(root)) for root in list_roots(self.inputs)]


def _alike(name: str, error: AnalysisException) -> InputError:
    column = (error.getMessageParameters() or {}).get("columnName", "").strip("`")
    return InputError(
        name,
        f"has several columns that differ by upper and lower case only: `{column}`",
        "Rename one of them; or let Spark tell them apart: spark-submit --conf spark.sql.caseSensitive=true.",
    )
