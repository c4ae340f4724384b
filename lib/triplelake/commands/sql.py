"""SQL over an output's tables and views."""

from __future__ import annotations

from pyspark.errors import PySparkException
from rich.console import Console
from rich.table import Table as Grid

from triplelake.console import say, visible
from triplelake.errors import UsageError
from triplelake.spark import open_session
from triplelake.tables.schemas import TABLES
from triplelake.tables.store import Store
from triplelake.tables.views import VIEWS, create_views, register


def show_query(output: str, query: str, console: Console, *, rows: int) -> None:
    """Run a query with tables and views by their plain names, and print the result as a table.

    Args:
        rows: rows shown at most.

    Raises:
        OutputError: the output holds no tables of triplelake.
        UsageError: the query cannot be run; with Spark's own words.
    """
    spark = open_session("triplelake sql")
    store = Store(spark, output)
    store.require()
    register(store)
    try:
        frame = spark.sql(query)
        found = frame.take(rows + 1)
    except PySparkException as error:
        reason = str(error).strip().splitlines()[0]
        names = ", ".join((*(table.name for table in TABLES), *VIEWS))
        raise UsageError("query", reason, f"There are: {names}.") from None
    grid = Grid(*map(visible, frame.columns), show_lines=False)
    for row in found[:rows]:
        grid.add_row(*("" if value is None else visible(str(value)) for value in row))
    console.print(grid, highlight=False, markup=False)
    if len(found) > rows:
        say(console, f"… more than {rows} rows; see all with --rows N")


def write_scripts(output: str, console: Console) -> None:
    """Write the scripts for other engines anew, as the place of the tables is now; in a catalog the views.

    Raises:
        OutputError: the output holds no tables of triplelake.
    """
    store = Store(open_session("triplelake sql"), output)
    store.require()
    create_views(store)
    say(console, f"Wrote:    {'the views' if store.in_catalog else store.beside('sql')}")
