"""The command `triplelake extract`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.console import Console

from triplelake.cli.guard import guarded
from triplelake.cli.parsing import Example, Parser, command_parser, file_here, read_settings, show_settings
from triplelake.commands.init import INIT_LANGS, init
from triplelake.config import ENCODINGS, FORMATS, BudgetSettings
from triplelake.errors import UsageError

_EXAMPLES = (
    Example(
        "a first look: 20 documents of a file, asked of the small model on this machine",
        "triplelake extract --input news.jsonl --output out/kg --limit 20",
    ),
    Example(
        "the whole file, asked of servers of your own; again after a stop, and it goes on",
        "triplelake extract --input news.csv --text-column body --id-column url --output out/kg --pool http://gpu-1:8080",
    ),
    Example(
        "what a run would do and how long it would take, by 20 of its questions",
        "triplelake extract --config my/extract.yaml --dry-run --probe 20",
    ),
)


def extract_command(argv: Sequence[str]) -> int:
    """`triplelake extract`; returns the exit code."""
    return guarded(lambda console: _extract(argv, console))


def extract_parser() -> Parser:
    """The command line of `triplelake extract`."""
    parser = command_parser(
        "extract",
        "",
        "Extract triples from a corpus into Delta tables. The same command goes on where a run stopped.",
        _EXAMPLES,
        argument_default=argparse.SUPPRESS,
    )
    add = parser.add_argument_group("the texts").add_argument
    add("--input", nargs="+", metavar="PATH", help="files, folders, globs, a Delta path or a table")
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
    add("--limit", dest="run.limit", type=int, metavar="N", help="read N documents only, the first ones")
    add(
        "--sample",
        dest="run.sample",
        type=int,
        metavar="N",
        help="draw N documents, and write a sheet to judge them in",
    )
    add = parser.add_argument_group("what to look for, and the model to ask").add_argument
    add("--ontology", metavar="FILE", help="relations to look for; `none` for free predicates")
    add("--pool", metavar="POOL", help="`embedded`, a pool file, or URLs separated by commas")
    add("--model", dest="embedded.model", metavar="GGUF", help="model file for `--pool embedded`")
    add("--lora", dest="embedded.lora", metavar="GGUF", help="adapter that was trained on that model")
    add("--profile", metavar="NAME", help="how the model wants to be asked: a profile of conf/models")
    add = parser.add_argument_group("the tables").add_argument
    add("--output", metavar="PATH", help="path, or catalog.schema, of the tables")
    add("--mode", dest="run.mode", choices=("append", "replace"), help="`replace`: what this input lacks is removed")
    add("--allow-removals", dest="run.allow_removals", type=int, metavar="N", help="let `replace` remove N documents")
    add(
        "--allow-moved",
        dest="run.allow_moved",
        action="store_true",
        help="the ids of this input are the same documents, wherever they came from before",
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
    add = parser.add_argument_group("instead of a whole run").add_argument
    add("--dry-run", action="store_true", default=False, help="say what would be done, and stop")
    add(
        "--probe",
        type=int,
        default=0,
        metavar="N",
        help="with --dry-run: ask N of the questions, and say what all of them will take; their answers are kept",
    )
    add(
        "--max-requests",
        dest="budget.max_requests",
        type=int,
        metavar="N",
        help="end after N requests (exit code 8)",
    )
    add("--max-tokens", dest="budget.max_tokens", type=int, metavar="N", help="end after N tokens of prompt and answer")
    add(
        "--until",
        dest="budget.until",
        metavar="TIME",
        help="end asking at that time: 06:00, 06:00 Asia/Shanghai",
    )
    add("--for", dest="budget.duration", metavar="DURATION", help="end asking so long after the start: 2h, 90 min")
    add("--republish", action="store_true", default=False, help="rebuild the triples from the raw answers, ask nothing")
    add(
        "--show-request",
        default=None,
        metavar="ID",
        help="print a request's prompt, grammar, answer and what became of each triple; or a triple's, or a chunk's",
    )
    add = parser.add_argument_group("settings").add_argument
    add("--config", type=file_here, metavar="FILE", help="YAML file with settings (conf/extract.yaml)")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="any key of docs/options.md")
    add(
        "--init",
        type=file_here,
        default=None,
        metavar="DIR",
        help="write settings, an ontology and examples to edit, and stop",
    )
    add("--lang", choices=INIT_LANGS, default=None, help="language of what --init writes (that of the locale)")
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
    # What does nothing is left out, so that the others and an error below them fit a screen.
    left_out = {"maintain"} | ({"budget"} if settings.budget == BudgetSettings() else set())
    show_settings(console, {name: each for name, each in settings.public().items() if name not in left_out})
    from triplelake.commands.extract import extract
    from triplelake.commands.republish import republish

    if again:
        republish(settings, console)
    else:
        extract(settings, console, dry_run=dry_run, probe=probe)
