"""The command of `jobs/extract.py`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.console import Console

from triplelake.cli.guard import guarded
from triplelake.cli.init import INIT_LANGS, init
from triplelake.cli.parsing import EXIT_CODES, Parser, file_here, read_settings, show_settings
from triplelake.config import ENCODINGS, FORMATS
from triplelake.errors import UsageError


def extract_command(argv: Sequence[str]) -> int:
    """`jobs/extract.py`; returns the exit code."""
    return guarded(lambda console: _extract(argv, console))


def extract_parser() -> Parser:
    """The command line of `jobs/extract.py`."""
    parser = Parser(
        prog="extract.py",
        description="Extract triples from a corpus into Delta tables. The same command goes on where a run stopped.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    parser.add_argument("--config", type=file_here, metavar="FILE", help="YAML file with settings (conf/extract.yaml)")
    add = parser.add_argument
    add("--input", nargs="+", metavar="PATH", help="files, folders, globs, a Delta path or a table")
    add("--output", metavar="PATH", help="path, or catalog.schema, of the tables")
    add("--ontology", metavar="FILE", help="relations to look for; `none` for free predicates")
    add("--pool", metavar="POOL", help="`embedded`, a pool file, or URLs separated by commas")
    add("--model", dest="embedded.model", metavar="GGUF", help="model file for `--pool embedded`")
    add("--lora", dest="embedded.lora", metavar="GGUF", help="adapter that was trained on that model")
    add("--profile", metavar="NAME", help="how the model wants to be asked: a profile of conf/models")
    add("--format", dest="corpus.format", choices=FORMATS, help="format of the input, if its ending does not tell")
    add(
        "--encoding",
        dest="corpus.encoding",
        choices=ENCODINGS,
        help="encoding of text files, if a sample does not tell",
    )
    add(
        "--html-to-text",
        dest="corpus.html_to_text",
        action=argparse.BooleanOptionalAction,
        help="keep of HTML what a reader of the page would see; or take the text as it stands",
    )
    add("--text-column", dest="corpus.text_column", metavar="NAME", help="column with the text")
    add(
        "--id-column",
        dest="corpus.id_column",
        nargs="+",
        metavar="NAME",
        help="column with a stable id, or several that are the id together",
    )
    add("--id-prefix", dest="corpus.id_prefix", metavar="TEXT", help="put before the ids of this input")
    add("--title-column", dest="corpus.title_column", metavar="NAME", help="column with the title")
    add("--keep-columns", dest="corpus.keep_columns", nargs="+", metavar="NAME", help="columns for documents.meta")
    add("--mode", dest="run.mode", choices=("append", "replace"), help="`replace`: what this input lacks is removed")
    add("--allow-removals", dest="run.allow_removals", type=int, metavar="N", help="let `replace` remove N documents")
    add(
        "--allow-moved",
        dest="run.allow_moved",
        action="store_true",
        help="the ids of this input are the same documents, wherever they came from before",
    )
    add("--limit", dest="run.limit", type=int, metavar="N", help="read N documents only, the first ones")
    add(
        "--sample",
        dest="run.sample",
        type=int,
        metavar="N",
        help="draw N documents, and write a sheet to judge them in",
    )
    add(
        "--precision",
        dest="run.precision",
        type=float,
        metavar="P",
        help="facts are the surest, of which a share P is expected to be right",
    )
    add(
        "--retry-failed",
        dest="run.retry_failed",
        action="store_true",
        help="ask failed requests of this input again, in a plan of their own",
    )
    parser.add_argument(
        "--init",
        type=file_here,
        default=None,
        metavar="DIR",
        help="write settings, an ontology and examples to edit, and stop",
    )
    parser.add_argument(
        "--lang", choices=INIT_LANGS, default=None, help="language of what --init writes (that of the locale)"
    )
    parser.add_argument(
        "--show-request",
        default=None,
        metavar="ID",
        help="print a request's prompt, grammar, answer and what became of each triple; or a triple's, or a chunk's",
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="any key of docs/options.md")
    parser.add_argument("--dry-run", action="store_true", default=False, help="say what would be done, and stop")
    parser.add_argument(
        "--probe",
        type=int,
        default=0,
        metavar="N",
        help="with --dry-run: ask N of the questions, and say what all of them will take; their answers are kept",
    )
    parser.add_argument(
        "--republish", action="store_true", default=False, help="rebuild the triples from the raw answers, ask nothing"
    )
    return parser


def _extract(argv: Sequence[str], console: Console) -> None:
    arguments = vars(extract_parser().parse(argv))
    dry_run, again = arguments.pop("dry_run"), arguments.pop("republish")
    folder, lang = arguments.pop("init"), arguments.pop("lang")
    if folder:
        init(folder, lang, console)
        return
    wanted = arguments.pop("show_request")
    probe = arguments.pop("probe")
    if probe < 0 or (probe and not dry_run):
        raise UsageError(
            f"--probe {probe}",
            "goes with --dry-run, and with a positive number",
            "Write --dry-run --probe 20; without --dry-run all questions are asked.",
        )
    settings = read_settings(arguments)
    if again and dry_run:
        raise UsageError("--republish", "writes, and --dry-run says that nothing is to be written", "Leave one out.")
    # Spark is imported late, so that bad usage is answered at once.
    if wanted is not None:
        from triplelake.commands.show_request import show_request

        show_request(settings, wanted, console)
        return
    # The settings of `jobs/maintain.py` are left out, so that the others and an error below them fit a screen.
    show_settings(console, {name: each for name, each in settings.public().items() if name != "maintain"})
    from triplelake.commands.extract import extract
    from triplelake.commands.republish import republish

    if again:
        republish(settings, console)
    else:
        extract(settings, console, dry_run=dry_run, probe=probe)
