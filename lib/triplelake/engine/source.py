"""From the input to a DataFrame of documents with their identity, and of rejected records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
from py4j.protocol import Py4JError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from triplelake.config import CorpusFormat, Settings
from triplelake.corpus.columns import (
    Columns,
    choose_columns,
    first_records,
    names_of,
    record_from_fields,
    refuse_html,
    texts_of,
)
from triplelake.corpus.files import CorpusFile, detect_format, fingerprint, list_files, list_roots
from triplelake.corpus.jq import advice
from triplelake.corpus.looks import describe, look_at, refuse_unless_text
from triplelake.corpus.many import notes_on
from triplelake.corpus.parquet import refuse_damaged
from triplelake.corpus.readers import read_split
from triplelake.corpus.readers.lines import TEXT
from triplelake.corpus.readers.raw import RawRecord
from triplelake.corpus.shapes import shape_of
from triplelake.corpus.splits import Split, plan_splits
from triplelake.engine.session import parallelism
from triplelake.errors import InputError, UsageError
from triplelake.filesystems import CHECK_STORE, GIVE_LIBRARY, absolute, lacks_library, one_line, without_wildcards
from triplelake.tables.batches import record_batches
from triplelake.tables.store import delta_name
from triplelake.triples.identity import doc_version, stable_hash
from triplelake.types import Record, Rejected

_SPARK_FORMATS = frozenset({"parquet", "delta", "table"})
_NESTING = frozenset({"json", "jsonl"})
_ONE_DOCUMENT_PER_FILE = "text"
_SAMPLED_SPLITS = 5
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
        order = ("source", F.length("place"), "place")
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


@dataclass(frozen=True)
class Found:
    """An input as far as it can be seen without Spark.

    Args:
        format: never `auto`.
        files: sorted by path; empty where Spark reads the input.
        splits: of the files.
        columns: chosen; None where Spark reads the input.
        sample: the first records.
        encodings: for people: which encoding, in which files.
    """

    format: CorpusFormat
    files: tuple[CorpusFile, ...] = ()
    splits: tuple[Split, ...] = ()
    columns: Columns | None = None
    sample: tuple[RawRecord, ...] = ()
    encodings: tuple[str, ...] = ()


def find_input(settings: Settings) -> Found:
    """Find the input, and choose its columns where Spark is not needed to see them.

    Raises:
        UsageError: no input was named.
        InputError: nothing there, nothing in it, mixed formats, a file that is no plain text or no whole Parquet, or
            whose encoding is unclear, a column that does not exist, or HTML that nobody has spoken of.
    """
    if not settings.input:
        raise UsageError("--input", "is missing", "Name files, folders, globs, a Delta path or a table.")
    if settings.corpus.format in _SPARK_FORMATS - {"parquet"}:
        return Found(settings.corpus.format)
    files = list_files(settings.input)
    formats = {settings.corpus.format} if settings.corpus.format != "auto" else set(map(_format, files))
    if len(formats) > 1:
        raise InputError(
            ", ".join(settings.input),
            f"holds files of several formats: {', '.join(sorted(formats))}",
            "Name one of them with --format and a glob, and run once per format.",
        )
    form = formats.pop()
    if form in _SPARK_FORMATS:
        refuse_damaged(files)
        return Found(form)
    looks = look_at(files, form, settings.corpus.encoding)
    splits = plan_splits(looks, settings.corpus.split_mb << 20)
    firsts = [first_records(split) for split in splits[:_SAMPLED_SPLITS]]
    sampled = [each for first in firsts for each in first]
    records = [each for each in sampled if isinstance(each, RawRecord)]
    names = names_of(records)
    if not names or not any(file.size for file in files):
        problems = [each for each in sampled if isinstance(each, Rejected)]
        raise nothing_readable(settings, [(problem.source, problem.place, problem.reason) for problem in problems])
    shape = shape_of(record.fields for record in records) if form in _NESTING else None
    many = any(len(first) > 1 for first in firsts)
    columns = choose_columns(names, settings.corpus, shape, lambda way: advice(way, looks[0], many=many))
    if settings.corpus.html_to_text is None:
        refuse_html(", ".join(settings.input), texts_of(records, columns.text))
    return Found(form, tuple(files), tuple(splits), columns, tuple(records), tuple(describe(looks)))


def _format(file: CorpusFile) -> CorpusFormat:
    try:
        return detect_format(file.path)
    except InputError:
        refuse_unless_text(file)  # of a .docx there is more to say than that its ending is not known
        raise


def nothing_readable(settings: Settings, problems: Sequence[tuple[str, str, str]]) -> InputError:
    """The error for an input without a document.

    Args:
        problems: source, place and reason of some records that cannot be read; none where there are no records.
    """
    name = ", ".join(settings.input)
    if not problems:
        return InputError(name, "holds no documents", "Check --input; empty files hold nothing to extract from.")
    first = "\n".join(f"  {source} {place}: {reason}" for source, place, reason in problems[:2])
    return InputError(name, "none of its records can be read", f"The first are:\n{first}")


def open_source(spark: SparkSession, settings: Settings, found: Found) -> Source:
    """Make the input that was found a DataFrame.

    Raises:
        UsageError: several inputs of a kind that is read one at a time.
        InputError: what only Spark can see: no such table, or a column that it does not have.
    """
    if found.columns is None:
        source = _open_with_spark(spark, settings, found.format)
    else:
        source = _open_files(spark, found, found.columns)
    return replace(source, id_prefix=settings.corpus.id_prefix)


def _open_files(spark: SparkSession, found: Found, columns: Columns) -> Source:
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
    count = len(found.files)
    notes: tuple[str, ...] = ()
    description = f"{count} file{'s' if count > 1 else ''}, {found.format}"
    if found.format == _ONE_DOCUMENT_PER_FILE:
        description += " (each one document; --format lines makes one of each line)"
        notes = () if columns.html else notes_on(found.files, _texts(found))
    sample = [record.fields for record in found.sample]
    return Source(description, columns, fingerprint(found.files), records, lambda: sample, found.encodings, "", notes)


def _texts(found: Found) -> dict[str, str]:
    """What was read already of files that are documents, by their paths."""
    if len(found.sample) != min(len(found.splits), _SAMPLED_SPLITS):
        return {}  # some could not be read, and the records do not say of which file they are
    return {split.path: str(record.fields[TEXT]) for split, record in zip(found.splits, found.sample, strict=False)}


def _open_with_spark(spark: SparkSession, settings: Settings, form: str) -> Source:
    name = settings.input[0]
    if form != "parquet" and len(settings.input) > 1:
        raise UsageError("--input", f"names several {form} inputs; one is read at a time", "Run once for each.")
    try:
        if form == "table":
            frame = spark.read.table(name)
        else:
            frame = spark.read.format(form).load(_parquet_paths(settings) if form == "parquet" else absolute(name))
        names = frame.columns
    except AnalysisException as error:
        if error.getCondition() == "COLUMN_ALREADY_EXISTS":
            raise _alike(name, error) from None
        raise InputError(name, f"cannot be read as {form}: {str(error).splitlines()[0]}", "Check --input.") from None
    except (Py4JError, PySparkException) as error:
        # What a store says that cannot be reached is no error of Spark's own.
        raise InputError(
            name, f"cannot be reached: {one_line(error)}", GIVE_LIBRARY if lacks_library(error) else CHECK_STORE
        ) from error
    columns = choose_columns(names, settings.corpus)
    if settings.corpus.html_to_text is None:
        rows = frame.select(F.col(f"`{columns.text}`").cast("string")).limit(_SAMPLED_ROWS).collect()
        refuse_html(name, [row[0] for row in rows if row[0]])
    version = _table_version(spark, name, form) if form != "parquet" else fingerprint(list_files(settings.input))
    wanted = [c for c in dict.fromkeys((columns.text, columns.title, *columns.id, *columns.keep)) if c is not None]
    place = F.col("_metadata.row_index").cast("string") if form == "parquet" else F.lit("")
    source = F.col("_metadata.file_path") if form == "parquet" else F.lit(name)
    fields = frame.select(source.alias("_source"), place.alias("_place"), F.struct(*wanted).alias("_fields"))
    records = fields.mapInArrow(_RowReader(columns), schema=_RECORD)
    return Source(
        form, columns, version, records, lambda: [row.asDict() for row in frame.limit(_SAMPLED_IDS).collect()]
    )


def _alike(name: str, error: AnalysisException) -> InputError:
    column = (error.getMessageParameters() or {}).get("columnName", "").strip("`")
    return InputError(
        name,
        f"has several columns that differ by upper and lower case only: `{column}`",
        "Rename one of them; or let Spark tell them apart: spark-submit --conf spark.sql.caseSensitive=true.",
    )


def _parquet_paths(settings: Settings) -> list[str]:
    """What the input names, so that Spark finds the same: its wildcards are others, and it knows no `~`."""
    return [without_wildcards(absolute(root)) for root in list_roots(settings.input)]


def _table_version(spark: SparkSession, name: str, form: str) -> str:
    table = delta_name(absolute(name)) if form == "delta" else name
    try:
        row = spark.sql(f"DESCRIBE HISTORY {table} LIMIT 1").select("version", "timestamp").collect()[0]
    except AnalysisException:
        # Not every catalog table has a history; then the plan is made anew each time.
        return stable_hash(name, str(spark.sql("SELECT uuid()").collect()[0][0]))
    return stable_hash(name, str(row["version"]), str(row["timestamp"]))


class _FileReader:
    """Reads splits; a class because Spark pickles it to the executors."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for row in batch.to_pylist():
                split = Split(**row)
                whole_file = split.format == _ONE_DOCUMENT_PER_FILE
                path_id = split.relative if whole_file else None
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
