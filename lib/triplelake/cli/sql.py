"""The command of `jobs/sql.py`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from triplelake.cli.guard import guarded
from triplelake.cli.parsing import Parser


def sql_command(argv: Sequence[str]) -> int:
    """`jobs/sql.py`; returns the exit code."""
    return guarded(lambda console: _sql(argv, console))


def _sql(argv: Sequence[str], console: Console) -> None:
    parser = Parser(prog="sql.py", description="Query tables and views of an output.", allow_abbrev=False)
    parser.add_argument("--output", required=True, metavar="PATH", help="path, or catalog.schema, of the tables")
    parser.add_argument("--rows", type=int, default=50, metavar="N", help="rows shown at most (default 50)")
    parser.add_argument("query", help='for example "SELECT * FROM facts LIMIT 10"')
    arguments = parser.parse(argv)
    from triplelake.engine.query import show_query

    show_query(arguments.output, arguments.query, console, rows=arguments.rows)
