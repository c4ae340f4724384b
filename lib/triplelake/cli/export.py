"""The command `triplelake export`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from triplelake.cli.guard import guarded
from triplelake.cli.parsing import Example, Parser, command_parser
from triplelake.cli.training import FORMATS, TRAINING, add_training, refuse_training_options, training_command
from triplelake.export.choice import FORMS, chosen_form

_EXAMPLES = (
    Example("facts for a spreadsheet", "triplelake export --output out/kg --to facts.csv"),
    Example(
        "RDF of what stands in two documents or more",
        'triplelake export --output out/kg --to facts.nq.gz --where "documents > 1"',
    ),
    Example(
        "training data for a model of your own, of gold and a judged sheet",
        "triplelake export --what training --gold gold.jsonl --review review.csv --profile own.yaml --to train",
    ),
)


def export_command(argv: Sequence[str]) -> int:
    """`triplelake export`; returns the exit code."""
    return guarded(lambda console: _export(argv, console))


def export_parser() -> Parser:
    """The command line of `triplelake export`."""
    parser = command_parser(
        "export",
        "--to FILE",
        "Write the facts or triples of an output for other tools: spreadsheets, RDF, graphs, Neo4j; or "
        "make training data for a model of your own of gold, judged sheets and an output.",
        _EXAMPLES,
    )
    add = parser.add_argument_group("what to write").add_argument
    # Not named like the settings, which the exports of tables do not read.
    add("--output", dest="tables", metavar="PATH", help="path, or catalog.schema, of the tables")
    add(
        "--what",
        choices=("facts", "triples", TRAINING),
        default="facts",
        help="`triples`: every mention, doubtful ones too; `training`: texts with the right answers",
    )
    add("--where", metavar="SQL", help='only rows of which this is true: "documents > 1"')
    add("--predicate", nargs="+", default=[], metavar="ID", help="only these relations")
    add = parser.add_argument_group("where to, and in which form").add_argument
    folders = " and ".join(f"`{name}`" for name in (*(name for name, kind in FORMS.items() if kind.folder), TRAINING))
    add(
        "--to",
        required=True,
        metavar="FILE",
        help=f"file to write, also .gz or a URI; for {folders} a folder",
    )
    add(
        "--format",
        choices=tuple(dict.fromkeys((*FORMS, *FORMATS))),
        help="if the ending of --to does not tell; of `training`: jsonl (default) or messages",
    )
    add("--plain", action="store_true", help="CSV for programs: no byte order mark, no apostrophe before =, +, - and @")
    add("--base-iri", default="urn:triplelake:", metavar="IRI", help="RDF: what IRIs begin with (urn:triplelake:)")
    add(
        "--ontology",
        dest="names",
        metavar="FILE",
        help="RDF: names of the relations; `training`: whose relations count; else that of the newest run",
    )
    add("--overwrite", action="store_true", help="replace an earlier export")
    add_training(parser)
    return parser


def _export(argv: Sequence[str], console: Console) -> None:
    parser = export_parser()
    arguments = parser.parse(argv)
    if arguments.what == TRAINING:
        training_command(arguments, console)
        return
    refuse_training_options(arguments, parser)
    if arguments.tables is None:
        parser.error("the following arguments are required: --output")
    form = chosen_form(arguments.format, arguments.to)
    from triplelake.commands.export import Choice, export

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
