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

In a program
    The tables are plain Delta. Spark, DuckDB, Polars and others read the folder that `--output` names; the views of
    `triplelake sql`, such as `facts`, are written beside them as `sql/spark.sql` and `sql/duckdb.sql`.

Errors
    What ends a command is one of the classes below, and each leaves an exit code of its own. `subject` is what it is
    about, `reason` why it failed, `remedy` what to do now. What is wrong with one record, request or answer never
    ends a run: it becomes a row of the tables `documents` or `attempts`.

        from triplelake import TriplelakeError
        from triplelake.config import load_settings

        try:
            settings = load_settings(overrides={"run.limitt": 20})
        except TriplelakeError as error:
            print(error.exit_code, error.subject, error.reason, error.remedy, sep="; ")

Settings
    `triplelake extract --init DIR` writes a file of settings, an ontology and prompts to edit. The variable
    `TRIPLELAKE_CONF` names a folder to use instead of the one that comes with the package.

Only what `__all__` names is promised to stay.
"""

from triplelake.errors import (
    InputError,
    Interrupted,
    OutputError,
    PoolError,
    SetupError,
    TooManyFailures,
    TriplelakeError,
    UsageError,
)

__all__ = [
    "InputError",
    "Interrupted",
    "OutputError",
    "PoolError",
    "SetupError",
    "TooManyFailures",
    "TriplelakeError",
    "UsageError",
    "__version__",
]

__version__ = "0.1.0"
"""Read by setup.py too: this is the one place that has it."""
