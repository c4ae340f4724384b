"""An export, from the tables of an output to the files of another tool."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Literal, Protocol, get_args

import pyarrow as pa
from pyspark import StorageLevel
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from rich.console import Console
from rich.filesize import decimal

from triplelake.console import say
from triplelake.errors import Interrupted, UsageError
from triplelake.export.form import File, Form, FormKind, FormOptions, Lines, Part, Row, Source
from triplelake.export.iris import Names
from triplelake.export.target import ExportWriter, Target
from triplelake.prompt.ontology_file import load_ontology
from triplelake.spark import open_session
from triplelake.tables.ontology import stored_ontology
from triplelake.tables.store import Store
from triplelake.tables.views import Views

What = Literal["facts", "triples"]
WHATS: tuple[What, ...] = get_args(What)

_VIEWS: dict[What, str] = {"facts": "facts", "triples": "current_triples"}
_FIRST = ("subject", "predicate", "object")
"""What a person looks for is in the first columns."""

_ROWS_PER_BATCH = 4096
_ENCODED = "text string, rows long, marks long"


@dataclass(frozen=True, slots=True)
class Choice:
    """What is exported, and how.

    Args:
        output: path, or `catalog.schema`, of the tables.
        to: path or URI of the file; of the folder where the form makes one.
        form: one of `triplelake.export.choice.FORMS`.
        where: a condition of Spark SQL over the columns of the view.
        predicates: only these; empty for all.
        plain: CSV without byte order mark and apostrophes.
        ontology: setting of the ontology that names relations in RDF; None for that of the newest run.
        overwrite: an earlier export may be replaced.
    """

    output: str
    to: str
    form: FormKind
    what: What = "facts"
    where: str | None = None
    predicates: tuple[str, ...] = ()
    base_iri: str = "urn:triplelake:"
    plain: bool = False
    ontology: str | None = None
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Args:
        to: the file, or the folder where the form makes one.
        rows: facts or triples.
        bytes: of all files.
    """

    to: str
    rows: int
    bytes: int


def export(choice: Choice, console: Console, spark: SparkSession | None = None) -> Exported:
    """Write the facts or triples of an output to the files of another tool, whole or not at all.

    Args:
        spark: the session of a program that calls.

    Raises:
        UsageError: a condition that Spark does not understand, a base that is no IRI.
        InputError: an ontology that cannot be read.
        OutputError: no tables are there, the target is, or it cannot be written.
        Interrupted: a signal came; nothing is left.
    """
    # What is wrong with the words is told before Spark is started.
    names = Names(choice.base_iri)
    ontology = load_ontology(choice.ontology) if choice.ontology else None
    target = Target(choice.to, choice.form.folder, choice.overwrite)
    target.check()
    spark = open_session("triplelake export", spark)
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", _ROWS_PER_BATCH)
    store = Store(spark, choice.output)
    store.require()
    if choice.form.names_relations and choice.ontology is None:
        ontology = stored_ontology(store)
        if ontology is None:
            say(console, "Names:    the ontology of the newest run is not there; --ontology names it")
    job = _Job(choice, console, choice.form.make(FormOptions(names, ontology, choice.plain)))
    rows = job.selected(Views(store, fixed=True)[_VIEWS[choice.what]])
    try:
        with target.writing() as writer:
            job.write(rows, writer)
    except KeyboardInterrupt:
        raise Interrupted(choice.to, "stopped by a signal", "Nothing was written; give the command again.") from None
    job.tell(target, writer.bytes)
    return Exported(choice.to, job.rows, writer.bytes)


@dataclass
class _Job:
    """One export. `rows` and `marks` are what was written until now."""

    choice: Choice
    console: Console
    form: Form
    rows: int = 0
    marks: int = 0
    frames: dict[Source, DataFrame] = field(default_factory=dict)

    def selected(self, view: DataFrame) -> DataFrame:
        """The rows that were asked for, what people look for in front."""
        found = view
        if self.choice.where:
            try:
                found = found.where(self.choice.where)
                found.schema  # noqa: B018 - Spark Connect reads a condition no earlier
            except PySparkException as error:
                reason = str(error).strip().splitlines()[0]
                columns = f"Columns of {self.choice.what}: {', '.join(view.columns)}."
                raise UsageError(f"--where {self.choice.where}", reason, columns) from None
        if self.choice.predicates:
            found = found.where(F.col("predicate").isin(*self.choice.predicates))
        return found.select(*_FIRST, *(name for name in found.columns if name not in _FIRST))

    def write(self, rows: DataFrame, writer: ExportWriter) -> None:
        files = self.form.files(to_arrow_schema(rows.schema))
        several = len([part for file in files for part in file.parts]) > 1
        if several:
            # The ends of a relationship are nodes only if both are made from the same rows, whatever --where says.
            rows = rows.persist(StorageLevel.DISK_ONLY)
        try:
            self.frames = {"rows": rows, "entities": entities(rows)}
            for file in files:
                writer.write(file.name, self._texts(file))
        finally:
            if several:
                rows.unpersist()

    def tell(self, target: Target, size: int) -> None:
        """What was written."""
        say(self.console, f"Wrote:    {self.choice.to}: {self._count()}, {decimal(size)}")
        if note := self.form.note(self.marks):
            say(self.console, f"Note:     {note}")
        if self.choice.form.load:
            say(self.console, f"Load it:  {self.choice.form.load(Path(target.path), self.marks)}")

    def _count(self) -> str:
        return f"{self.rows:,} {self.choice.what if self.rows != 1 else self.choice.what.removesuffix('s')}"

    def _texts(self, file: File) -> Iterator[str]:
        parts = chain.from_iterable(self._part(part) for part in file.parts)
        return chain([file.head], parts, [file.foot])

    def _part(self, part: Part) -> Iterator[str]:
        with self.console.status(self._count()) as status:
            for lines in stream(self.frames[part.source], part):
                if part.source == "rows":
                    self.rows += lines.rows
                    status.update(self._count())
                self.marks += lines.marks
                yield lines.text


def entities(rows: DataFrame) -> DataFrame:
    """The subjects and objects of rows, each once, by one of its names and types."""
    ends = [
        rows.select(
            F.col(f"{role}_id").alias("entity_id"), F.col(role).alias("name"), F.col(f"{role}_type").alias("type")
        )
        for role in ("subject", "object")
    ]
    once = ends[0].unionByName(ends[1]).groupBy("entity_id")
    return once.agg(F.min("name").alias("name"), F.min("type").alias("type"))


def stream(frame: DataFrame, part: Part) -> Iterator[Lines]:
    """The text of rows, made by Spark's tasks; the driver holds one partition of it at a time."""
    for row in frame.mapInArrow(partial(_encoded, part), _ENCODED).toLocalIterator():
        yield Lines(row["text"], row["rows"], row["marks"])


class _Batch(Protocol):
    def to_pylist(self) -> list[Row]: ...


def _encoded(part: Part, batches: Iterable[_Batch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        lines = part.lines(batch.to_pylist())
        yield pa.RecordBatch.from_pydict({"text": [lines.text], "rows": [lines.rows], "marks": [lines.marks]})
