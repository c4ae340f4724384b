"""The command `triplelake evaluate`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import get_args

from rich.console import Console

from triplelake.cli.guard import guarded
from triplelake.cli.parsing import Example, Parser, command_parser, file_here
from triplelake.commands.evaluate_messages import show
from triplelake.console import say
from triplelake.errors import UsageError
from triplelake.evaluate.compare import compared
from triplelake.evaluate.gold import READERS, gold_format
from triplelake.evaluate.judge import judge_review
from triplelake.evaluate.ontologies import of_gold, write_ontology
from triplelake.evaluate.report import GoldReport, ReviewReport, read_report, write_report
from triplelake.evaluate.review import read_review
from triplelake.evaluate.seen import SeenPolicy

_EXAMPLES = (
    Example("precision and recall against gold triples", "triplelake evaluate --output out/kg --gold gold.jsonl"),
    Example("precision by a sheet that people have judged", "triplelake evaluate --review out/kg/review.csv"),
    Example(
        "what changed since an earlier report",
        "triplelake evaluate --output out/kg --gold gold.jsonl --compare before.json --json after.json",
    ),
)


def evaluate_command(argv: Sequence[str]) -> int:
    """`triplelake evaluate`; returns the exit code."""
    return guarded(lambda console: _evaluate(argv, console))


def evaluate_parser() -> Parser:
    """The command line of `triplelake evaluate`."""
    parser = command_parser(
        "evaluate", "", "Compare what a run found with gold triples, or read a reviewed sheet.", _EXAMPLES
    )
    add = parser.add_argument_group("what to judge by").add_argument
    add("--gold", type=file_here, metavar="FILE", help="JSON Lines with gold triples, in one of the formats below")
    add("--gold-format", choices=READERS, help="format of the gold file, if its first line does not tell")
    add(
        "--review",
        type=file_here,
        metavar="FILE",
        help="review.csv with its column `verdict` filled in, in place of gold",
    )
    add("--ontology", metavar="FILE", help="whose relations count; else that of the run")
    add("--count-missing", action="store_true", help="gold documents that were not read count as not found")
    add = parser.add_argument_group("the run that is judged").add_argument
    add("--output", metavar="PATH", help="path, or catalog.schema, of the tables")
    add(
        "--card",
        type=file_here,
        metavar="FILE",
        help="card.json of the training of the model; else the one beside the run's adapter (embedded.lora)",
    )
    add(
        "--seen",
        choices=get_args(SeenPolicy),
        help="gold that the model was trained on by its card: refuse it (default), leave it out, or count it",
    )
    add = parser.add_argument_group("the report").add_argument
    add("--json", type=file_here, metavar="FILE", help="write the report here too")
    add("--compare", type=file_here, metavar="FILE", help="a report of earlier: say what changed since")
    add = parser.add_argument_group("instead of a report").add_argument
    add(
        "--write-ontology",
        type=file_here,
        metavar="FILE",
        help="write the relations of the gold file as an ontology (.csv) to extract with, and stop",
    )
    return parser


def _evaluate(argv: Sequence[str], console: Console) -> None:
    options = evaluate_parser().parse(argv)
    if (options.gold is None) == (options.review is None):
        raise UsageError("--gold, --review", "one of them is needed, and not both", "Name the file to judge by.")
    if options.write_ontology:
        _write_ontology(options, console)
        return
    if options.gold is None and (options.card or options.seen):
        raise UsageError("--card, --seen", "go with --gold only", "Leave them out: a sheet judges what was found.")
    # Read first: a wrong file must not cost the evaluation.
    other = read_report(options.compare) if options.compare else None
    report = _against_gold(options) if options.gold else _of_review(options)
    if other:
        report = compared(report, other, str(options.compare))
    show(report, console)
    if options.json:
        write_report(report, options.json)


def _against_gold(options: argparse.Namespace) -> GoldReport:
    if options.output is None:
        raise UsageError("--output", "is missing", "Name the path, or catalog.schema, of the tables.")
    # Spark is imported late, so that bad usage is answered at once.
    format = options.gold_format or gold_format(options.gold)
    from triplelake.commands.evaluate import AgainstGold, evaluate

    return evaluate(
        AgainstGold(
            options.output,
            options.gold,
            format,
            options.ontology,
            options.count_missing,
            options.card,
            options.seen or "refuse",
        )
    )


def _of_review(options: argparse.Namespace) -> ReviewReport:
    return judge_review(read_review(options.review), str(options.review))


def _write_ontology(options: argparse.Namespace, console: Console) -> None:
    if options.gold is None:
        raise UsageError("--write-ontology", "goes with --gold only", "A sheet tells no types.")
    ontology = of_gold(options.gold, options.gold_format or gold_format(options.gold))
    write_ontology(ontology, options.write_ontology)
    say(console, f"{options.write_ontology}: {len(ontology.relations)} relations")
