"""From the input to a DataFrame of documents with their identity, and of rejected records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from triplelake.config import CorpusFormat, Settings
from triplelake.corpus.columns import (
    Columns,
    choose_columns,
    record_from_fields,
    refuse_html,
)
from triplelake.corpus.files import fingerprint
from triplelake.corpus.inputs import FoundInput
from triplelake.corpus.readers import READERS, read_split
from triplelake.corpus.splits import Split
from triplelake.engine.planning.spark_input import SparkInput
from triplelake.engine.planning.tabular import Rows, unfolded
from triplelake.spark import parallelism
from triplelake.tables.batches import record_batches
from triplelake.triples.identity import doc_version
from triplelake.types import Record, Rejected

_SAMPLED_ROWS = 50
_SAMPLED_IDS = 500
_TEXTS = ("source", "place", "given_id", "title", "text", "doc_version", "reason")
_ARROW = pa.schema(
    [
        *((name, pa.string()) for name in _TEXTS),
        ("meta", pa.map_(pa.string(), pa.string())),
        ("lines", pa.int64()),
        ("cut", pa.bool_()),
    ]
)
_RECORD = from_arrow_schema(_ARROW)


@dataclass(frozen=True)
class Source:
    """An input that was found and looked at, not yet read.

    Args:
        description: for people: how many files, of what format.
        columns: the columns chosen.
        fingerprint: changes when the input does.
        records: one row per record, readable or not.
        sample: fields of some records, all columns of them; only called where there is something to be told of them.
        encodings: for people: which encoding, in which files.
        id_prefix: put before ids that are given.
        notes: for people: files that may not be what they are read as.
    """

    description: str
    columns: Columns
    fingerprint: str
    records: DataFrame
    sample: Callable[[], Sequence[Mapping[str, object]]]
    encodings: tuple[str, ...] = ()
    id_prefix: str = ""
    notes: tuple[str, ...] = ()

    def documents(self, limit: int | None = None, sample: int | None = None, seed: int = 0) -> DataFrame:
        """Records with an identity: `doc_id, doc_version, source, place, title, text, meta, reason`.

        Of a rejected one also `lines`, how many are lost with it, and `cut`, whether its source was read no further.

        A document without an id is named by its content, with a rank among equals; a second record
        with an id that was seen is rejected.

        Args:
            limit: so many records, the first ones.
            sample: so many, drawn by `seed`; the same seed draws the same of the same input.
        """
        # The rows of a table have no place.
        order = ("source", F.length("place"), "place", "doc_version")
        # Ordered, so that the same command reads the same documents.
        records = self.records.orderBy(*order).limit(limit) if limit else self.records
        if sample:
            drawn = F.xxhash64(F.lit(seed), "place", "doc_version")
            records = records.orderBy(drawn, *order).limit(sample)
        given = F.col("given_id").isNotNull()
        identity = F.coalesce(F.concat(F.lit(self.id_prefix), "given_id"), "doc_version")
        same = Window.partitionBy(identity, given).orderBy(*order)
        rank = F.row_number().over(same)
        readable = F.col("reason").isNull()
        return (
            records.withColumn("_rank", F.when(readable, rank))
            .withColumn(
                "reason", F.when(given & (F.col("_rank") > 1), "its id was seen before").otherwise(F.col("reason"))
            )
            .withColumn(
                "doc_id",
                F.when(given | (F.col("_rank") == 1), identity).otherwise(F.concat(identity, F.lit("-"), "_rank")),
            )
            .select("doc_id", "doc_version", "source", "place", "title", "text", "meta", "reason", "lines", "cut")
        )


def open_source(spark: SparkSession, settings: Settings, found: FoundInput, frame: DataFrame | None = None) -> Source:
    """Make the input that was found a DataFrame.

    Args:
        frame: rows that a program gives, in place of the table that the settings name.

    Raises:
        UsageError: several inputs of a kind that is read one at a time.
        InputError: what only Spark can see: no such table, or a column that it does not have.
    """
    if found.columns is None:
        source = _open_with_spark(spark, settings, found.format, frame)
    else:
        source = _open_files(spark, found, found.columns)
    return replace(source, id_prefix=settings.corpus.id_prefix)


def _open_files(spark: SparkSession, found: FoundInput, columns: Columns) -> Source:
    splits = found.splits
    tasks = min(len(splits), 10 * parallelism(spark))
    seeds = spark.createDataFrame(
        [(i % tasks, s.path, s.relative, s.format, s.start, s.end, s.encoding) for i, s in enumerate(splits)],
        "task int, path string, relative string, format string, start long, end long, encoding string",
    )
    records = seeds.repartitionById(tasks, "task").drop("task").mapInArrow(_FileReader(columns), schema=_RECORD)
    if tasks < parallelism(spark):
        # A file that only one task can read is still chunked by all.
        records = records.repartition(parallelism(spark))
    sample = [record.fields for record in found.sample]
    return Source(
        found.description(),
        columns,
        fingerprint(found.files),
        records,
        lambda: sample,
        found.encodings,
        notes=found.notes(),
    )


def _open_with_spark(spark: SparkSession, settings: Settings, form: CorpusFormat, given: DataFrame | None) -> Source:
    there = SparkInput(spark, settings.input, form)
    rows = there.rows() if given is None else Rows(given)
    shape = rows.shape()
    columns = choose_columns(list(shape.fields), settings.corpus, shape, unfolded)
    rows.check(columns)
    frame = rows.frame
    if settings.corpus.html_to_text is None:
        texts = frame.select(rows.column(columns.text)).limit(_SAMPLED_ROWS).collect()
        refuse_html(there.name, [row[0] for row in texts if row[0]])
    # Nobody can tell whether a DataFrame that is given holds the same rows as at an earlier call.
    version = there.version() if given is None else uuid4().hex
    names = dict.fromkeys((columns.text, columns.title, *columns.id, *columns.keep))
    wanted = F.struct(*(rows.column(each).alias(each) for each in names if each is not None))
    fields = frame.select(there.source().alias("_source"), there.place().alias("_place"), wanted.alias("_fields"))
    records = fields.mapInArrow(_RowReader(columns), schema=_RECORD)
    return Source(
        form if given is None else "a DataFrame",
        columns,
        version,
        records,
        lambda: [row.asDict(recursive=True) for row in frame.limit(_SAMPLED_IDS).collect()],
    )


class _FileReader:
    """Reads splits; a class because Spark pickles it to the executors."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for row in batch.to_pylist():
                split = Split(**row)
                path_id = split.relative if READERS[split.format].whole_file else None
                rows = (_identified(record, path_id) for record in read_split(split, self._columns))
                yield from record_batches(rows, _ARROW)


class _RowReader:
    """Turns rows that Spark read into records."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows = (
                _identified(record_from_fields(row["_source"], row["_place"], row["_fields"], self._columns), None)
                for row in batch.to_pylist()
            )
            yield from record_batches(rows, _ARROW)


def _identified(record: Record | Rejected, path_id: str | None) -> dict[str, object]:
    if isinstance(record, Rejected):
        return {name: getattr(record, name) for name in ("source", "place", "reason", "lines", "cut")}
    return {
        "source": record.source,
        "place": record.place,
        "given_id": record.id if record.id is not None else path_id,
        "title": record.title,
        "text": record.text,
        "meta": dict(record.meta),
        "doc_version": doc_version(record.text, record.title),
    }
