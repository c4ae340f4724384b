"""The command `triplelake report`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from rich.console import Console

from triplelake.cli.guard import guarded
from triplelake.cli.parsing import Example, Parser, command_parser
from triplelake.report.model import SHOWN_DOCUMENTS
from triplelake.types import PageLang

_EXAMPLES = (
    Example("a page to look at", "triplelake report --output out/kg --to report.html"),
    Example(
        "in Chinese, in place of an earlier one",
        "triplelake report --output out/kg --to report.html --lang zh --overwrite",
    ),
    Example(
        "of tables in a catalog, with 50 texts",
        "triplelake report --output main.news --to s3://bucket/report.html --documents 50",
    ),
)


def report_command(argv: Sequence[str]) -> int:
    """`triplelake report`; returns the exit code."""
    return guarded(lambda console: _report(argv, console))


def report_parser() -> Parser:
    """The command line of `triplelake report`."""
    parser = command_parser(
        "report",
        "--output PATH --to FILE",
        "Make one HTML file that shows an output: runs, counts, relations, failures, texts, a graph.",
        _EXAMPLES,
    )
    add = parser.add_argument_group("the tables").add_argument
    # Not named like the settings: none of them is read here.
    add("--output", dest="tables", required=True, metavar="PATH", help="path, or catalog.schema, of the tables")
    add("--ontology", dest="names", metavar="FILE", help="names of the relations; else those of the newest run")
    shown = f"documents shown, chosen at random ({SHOWN_DOCUMENTS})"
    add("--documents", type=int, default=SHOWN_DOCUMENTS, metavar="N", help=shown)
    add = parser.add_argument_group("the page").add_argument
    add("--to", required=True, metavar="FILE", help="HTML file to write, or a URI")
    add("--lang", choices=get_args(PageLang), default="en", help="language of the page (en)")
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
