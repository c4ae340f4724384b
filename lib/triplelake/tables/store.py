"""Where the tables lie, and the one function that writes to them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock

import pyarrow as pa
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from triplelake.errors import OutputError
from triplelake.filesystems import (
    CHECK_STORE,
    GIVE_LIBRARY,
    absolute,
    beside,
    lacks_library,
    looks_like_catalog,
    one_line,
)
from triplelake.tables.schemas import RUNS, SCHEMA_VERSION, SEQUENCE, TABLES, TRIPLES, Table

_NO_TABLE = ("DELTA_MISSING_DELTA_TABLE", "DELTA_PATH_DOES_NOT_EXIST")
"""What Delta says of a path where there is nothing of its own."""

_VERSION_PROPERTY = "triplelake.schemaVersion"
_CONFIDENCE_PROPERTY = "triplelake.minConfidence"
_PROPERTIES = {
    # What DuckDB, Polars, delta-rs and Trino read without options: reader version 1.
    "delta.enableDeletionVectors": "false",
    "delta.checkpointPolicy": "classic",
    "delta.columnMapping.mode": "none",
    _VERSION_PROPERTY: str(SCHEMA_VERSION),
}


@dataclass(frozen=True, slots=True)
class Commit:
    """What a commit says beside its rows.

    Args:
        txn: application id and version; a version that the table has already seen for the
            application writes nothing at all and does not evaluate the rows.
        note: goes into its metadata.
    """

    txn: tuple[str, int] | None = None
    note: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Store:
    """The tables of one output.

    Args:
        spark: the session.
        output: a path (`out/kg`, `s3://…`) or `catalog.schema`.
    """

    spark: SparkSession = field(repr=False)
    output: str
    guards: list[Callable[[], None]] = field(default_factory=list, init=False, repr=False, compare=False)
    """Asked before each write to a table; the row of a run in `runs`, which also one leaves that was refused, is not
    asked for."""
    _in_catalog: bool = field(init=False, repr=False, compare=False)
    _path: str = field(init=False, repr=False, compare=False)
    _there: set[str] = field(default_factory=set, init=False, repr=False, compare=False)
    _new: set[str] = field(default_factory=set, init=False, repr=False, compare=False)
    _sequences: dict[str, int] = field(default_factory=dict, init=False, repr=False, compare=False)
    _numbering: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_in_catalog", is_in_catalog(self.spark, self.output))
        # Once: what `..` leads to and the folder that the program runs in may change.
        object.__setattr__(self, "_path", "" if self._in_catalog else absolute(self.output, OutputError))

    @property
    def in_catalog(self) -> bool:
        return self._in_catalog

    def location(self, table: Table) -> str:
        """The table's name, or its whole path: Delta takes no other for a table."""
        return f"{self.output}.{table.name}" if self.in_catalog else f"{self._path}/{table.name}"

    def beside(self, name: str) -> str:
        """Where a file goes that people read beside the tables; for a catalog into this folder."""
        return absolute(name) if self.in_catalog else beside(self.output, name)

    def sql_name(self, table: Table) -> str:
        """The table as it stands in a FROM clause of Spark SQL."""
        if self.in_catalog:
            return ".".join(f"`{part}`" for part in self.location(table).split("."))
        return delta_name(self.location(table))

    def read(self, table: Table) -> DataFrame:
        """A table's rows; none before it is made, so that a plan can be drafted without writing."""
        return self.spark.read.table(self.sql_name(table)) if self._filled(table) else self._nothing(table)

    def read_now(self, table: Table) -> DataFrame:
        """The rows of a table as they are now, whatever is committed before they are evaluated.

        A plain read looks at the newest version each time that it is evaluated, so two evaluations may differ. And what
        is persisted of it is lost with the next append to the table: Spark evaluates it anew.
        """
        if not self._filled(table):
            return self._nothing(table)
        newest = self.spark.sql(f"DESCRIBE HISTORY {self.sql_name(table)} LIMIT 1").collect()[0]["version"]
        return self.spark.sql(f"SELECT * FROM {self.sql_name(table)} VERSION AS OF {newest}")

    def notes(self, table: Table, commits: int) -> Iterator[tuple[int, Mapping[str, object]]]:
        """A table's newest commits, newest first: version, and metadata as `append` wrote it, else empty."""
        history = self.spark.sql(f"DESCRIBE HISTORY {self.sql_name(table)} LIMIT {commits}")
        for row in history.select("version", "userMetadata").collect():
            try:
                found = json.loads(row["userMetadata"] or "null")
            except ValueError:
                found = None
            yield row["version"], found if isinstance(found, dict) else {}

    def exists(self, table: Table) -> bool:
        """Whether a table is there. One that was is not looked for again."""
        if table.name not in self._there and self._find(table):
            self._there.add(table.name)
        return table.name in self._there

    def _find(self, table: Table) -> bool:
        # Not by Delta's own library, which over Spark Connect needs another one at the server.
        try:
            return self.spark.catalog.tableExists(self.sql_name(table))
        except AnalysisException as error:
            if error.getCondition() not in _NO_TABLE:
                raise
            return False
        except Exception as error:
            # What a store says that cannot be reached is no error of Spark's own; an unknown one has no class even.
            raise OutputError(
                self.output,
                f"cannot be reached: {one_line(error)}",
                GIVE_LIBRARY if lacks_library(error) else CHECK_STORE,
            ) from error

    def require(self) -> None:
        """Check that the tables are there and are ours.

        Raises:
            OutputError: a table is missing, not Delta, or of another schema version.
        """
        for table in TABLES:
            if not self.exists(table):
                raise OutputError(
                    self.output, f"holds no table `{table.name}`", "Check --output, or run `triplelake extract` first."
                )
            self._check(table)

    def check(self) -> list[Table]:
        """The tables that do not exist yet; those that do are checked.

        Raises:
            OutputError: a table is not ours, or of another schema version.
        """
        missing = [table for table in TABLES if not self.exists(table)]
        for table in TABLES:
            if table not in missing:
                self._check(table)
        return missing

    def create(self, missing: Iterable[Table] | None = None) -> None:
        """Make the tables that do not exist, as `check` has just found them. Runs before any work, never during it.

        Raises:
            OutputError: one cannot be made; without `missing` also as `check`.
        """
        wanted = self.check() if missing is None else missing
        if self.in_catalog:
            schema = ".".join(f"`{part}`" for part in self.output.split("."))
            self._guard(lambda: self.spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
        for table in wanted:
            self._ask()
            try:
                self._guard(partial(self._create, table))
                self._there.add(table.name)
                self._new.add(table.name)
            except OutputError:
                if not self.exists(table):
                    raise
                raise OutputError(
                    self.output, "was made by another run a moment ago", "Wait for its end; the same command goes on."
                ) from None
        # They are made alike, so one of them tells what defaults this Spark has for new tables.
        for table in list(wanted)[:1]:
            self._check(table)

    def append_row(self, table: Table, row: Mapping[str, object], *, run_id: str, commit: Commit = Commit()) -> None:
        """Append one row, given by its columns; those that are missing are null."""
        # From Arrow, because rows of Python objects would go through a worker of their own.
        frame = self.spark.createDataFrame(pa.Table.from_pylist([dict(row)], schema=table.arrow))
        self.append(table, frame, run_id=run_id, commit=commit)

    def append(self, table: Table, frame: DataFrame, *, run_id: str, commit: Commit = Commit()) -> None:
        """Append rows in one atomic commit.

        Args:
            frame: has the table's columns, in any order, but for `sequence`; evaluated exactly once.
            run_id: goes into the commit's metadata.
            commit: what else it says.

        Raises:
            OutputError: a guard refuses.
        """
        if table is not RUNS:
            self._ask()
        if SEQUENCE in table.names:
            frame = frame.withColumn(SEQUENCE, F.lit(self.next_sequence(table)).cast("long"))
        self._new.discard(table.name)
        metadata = json.dumps({"run_id": run_id, **commit.note}, ensure_ascii=False)
        writer = frame.select(*table.names).write.format("delta").mode("append").option("userMetadata", metadata)
        if commit.txn is not None:
            writer = writer.option("txnAppId", commit.txn[0]).option("txnVersion", commit.txn[1])
        # insertInto would ignore the transaction options.
        if self.in_catalog:
            writer.saveAsTable(self.location(table))
        else:
            writer.save(self.location(table))

    def change(self, statement: str) -> DataFrame:
        """Run a statement of SQL that writes to a table of the output.

        Raises:
            OutputError: a guard refuses.
        """
        self._ask()
        return self.spark.sql(statement)

    def _ask(self) -> None:
        for guard in tuple(self.guards):
            guard()

    def replace(self, table: Table, frame: DataFrame, *, run_id: str) -> None:
        """Put rows and columns of a table in place of those that are there, in one atomic commit."""
        self._ask()
        writer = frame.write.format("delta").mode("overwrite").option("overwriteSchema", "true")
        writer = writer.option("userMetadata", json.dumps({"run_id": run_id}))
        if self.in_catalog:
            writer.saveAsTable(self.location(table))
        else:
            writer.save(self.location(table))

    def schema_version(self, table: Table) -> int | None:
        """The schema version of a table that is there; None if it is not, or not ours."""
        found = self._properties(table).get(_VERSION_PROPERTY, "") if self.exists(table) else ""
        return int(found) if found.isdigit() else None

    def set_schema_version(self, table: Table) -> None:
        """Say that a table has today's columns."""
        self.change(
            f"ALTER TABLE {self.sql_name(table)} SET TBLPROPERTIES ({quoted(_VERSION_PROPERTY)} = '{SCHEMA_VERSION}')"
        )

    def min_confidence(self) -> float:
        """The confidence from which on a triple counts as a fact, as the newest run said; 0 for all."""
        found = self._properties(TRIPLES).get(_CONFIDENCE_PROPERTY) if self.exists(TRIPLES) else None
        return float(found) if found else 0.0

    def set_min_confidence(self, least: float) -> None:
        """Say from which confidence on a triple counts as a fact."""
        self.change(
            f"ALTER TABLE {self.sql_name(TRIPLES)} SET TBLPROPERTIES ({quoted(_CONFIDENCE_PROPERTY)} = '{least!r}')"
        )

    def _properties(self, table: Table) -> dict[str, str]:
        # DESCRIBE DETAIL says the same, and counts all files for it: thirty times as slow on a small table.
        rows = self.spark.sql(f"SHOW TBLPROPERTIES {self.sql_name(table)}").collect()
        return {row["key"]: row["value"] for row in rows}

    def next_sequence(self, table: Table) -> int:
        """What the next commit to a table writes as `sequence`: more than any row of it has.

        Delta answers from its statistics, and is asked once for a table, since nobody else writes to it during a run.
        Of `runs` it is asked each time: a run that was refused leaves its row there all the same. No number comes twice
        from one store, so a commit that fails leaves a gap.
        """
        with self._numbering:
            newest = self._sequences.get(table.name, 0)
            if self._filled(table) and (table is RUNS or not newest):
                newest = self.read(table).agg(F.max(SEQUENCE)).collect()[0][0] or 0
            self._sequences[table.name] = newest + 1
            return newest + 1

    def _filled(self, table: Table) -> bool:
        """Whether a table may hold rows."""
        return self.exists(table) and table.name not in self._new

    def _nothing(self, table: Table) -> DataFrame:
        """No rows, of which Spark knows without a look that there are none: it drops the joins with them."""
        return self.spark.createDataFrame(table.arrow.empty_table(), table.spark)

    def _create(self, table: Table) -> None:
        # In SQL, because Delta's own builder takes no name of three parts.
        columns = ", ".join(
            f"`{field.name}` {field.dataType.simpleString()} COMMENT {quoted(column.comment)}"
            for field, column in zip(table.spark, table.columns, strict=True)
        )
        clustering = f" CLUSTER BY ({', '.join(table.cluster_by)})" if table.cluster_by else ""
        properties = ", ".join(f"{quoted(name)} = {quoted(value)}" for name, value in _PROPERTIES.items())
        self.spark.sql(
            f"CREATE TABLE {self.sql_name(table)} ({columns}) USING delta{clustering} "
            f"COMMENT {quoted(table.comment)} TBLPROPERTIES ({properties})"
        )

    def _check(self, table: Table) -> None:
        properties = self._properties(table)
        found = properties.get(_VERSION_PROPERTY)
        if found is None:
            raise OutputError(self.location(table), "is not a table of triplelake", "Choose another --output.")
        if found != str(SCHEMA_VERSION):
            older = found.isdigit() and int(found) < SCHEMA_VERSION
            raise OutputError(
                self.location(table),
                f"has schema version {found}, this is {SCHEMA_VERSION}",
                f"While no run is alive: triplelake maintain --output {self.output} --upgrade"
                if older
                else "Install the version of triplelake that wrote it, or a later one.",
            )
        reader = properties.get("delta.minReaderVersion")
        if reader != "1":
            raise OutputError(
                self.location(table),
                f"needs Delta reader version {reader}, so that other engines cannot read it",
                "Undo the table feature that was added to it, or choose another --output.",
            )

    def _guard(self, action: Callable[[], object]) -> None:
        try:
            action()
        except PySparkException as error:
            first = str(error).strip().splitlines()[0]
            raise OutputError(self.output, f"cannot be made: {first}", "Choose another --output.") from error


def is_in_catalog(spark: SparkSession, output: str) -> bool:
    """Whether an output is `catalog.schema`: a folder may have such a name too.

    Raises:
        OutputError: there is both, or neither.
    """
    if not looks_like_catalog(output):
        return False
    catalog = output.partition(".")[0]
    folder, known = Path(output).is_dir(), _has_catalog(spark, catalog)
    if folder != known:
        return known
    reason = f"is a folder here, and `{catalog}` is a catalog" if known else f"is no folder, and no catalog `{catalog}`"
    raise OutputError(
        output,
        f"{reason}{'' if known else ' is known to Spark'}",
        f"Write ./{output} for a folder. A catalog is named in Spark's settings: spark.sql.catalog.{catalog}.",
    )


def _has_catalog(spark: SparkSession, name: str) -> bool:
    if name == "spark_catalog" or spark.conf.get(f"spark.sql.catalog.{name}", None) is not None:
        return True
    # Databricks names those of Unity Catalog nowhere else.
    return name.casefold() in {str(row[0]).casefold() for row in spark.sql("SHOW CATALOGS").collect()}


def delta_name(location: str) -> str:
    """A path as Delta's table in a FROM clause of Spark SQL."""
    return "delta.`{}`".format(location.replace("`", "``"))


def quoted(text: str) -> str:
    """A string literal of Spark SQL."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
