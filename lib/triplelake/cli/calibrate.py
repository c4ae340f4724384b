"""The command `triplelake calibrate`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from rich.console import Console

from triplelake.cli.guard import guarded
from triplelake.cli.parsing import Example, Parser, command_parser, file_here
from triplelake.errors import UsageError
from triplelake.evaluate.calibrate import need_libraries
from triplelake.evaluate.gold import READERS, gold_format
from triplelake.evaluate.review import read_review
from triplelake.prompt.files import check_new
from triplelake.types import PageLang

_EXAMPLES = (
    Example("by gold triples", "triplelake calibrate --output out/kg --gold gold.jsonl"),
    Example("by a sheet that people have judged", "triplelake calibrate --output out/kg --review out/kg/review.csv"),
    Example(
        "to a file of another name, with its plot in Chinese",
        "triplelake calibrate --output out/kg --gold gold.jsonl --to news.yaml --plot news.svg --lang zh",
    ),
)


def calibrate_command(argv: Sequence[str]) -> int:
    """`triplelake calibrate`; returns the exit code."""
    return guarded(lambda console: _calibrate(argv, console))


def calibrate_parser() -> Parser:
    """The command line of `triplelake calibrate`."""
    parser = command_parser(
        "calibrate",
        "--output PATH",
        "Fit the confidence of triples on gold, or on a sheet that people have judged.",
        _EXAMPLES,
    )
    add = parser.add_argument_group("the triples, and what judges them").add_argument
    add("--output", dest="tables", required=True, metavar="PATH", help="path, or catalog.schema, of the tables")
    add("--gold", type=file_here, metavar="FILE", help="JSON Lines with gold triples, as for `triplelake evaluate`")
    add("--gold-format", choices=READERS, help="format of the gold file, if its first line does not tell")
    add("--review", type=file_here, metavar="FILE", help="review.csv with its column `verdict` filled in")
    add("--ontology", dest="names", metavar="FILE", help="whose relations count; else that of the run")
    add = parser.add_argument_group("the files to write").add_argument
    add(
        "--to",
        type=file_here,
        default=Path("calibration.yaml"),
        metavar="FILE",
        help="file to write (calibration.yaml)",
    )
    add("--plot", type=file_here, metavar="FILE", help="SVG file of the reliability plot (beside --to)")
    add("--lang", choices=get_args(PageLang), default="en", help="language of the plot (en)")
    add("--overwrite", action="store_true", help="replace an earlier file")
    return parser


def _calibrate(argv: Sequence[str], console: Console) -> None:
    options = calibrate_parser().parse(argv)
    if (options.gold is None) == (options.review is None):
        raise UsageError("--gold, --review", "one of them is needed, and not both", "Name the file to judge by.")
    plot = options.plot or options.to.with_suffix(".svg")
    # What is wrong with the place, or not installed, is told before Spark is started.
    need_libraries()
    for file in (options.to, plot):
        check_new(file, overwrite=options.overwrite)
    review = read_review(options.review) if options.review else None
    format = None if review else options.gold_format or gold_format(options.gold)
    # Spark is imported late, so that bad usage is answered at once.
    from triplelake.commands.calibrate import Judgement, calibrate
    from triplelake.commands.calibrate_messages import show_calibration
    from triplelake.evaluate.calibration_file import write_calibration
    from triplelake.evaluate.reliability import draw

    by = Judgement(options.gold or options.review, format, review)
    made = calibrate(options.tables, by, ontology=options.names)
    write_calibration(options.to, made.file, overwrite=options.overwrite)
    draw(made.quality.bins, plot, lang=options.lang)
    show_calibration(
        console, made.file, made.quality, unknown=made.unknown, file=options.to, plot=plot, unlooked=made.unlooked
    )
