"""The command of `jobs/export.py`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.console import Console

from triplelake.cli.guard import guarded
from triplelake.cli.parsing import EXIT_CODES, Parser
from triplelake.export.choice import ENDINGS, chosen_form


def export_command(argv: Sequence[str]) -> int:
    """`jobs/export.py`; returns the exit code."""
    return guarded(lambda console: _export(argv, console))


def export_parser() -> Parser:
    """The command line of `jobs/export.py`."""
    parser = Parser(
        prog="export.py",
        description="Write the facts or triples of an output for other tools: spreadsheets, RDF, graphs, Neo4j.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    # Not named like the settings: none of them is read here.
    add("--output", dest="tables", required=True, metavar="PATH", help="path, or catalog.schema, of the tables")
    add("--to", required=True, metavar="FILE", help="file to write, also .gz or a URI; a folder for `neo4j`")
    add("--format", choices=tuple(ENDINGS), help="if the ending of --to does not tell")
    add("--what", choices=("facts", "triples"), default="facts", help="`triples`: every mention, doubtful ones too")
    add("--where", metavar="SQL", help='only rows of which this is true: "documents > 1"')
    add("--predicate", nargs="+", default=[], metavar="ID", help="only these relations")
    add("--base-iri", default="urn:triplelake:", metavar="IRI", help="RDF: what IRIs begin with (urn:triplelake:)")
    add("--ontology", dest="names", metavar="FILE", help="RDF: names of the relations; else those of the newest run")
    add("--plain", action="store_true", help="CSV for programs: no byte order mark, no apostrophe before =, +, - and @")
    add("--overwrite", action="store_true", help="replace an earlier export")
    return parser


def _export(argv: Sequence[str], console: Console) -> None:
    arguments = export_parser().parse(argv)
    form = chosen_form(arguments.format, arguments.to)
    from triplelake.engine.export import Choice, export

    choice = Choice(
        output=arguments.tables,
        to=arguments.to,
        form=form,
        what=arguments.what,
        where=arguments.where,
        predicates=tuple(arguments.predicate),
        base_iri=arguments.base_iri,
        plain=arguments.plain,
        ontology=arguments.names,
        overwrite=arguments.overwrite,
    )
    export(choice, console)
