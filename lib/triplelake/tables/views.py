"""The queries that people read: answers, current_triples, facts, entities, relations, failures.

Each is one SELECT over the tables, with `$name` where a table's or view's name goes. In a catalog
they are views; beside a path they are written to `<output>/sql/{spark,duckdb}.sql`. The engine reads
through the same SELECTs, so that people and program cannot disagree.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from string import Formatter, Template

from pyspark.sql import DataFrame

from triplelake.errors import InputError
from triplelake.filesystems import locate, one_line
from triplelake.tables.current import CURRENT_DOCUMENTS, QUERIES
from triplelake.tables.schemas import TABLES
from triplelake.tables.store import Store, delta_name

log = logging.getLogger(__name__)

VIEWS: dict[str, str] = {
    "answers": """
SELECT * FROM (
  SELECT *, row_number() OVER (
    PARTITION BY request_id
    ORDER BY CASE WHEN status = 'failed' THEN 1 ELSE 0 END,
             CASE WHEN status <> 'failed' THEN coalesce(sequence, 0) END ASC,
             CASE WHEN status <> 'failed' THEN finished_at END ASC,
             coalesce(sequence, 0) DESC, finished_at DESC) AS answer_rank
  FROM $attempts) ranked
WHERE answer_rank = 1""",
    "current_documents": CURRENT_DOCUMENTS,
    "current_triples": """
SELECT t.* FROM $triples t
JOIN $current_documents d
  ON t.doc_id = d.doc_id AND t.doc_version = d.doc_version
 AND t.extraction_key = d.extraction_key AND t.derivation = d.derivation""",
    # The probability that at least one text is right, were their errors independent: a noisy-or. A text counts once, by
    # its surest mention, since copies of a sentence err together.
    "facts": """
SELECT * FROM (
SELECT fact_id,
       min(subject) AS subject, predicate, min(object) AS object,
       subject_id, object_id,
       min(subject_type) AS subject_type, min(object_type) AS object_type,
       count(*) AS mentions,
       count(DISTINCT doc_id) AS documents,
       count(DISTINCT evidence) AS texts,
       1 - exp(sum(CASE WHEN text_rank = 1 AND confidence IS NOT NULL THEN ln(1 - least(confidence, 0.999999)) END))
         AS confidence,
       min(extracted_at) AS first_seen, max(extracted_at) AS last_seen,
       min(evidence) AS example
FROM (
  SELECT fact_id, coalesce(fact_predicate, predicate) AS predicate, doc_id, evidence, extracted_at, confidence,
         row_number() OVER (PARTITION BY fact_id, evidence ORDER BY coalesce(confidence, 0) DESC) AS text_rank,
         CASE WHEN inverted THEN object ELSE subject END AS subject,
         CASE WHEN inverted THEN subject ELSE object END AS object,
         CASE WHEN inverted THEN object_id ELSE subject_id END AS subject_id,
         CASE WHEN inverted THEN subject_id ELSE object_id END AS object_id,
         CASE WHEN inverted THEN object_type ELSE subject_type END AS subject_type,
         CASE WHEN inverted THEN subject_type ELSE object_type END AS object_type
  FROM $current_triples
  WHERE grounding <> 'none' AND $flag_count = 0) read_as_facts
GROUP BY fact_id, predicate, subject_id, object_id) with_confidence
WHERE coalesce(confidence, 0) >= $least_confidence""",
    "entities": """
SELECT entity_id, min(surface) AS name, min(type) AS type,
       count(*) AS mentions, count(DISTINCT doc_id) AS documents,
       count(DISTINCT fact_id) AS facts
FROM (
  SELECT subject_id AS entity_id, subject AS surface, subject_type AS type, doc_id, fact_id
  FROM $current_triples WHERE grounding <> 'none'
  UNION ALL
  SELECT object_id AS entity_id, object AS surface, object_type AS type, doc_id, fact_id
  FROM $current_triples WHERE grounding <> 'none') arguments
