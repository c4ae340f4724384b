"""triplelake turns a text corpus into a knowledge graph in Delta tables, on Spark and llama.cpp servers.

It cuts texts into chunks, asks a model for the (subject, relation, object) triples in each, and writes them to Delta
tables. Subject and object are copied from the text or its title, with their exact place in it. Chinese, Simplified
and Traditional, and English are equal in every feature.

In a terminal
    The command `triplelake` does all of it; `triplelake --help` lists what can be ordered:

        triplelake demo
        triplelake extract --input news.jsonl --output out/kg --limit 20
        triplelake sql --output out/kg "SELECT subject, predicate, object, example FROM facts LIMIT 20"

    The same extract command goes on where a run stopped: what is answered is never asked again.

In a notebook or another program
    The same by functions, in the Spark session that is there:

        import triplelake

        run = triplelake.extract(articles, output="out/kg", id_column="url", text_column="body")  # a DataFrame
        run.counts.triples, run.counts.failed
        run.facts.orderBy("documents", ascending=False).show()
        spark.sql("SELECT predicate, count(*) FROM {facts} GROUP BY predicate", facts=run.facts).show()

        graph = triplelake.open("out/kg")  # later, and without a run
        graph.evaluate("gold.jsonl").groups["all"].figures["f1"]
        graph.export("facts.csv", where="documents > 1")

    The tables are plain Delta: DuckDB, Polars and others read the folder too; the views, such as `facts`, are written
    beside them as `sql/spark.sql` and `sql/duckdb.sql`.

Errors
    What ends a command is one of the classes below, and each leaves an exit code of its own. `subject` is what it is
    about, `reason` why it failed, `remedy` what to do now. What is wrong with one record, request or answer never
    ends a run: it becomes a row of the tables `documents` or `attempts`.

        try:
            triplelake.extract("news.jsonl", output="out/kg", settings={"run.limitt": 20})
        except triplelake.UsageError as error:
            print(error.subject, error.reason, error.remedy, sep="; ")

Settings
    `triplelake extract --init DIR` writes a file of settings, an ontology and prompts to edit. The variable
    `TRIPLELAKE_CONF` names a folder to use instead of the one that comes with the package.

Only what `__all__` names is promised to stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from triplelake.errors import (
    BudgetSpent,
    InputError,
    Interrupted,
    OutputError,
    PoolError,
    SetupError,
    TooManyFailures,
    TriplelakeError,
    UsageError,
)
from triplelake.version import __version__

if TYPE_CHECKING:
    from triplelake.api import KnowledgeGraph, Run, RunCounts, extract, open

__all__ = [
    "BudgetSpent",
    "InputError",
    "Interrupted",
    "KnowledgeGraph",
    "OutputError",
    "PoolError",
    "Run",
    "RunCounts",
    "SetupError",
    "TooManyFailures",
    "TriplelakeError",
    "UsageError",
    "__version__",
    "extract",
    "open",
]

_NEED_SPARK = frozenset({"KnowledgeGraph", "Run", "RunCounts", "extract", "open"})


def __getattr__(name: str) -> Any:
    # Imported when it is asked for: most of triplelake, and every command's --help, does without Spark.
    if name not in _NEED_SPARK:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from triplelake import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
