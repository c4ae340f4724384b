"""The command of `jobs/report.py`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.console import Console

from triplelake.cli.guard import guarded
from triplelake.cli.parsing import EXIT_CODES, Parser
from triplelake.report.model import SHOWN_DOCUMENTS


def report_command(argv: Sequence[str]) -> int:
    """`jobs/report.py`; returns the exit code."""
    return guarded(lambda console: _report(argv, console))


def report_parser() -> Parser:
    """The command line of `jobs/report.py`."""
    parser = Parser(
        prog="report.py",
        description="Make one HTML file that shows an output: runs, counts, relations, failures, texts, a graph.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    # Not named like the settings: none of them is read here.
    add("--output", dest="tables", required=True, metavar="PATH", help="path, or catalog.schema, of the tables")
    add("--to", required=True, metavar="FILE", help="HTML file to write, or a URI")
    add("--lang", choices=("zh", "en"), default="en", help="language of the page (en)")
    add("--ontology", dest="names", metavar="FILE", help="names of the relations; else those of the newest run")
    shown = f"documents shown, chosen at random ({SHOWN_DOCUMENTS})"
    add("--documents", type=int, default=SHOWN_DOCUMENTS, metavar="N", help=shown)
    add("--overwrite", action="store_true", help="replace an earlier file")
    return parser


def _report(argv: Sequence[str], console: Console) -> None:
    arguments = report_parser().parse(argv)
    from triplelake.commands.report import make_report
    from triplelake.export.target import Target

    target = Target(arguments.to, overwrite=arguments.overwrite)
    # What is wrong with the place is told before Spark is started.
    target.check()
    make_report(
        arguments.tables,
        target,
        console,
        lang=arguments.lang,
        ontology=arguments.names,
        documents=arguments.documents,
    )