GROUP BY entity_id""",
    "relations": """
SELECT predicate, count(*) AS mentions, count(DISTINCT fact_id) AS facts,
       count(DISTINCT doc_id) AS documents,
       count(CASE WHEN $flag_count > 0 THEN 1 END) AS flagged
FROM $current_triples
GROUP BY predicate""",
    "failures": """
SELECT c.doc_id, c.ordinal, c.text, a.request_id, a.error_code, a.error_message, a.completion, a.tries, a.finished_at
FROM $answers a JOIN $chunks c ON a.request_id = c.request_id
JOIN $current_documents d
  ON c.doc_id = d.doc_id AND c.doc_version = d.doc_version AND c.extraction_key = d.extraction_key
WHERE a.status = 'failed'""",
}
"""Views by name, each after those that it reads."""

_TABLES = {table.name: table for table in TABLES}


_RELATIVE = (
    "-- Start DuckDB in the folder of the tables, duckdb -init sql/duckdb.sql: a copy of the folder then reads itself.",
    "SELECT CASE WHEN count(*) = 0 THEN error('start DuckDB in the folder that holds the tables and sql/') END"
    " AS tables_are_here FROM glob('./runs/_delta_log/*.json');",
)
# Delta in Spark takes no relative path, and a URI has no folder that anything is started in.
_WHOLE = """\
-- It reads the tables of {}
-- wherever this file lies. After they were copied or moved, write it anew:
-- triplelake sql --output … --write-scripts"""
# The extension `delta` of DuckDB takes a secret for s3:// alone: of s3a:// it asks Amazon, with no key.
_S3 = re.compile(r"\As3[an]?://", re.IGNORECASE)
_SECRET = """\
-- DuckDB takes no keys from the environment by itself. Once per session, before the first line below:
--   INSTALL aws; LOAD aws; CREATE SECRET (TYPE s3, PROVIDER credential_chain);
-- or with a key of its own, and for another store than Amazon's with its ENDPOINT, URL_STYLE and USE_SSL."""
_PARAMETER = re.compile(r":(\w+)")
_FLAG_COUNT = {"spark": "size(flags)", "duckdb": "len(flags)"}


def create_views(store: Store) -> None:
    """Make the views: in the catalog, or as scripts beside a path."""
    least = store.min_confidence()
    if store.in_catalog:
        names = {name: f"{store.output}.{name}" for name in VIEWS}
        names |= {table.name: store.sql_name(table) for table in TABLES}
        for view, query in VIEWS.items():
            store.spark.sql(f"CREATE OR REPLACE VIEW {names[view]} AS {render(query, names, least=least)}")
        return
    try:
        place = locate(store.beside("sql"))
        place.fs.create_dir(place.path, recursive=True)
        for dialect in _FLAG_COUNT:
            with place.fs.open_output_stream(f"{place.path}/{dialect}.sql") as out:
                out.write(script(store, dialect, least).encode())
    except (InputError, OSError) as error:
        # Spark may reach a store that Arrow does not know; no run ends for want of a convenience.
        log.warning("the scripts for SQL were not written to %s/sql: %s", store.output, one_line(error))


def script(store: Store, dialect: str, least: float) -> str:
    """All tables and views of an output at a path as temporary views: `spark` or `duckdb` SQL.

    Args:
        least: confidence from which on a fact is one.
    """
    lines = ["-- Written by triplelake. Run it once per session; then query the views by name."]
    relative = dialect == "duckdb" and "://" not in store.location(TABLES[0])
    lines += _RELATIVE if relative else _WHOLE.format(" ".join(store.output.split())).splitlines()
    if dialect == "duckdb" and _S3.match(store.location(TABLES[0])):
        lines.append(_SECRET)
    for table in TABLES:
        location = f"./{table.name}" if relative else store.location(table)
        if dialect == "duckdb":
            location = _S3.sub("s3://", location)
        source = delta_name(location) if dialect == "spark" else "delta_scan('{}')".format(location.replace("'", "''"))
        lines.append(f"CREATE OR REPLACE TEMPORARY VIEW {table.name} AS SELECT * FROM {source};")
    names = {name: name for name in (*VIEWS, *_TABLES)}
    for view, query in VIEWS.items():
        lines.append(f"CREATE OR REPLACE TEMPORARY VIEW {view} AS {render(query, names, dialect, least=least)};")
    return "\n".join(lines) + "\n"


class Views:
    """Tables and views of an output as DataFrames, each made when it is first asked for.

    Nothing is registered in the session, whose user may have temporary views of the same names.

    Args:
        store: of the tables; they are there.
        fixed: all as the tables are now, whatever is committed before a query ends; else each query sees the newest.
    """

    def __init__(self, store: Store, *, fixed: bool = False) -> None:
        self._store = store
        self._made: dict[str, DataFrame] = {}
        if fixed:
            # In this order: a document that is published in the one has its triples in the other.
            self._made = {table.name: store.read_now(table) for table in TABLES}

    def __getitem__(self, name: str) -> DataFrame:
        """A table or a view by its name.

        Raises:
            KeyError: there is none of that name.
        """
        if name not in self._made:
            self._made[name] = self._store.read(_TABLES[name]) if name in _TABLES else self._view(VIEWS[name])
        return self._made[name]

    def sql(self, query: str, /, **frames: DataFrame) -> DataFrame:
        """A query in which `{name}` stands where a table, a view or one of the frames is read."""
        names = {name for _, name, _, _ in Formatter().parse(query) if name and name not in frames}
        return self._store.spark.sql(query, args=None, **{name: self[name] for name in sorted(names)}, **frames)

    def _view(self, query: str) -> DataFrame:
        names = {name: f"{{{name}}}" for name in (*VIEWS, *_TABLES)}
        return self.sql(render(query, names, least=self._store.min_confidence()))


def select(view: str, args: Mapping[str, str | bool] | None = None, /, **frames: DataFrame) -> DataFrame:
    """A view, or a query of `current.QUERIES`, over these DataFrames instead of the stored tables.

    Args:
        args: values of its parameters (`:name`).
    """
    spark = next(iter(frames.values())).sparkSession
    query = render(QUERIES.get(view) or VIEWS[view], {name: f"{{{name}}}" for name in frames})
    # Spark 4.1 leaves parameters unbound in a query that reads DataFrames too, so values are filled in as those are.
    return spark.sql(_PARAMETER.sub(r"{\1}", query), args=None, **frames, **(args or {}))


def register(store: Store) -> None:
    """Make tables and views visible by their plain names in this session only, for the queries of a person."""
    for table in TABLES:
        store.read(table).createOrReplaceTempView(table.name)
    names = {name: name for name in (*VIEWS, *_TABLES)}
    least = store.min_confidence()
    for view, query in VIEWS.items():
        store.spark.sql(f"CREATE OR REPLACE TEMPORARY VIEW {view} AS {render(query, names, least=least)}")


def confidences(views: Views) -> list[tuple[float, int, float]]:
    """Facts by confidence, whether or not they count by now: in thousandths, the lowest, their number and their sum."""
    names = {name: f"{{{name}}}" for name in (*VIEWS, *_TABLES)}
    query = f"""
SELECT min(confidence), count(*), sum(confidence) FROM ({render(VIEWS["facts"], names)}) every_fact
WHERE confidence IS NOT NULL GROUP BY floor(1000 * confidence)"""
    return [(row[0], row[1], row[2]) for row in views.sql(query).collect()]


def render(query: str, names: Mapping[str, str], dialect: str = "spark", *, least: float = 0.0) -> str:
    """A query of `VIEWS` with the names that it reads filled in.

    Args:
        least: confidence from which on a fact is one.
    """
    return Template(query).substitute(names, flag_count=_FLAG_COUNT[dialect], least_confidence=repr(least)).strip()
