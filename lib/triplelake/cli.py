"""The commands behind `jobs/`: arguments to settings, errors to messages and exit codes."""

from __future__ import annotations

import argparse
import difflib
import logging
import signal
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml
from rich.console import Console
from rich.text import Text

from triplelake.config import FORMATS, Settings, conf_dir, load_settings, parse_assignment
from triplelake.errors import Interrupted, TriplelakeError, UsageError, classified

EXIT_CODES = """exit codes:
  0 success          3 bad input           6 output conflict
  1 internal error   4 pool unavailable    7 Spark, Java or Delta missing
  2 bad usage        5 too many failures   130 interrupted (the same command goes on)"""


class _Parser(argparse.ArgumentParser):
    """Argparse that reports in the project's own way."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(self.prog, message, f"`{self.prog} --help` shows all options.")

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """Parse; an unknown option is refused with the nearest known one."""
        namespace, unknown = self.parse_known_args(argv)
        if unknown:
            known = [option for action in self._actions for option in action.option_strings]
            close = difflib.get_close_matches(unknown[0].partition("=")[0], known, n=1, cutoff=0.5)
            hint = f"Did you mean {close[0]}? " if close else ""
            raise UsageError(unknown[0], "unknown option", f"{hint}`{self.prog} --help` shows all.")
        return namespace


def extract_command(argv: Sequence[str]) -> int:
    """`jobs/extract.py`; returns the exit code."""
    return _guarded(lambda console: _extract(argv, console))


def maintain_command(argv: Sequence[str]) -> int:
    """`jobs/maintain.py`; returns the exit code."""
    return _guarded(lambda console: _maintain(argv, console))


def demo_command(argv: Sequence[str]) -> int:
    """`jobs/demo.py`; returns the exit code."""
    return _guarded(lambda console: _demo(argv, console))


def sql_command(argv: Sequence[str]) -> int:
    """`jobs/sql.py`; returns the exit code."""
    return _guarded(lambda console: _sql(argv, console))


def extract_parser() -> _Parser:
    """The command line of `jobs/extract.py`."""
    parser = _Parser(
        prog="extract.py",
        description="Extract triples from a corpus into Delta tables. The same command goes on where a run stopped.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML file with settings (conf/extract.yaml)")
    add = parser.add_argument
    add("--input", nargs="+", metavar="PATH", help="files, folders, globs, a Delta path or a table")
    add("--output", metavar="PATH", help="path, or catalog.schema, of the tables")
    add("--ontology", metavar="FILE", help="relations to look for; `none` for free predicates")
    add("--pool", metavar="POOL", help="`embedded`, a pool file, or URLs separated by commas")
    add("--model", dest="embedded.model", metavar="GGUF", help="model file for `--pool embedded`")
    add("--profile", metavar="NAME", help="how the model wants to be asked: a profile of conf/models")
    add("--format", dest="corpus.format", choices=FORMATS, help="format of the input, if its ending does not tell")
    add("--text-column", dest="corpus.text_column", metavar="NAME", help="column with the text")
    add("--id-column", dest="corpus.id_column", metavar="NAME", help="column with a stable id")
    add("--title-column", dest="corpus.title_column", metavar="NAME", help="column with the title")
    add("--keep-columns", dest="corpus.keep_columns", nargs="+", metavar="NAME", help="columns for documents.meta")
    add("--mode", dest="run.mode", choices=("append", "replace"), help="`replace`: what this input lacks is removed")
    add("--limit", dest="run.limit", type=int, metavar="N", help="read N documents only")
    add(
        "--retry-failed",
        dest="run.retry_failed",
        action="store_true",
        help="ask failed requests of this input again, in a plan of their own",
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="any key of docs/options.md")
    parser.add_argument("--dry-run", action="store_true", default=False, help="say what would be done, and stop")
    parser.add_argument(
        "--republish", action="store_true", default=False, help="rebuild the triples from the raw answers, ask nothing"
    )
    return parser


def maintain_parser() -> _Parser:
    """The command line of `jobs/maintain.py`."""
    parser = _Parser(
        prog="maintain.py",
        description="Drop finished work lists, pack small files and remove old ones, while no run is alive.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--config", type=Path, metavar="FILE", help="YAML file with settings (conf/extract.yaml)")
    add("--output", metavar="PATH", help="path, or catalog.schema, of the tables")
    add(
        "--retain-days",
        dest="maintain.retain_days",
        type=int,
        metavar="N",
        help="days that files stay which no table needs any more; else as each table says: 7",
    )
    add(
        "--allow-short-retention",
        dest="maintain.allow_short_retention",
        action="store_true",
        help="allow fewer than 7 days, which breaks readers of older versions",
    )
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="any key of docs/options.md")
    add("--dry-run", action="store_true", default=False, help="say what would be done, and stop")
    return parser


def _extract(argv: Sequence[str], console: Console) -> None:
    arguments = vars(extract_parser().parse(argv))
    dry_run, again = arguments.pop("dry_run"), arguments.pop("republish")
    settings = _settings(arguments)
    show_settings(console, settings.public())
    # Spark is imported late, so that bad usage is answered at once.
    from triplelake.engine import run

    if again:
        run.republish(settings, console)
    else:
        run.extract(settings, console, dry_run=dry_run)


def _maintain(argv: Sequence[str], console: Console) -> None:
    arguments = vars(maintain_parser().parse(argv))
    dry_run = arguments.pop("dry_run")
    settings = _settings(arguments)
    show_settings(console, {name: settings.public()[name] for name in ("output", "maintain")})
    from triplelake.engine.maintain import maintain

    maintain(settings, console, dry_run=dry_run)


def _settings(arguments: dict[str, Any]) -> Settings:
    """The settings of a command line: `--config`, `--set`, and the options that are settings."""
    file, assignments = arguments.pop("config", None), arguments.pop("set")
    overrides: dict[str, Any] = dict(parse_assignment(text) for text in assignments)
    return load_settings(file, overrides | arguments)


def _demo(argv: Sequence[str], console: Console) -> None:
    parser = _Parser(
        prog="demo.py",
        description="Extract the sample corpus and compare the result with its gold triples.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    parser.add_argument("--pool", metavar="POOL", help="a pool file, or URLs separated by commas; else `embedded`")
    parser.add_argument("--model", dest="embedded.model", metavar="GGUF", help="model file for `--pool embedded`")
    parser.add_argument("--profile", metavar="NAME", help="how the model wants to be asked: a profile of conf/models")
    parser.add_argument("--output", metavar="PATH", help="path of the tables (default out/demo)")
    # As in conf/demo.yaml, but from wherever the project's files are.
    corpus = {"input": [str(conf_dir() / "demo" / "corpus.jsonl")]}
    settings = load_settings(conf_dir() / "demo.yaml", corpus | vars(parser.parse(argv)))
    from triplelake.engine.demo import demo

    demo(settings, console)


def show_settings(console: Console, settings: Mapping[str, Any]) -> None:
    """The effective settings, without secrets, a line per section."""
    text = yaml.safe_dump(settings, allow_unicode=True, sort_keys=False, default_flow_style=None, width=10_000)
    console.print(text, style="dim", highlight=False, markup=False, soft_wrap=True)


def _sql(argv: Sequence[str], console: Console) -> None:
    parser = _Parser(prog="sql.py", description="Query tables and views of an output.", allow_abbrev=False)
    parser.add_argument("--output", required=True, metavar="PATH", help="path, or catalog.schema, of the tables")
    parser.add_argument("--rows", type=int, default=50, metavar="N", help="rows shown at most (default 50)")
    parser.add_argument("query", help='for example "SELECT * FROM facts LIMIT 10"')
    arguments = parser.parse(argv)
    from triplelake.engine.query import show_query

    show_query(arguments.output, arguments.query, console, rows=arguments.rows)


def _guarded(command: Callable[[Console], None]) -> int:
    """Run a command; every end is an exit code, and no end is a traceback."""
    console = Console(stderr=False)
    errors = Console(stderr=True)
    signal.signal(signal.SIGTERM, _interrupt)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    try:
        command(console)
    except TriplelakeError as error:
        return _tell(errors, error)
    except KeyboardInterrupt:
        return _tell(errors, Interrupted("run", "stopped by a signal", "The same command goes on."))
    except Exception as error:
        return _tell(errors, _unexpected(error))
    return 0


def _tell(console: Console, error: TriplelakeError) -> int:
    console.print(Text(f"error: {error.subject}: {error.reason}", style="bold red"), soft_wrap=True)
    if error.remedy:
        console.print(Text(error.remedy), soft_wrap=True)
    return error.exit_code


def _unexpected(error: Exception) -> TriplelakeError:
    found = classified(error)
    if type(found) is not TriplelakeError:
        return found
    with tempfile.NamedTemporaryFile("w", prefix="triplelake-", suffix=".log", delete=False, encoding="utf-8") as log:
        traceback.print_exception(error, file=log)
    return TriplelakeError(found.subject, found.reason, f"{found.remedy} The details are in {log.name}.")


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt
