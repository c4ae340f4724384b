"""The command of `jobs/sql.py`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from triplelake.cli.guard import guarded
from triplelake.cli.parsing import Parser
from triplelake.errors import UsageError


def sql_command(argv: Sequence[str]) -> int:
    """`jobs/sql.py`; returns the exit code."""
    return guarded(lambda console: _sql(argv, console))


def _sql(argv: Sequence[str], console: Console) -> None:
    parser = Parser(prog="sql.py", description="Query tables and views of an output.", allow_abbrev=False)
    parser.add_argument("--output", required=True, metavar="PATH", help="path, or catalog.schema, of the tables")
    parser.add_argument("--rows", type=int, default=50, metavar="N", help="rows shown at most (default 50)")
    parser.add_argument(
        "--write-scripts",
        action="store_true",
        help="write sql/spark.sql and sql/duckdb.sql anew, after the tables were copied or moved, and stop",
    )
    parser.add_argument("query", nargs="?", help='for example "SELECT * FROM facts LIMIT 10"')
    arguments = parser.parse(argv)
    if arguments.write_scripts == (arguments.query is not None):
        raise UsageError("query", "or --write-scripts is needed, and not both", "Write a query in quotes.")
    from triplelake.commands.sql import show_query, write_scripts

    if arguments.write_scripts:
        write_scripts(arguments.output, console)
        return
    show_query(arguments.output, arguments.query, console, rows=arguments.rows)
