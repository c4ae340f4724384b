"""Parquet, Delta and tables as Spark sees them: what is in their columns, and how a name is found there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.pandas.types import from_arrow_type

from triplelake.corpus.columns import Columns
from triplelake.corpus.files import CorpusFile
from triplelake.corpus.paths import cuts
from triplelake.corpus.shapes import LIST, OBJECT, TEXT, Each, Shape, Way
from triplelake.errors import InputError
from triplelake.filesystems import locate

_MAP, _BYTES = "a map", "bytes"
_SEEN = 2  # of each kind: of one record alone, objects side by side could be taken for documents
_NO_ID = frozenset({OBJECT, LIST, _MAP, _BYTES})
_MOST_DIGITS = 38
_REWRITE = (
    "Leave it out, or write it as text or in microseconds first. In Python: "
    "pyarrow.parquet.write_table(table, FILE, coerce_timestamps='us', allow_truncated_timestamps=True)"
)


@dataclass(frozen=True)
class Rows:
    """An input that Spark reads.

    Args:
        frame: without the columns that Spark cannot read.
        unread: what these are, by their names.
    """

    frame: DataFrame
    unread: Mapping[str, str] = field(default_factory=dict)

    def shape(self) -> Shape:
        """What the columns hold, by their types."""
        shape = _shape(self.frame.schema)
        for name, what in self.unread.items():
            shape.fields.setdefault(name, Shape(Counter({what: _SEEN}), certain=True))
        return shape

    def column(self, name: str) -> Column:
        """The column under a name, found as `paths.look_up` does."""
        found = _inside(self.frame.schema, None, name)
        if found is None:
            raise KeyError(name)
        return found

    def check(self, columns: Columns) -> None:
        """Refuse what can be no id, title or kept column.

        Raises:
            InputError: a column of a type that Spark does not read, or that has no values for people.
        """
        shape = self.shape()
        roles = {"id_column": columns.id, "title_column": (columns.title,), "keep_columns": columns.keep}
        for setting, names in roles.items():
            for name in names:
                there = shape.find(name) if name is not None else None
                kind = next(iter(there.kinds), "") if there is not None else ""
                if name is None or not kind:
                    continue
                if name in self.unread:
                    reason = f"is {self.unread[name]}, which Spark does not read (corpus.{setting})"
                    raise InputError(name, reason, _REWRITE)
                if kind == _BYTES or (setting == "id_column" and kind in _NO_ID):
                    remedy = "Name a column with text, numbers or dates, or what is inside it."
                    raise InputError(name, f"is {kind} (corpus.{setting})", remedy)


def rescued(spark: SparkSession, paths: Sequence[str], files: Sequence[CorpusFile]) -> Rows | None:
    """Parquet that Spark refuses since it does not know the type of a column: without this column.

    None where it is refused for something else.

    Args:
        paths: what is read, as Spark takes it.
        files: the same, one by one; the first that holds something tells the columns, as with Spark.
    """
    first = next((file for file in files if file.size), None)
    if first is None:
        return None
    place = locate(first.path)
    try:
        with place.fs.open_input_file(place.path) as stream:
            schema = pq.ParquetFile(stream, coerce_int96_timestamp_unit="us").schema_arrow
    except (OSError, pa.ArrowException):
        return None
    unread: dict[str, str] = {}
    known = _known(schema, unread, "")
    if not unread or not known.fields:
        return None
    return Rows(spark.read.schema(known).parquet(*paths), unread)


def unfolded(way: Way) -> str:
    """What to do where a list or a map is on the way to the text."""
    cut = max(index for index, step in enumerate(way.steps) if isinstance(step, Each))
    before = ".".join(step for step in way.steps[:cut] if isinstance(step, str))
    after = "".join(f".{step}" for step in way.steps[cut + 1 :])
    return (
        f"The text lies in a list, `{before}`. Make a row of each item first, in Spark SQL: "
        f"SELECT *, explode({before}) AS item FROM …\nThen: --text-column item{after}"
    )


def _inside(schema: T.DataType, column: Column | None, name: str) -> Column | None:
    """What is under a name in a struct or a map; `column` is None for the row itself."""
    if isinstance(schema, T.MapType) and column is not None:
        for first, rest in cuts(name):
            if (found := _inside(schema.valueType, column.getItem(first), rest)) is not None:
                return found
        return column.getItem(name)
    if not isinstance(schema, T.StructType):
        return None
    fields = {each.name: each.dataType for each in schema.fields}

    def at(first: str) -> Column:
        # A dot or a backtick in a name stands for itself between backticks.
        return F.col(f"`{first.replace('`', '``')}`") if column is None else column.getField(first)

    if name in fields:
        return at(name)
    inner = (_inside(fields[first], at(first), rest) for first, rest in cuts(name) if first in fields)
    return next((each for each in inner if each is not None), None)


def _shape(of: T.DataType) -> Shape:
    shape = Shape(Counter({_kind(of): _SEEN}), certain=True)
    if isinstance(of, T.StructType):
        shape.fields = {each.name: _shape(each.dataType) for each in of.fields}
    elif isinstance(of, T.ArrayType):
        shape.items = _shape(of.elementType)
    elif isinstance(of, T.MapType):
        shape.values = _shape(of.valueType)
    return shape


def _kind(of: T.DataType) -> str:
    if isinstance(of, T.StringType | T.CharType | T.VarcharType):
        return TEXT
    if isinstance(of, T.StructType):
        return OBJECT
    if isinstance(of, T.ArrayType):
        return LIST
    if isinstance(of, T.BinaryType):
        return _BYTES
    return _MAP if isinstance(of, T.MapType) else f"of type {of.simpleString()}"


def _known(fields: pa.Schema | pa.StructType, unread: dict[str, str], within: str) -> T.StructType:
    """The fields of which Spark knows the types; what the others are goes into `unread`."""
    found = []
    for each in fields:
        name = f"{within}{each.name}"
        of = _known(each.type, unread, f"{name}.") if pa.types.is_struct(each.type) else _spark_type(each.type)
        if of is None:
            unread[name] = _told(each.type)
        else:
            found.append(T.StructField(each.name, of))
    return T.StructType(found)


def _spark_type(of: pa.DataType) -> T.DataType | None:
    """As what Spark reads an Arrow type from Parquet; None if it does not."""
    if pa.types.is_dictionary(of):
        return _spark_type(of.value_type)
    if pa.types.is_struct(of):
        inner: dict[str, str] = {}
        known = _known(of, inner, "")
        return None if inner else known
    if pa.types.is_list(of) or pa.types.is_large_list(of):
        item = _spark_type(of.value_type)
        return None if item is None else T.ArrayType(item)
    if pa.types.is_map(of):
        key, value = _spark_type(of.key_type), _spark_type(of.item_type)
        return None if key is None or value is None else T.MapType(key, value)
    if pa.types.is_timestamp(of) and of.unit == "ns":
        return None
    if pa.types.is_time(of) or (pa.types.is_decimal(of) and of.precision > _MOST_DIGITS):
        return None
    if pa.types.is_uint64(of):
        return T.DecimalType(20, 0)
    if pa.types.is_duration(of):
        return T.LongType()
    try:
        return from_arrow_type(of, prefer_timestamp_ntz=True)
    except PySparkException:
        return None


def _told(of: pa.DataType) -> str:
    if pa.types.is_timestamp(of):
        return "a timestamp in nanoseconds"
    return f"of type {of}"
