"""The command `triplelake sql`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from triplelake.cli.guard import guarded
from triplelake.cli.parsing import Example, Parser, command_parser
from triplelake.errors import UsageError

_EXAMPLES = (
    Example(
        "what is known of somebody",
        "triplelake sql --output out/kg \"SELECT predicate, object, example FROM facts WHERE subject = '鲁迅'\"",
    ),
    Example(
        "what was found most",
        'triplelake sql --output out/kg "SELECT predicate, mentions FROM relations ORDER BY mentions DESC"',
    ),
    Example(
        "after the tables were moved: views for Spark and DuckDB", "triplelake sql --output s3://b/kg --write-scripts"
    ),
)


def sql_command(argv: Sequence[str]) -> int:
    """`triplelake sql`; returns the exit code."""
    return guarded(lambda console: _sql(argv, console))


def sql_parser() -> Parser:
    """The command line of `triplelake sql`."""
    parser = command_parser("sql", '"SELECT …" --output PATH', "Query tables and views of an output.", _EXAMPLES)
    add = parser.add_argument_group("the question").add_argument
    add("query", nargs="?", help='for example "SELECT * FROM facts LIMIT 10"')
    add("--output", required=True, metavar="PATH", help="path, or catalog.schema, of the tables")
    add("--rows", type=int, default=50, metavar="N", help="rows shown at most (default 50)")
    add = parser.add_argument_group("instead of a question").add_argument
    add(
        "--write-scripts",
        action="store_true",
        help="write sql/spark.sql and sql/duckdb.sql anew, after the tables were copied or moved, and stop",
    )
    return parser


def _sql(argv: Sequence[str], console: Console) -> None:
    arguments = sql_parser().parse(argv)
    if arguments.write_scripts == (arguments.query is not None):
        raise UsageError("query", "or --write-scripts is needed, and not both", "Write a query in quotes.")
    from triplelake.commands.sql import show_query, write_scripts

    if arguments.write_scripts:
        write_scripts(arguments.output, console)
        return
    show_query(arguments.output, arguments.query, console, rows=arguments.rows)
