"""The command `triplelake`: its first word names one of the commands, and only that one's modules are loaded."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any

from rich.console import Console

from triplelake.cli.completion import SHELLS, completion
from triplelake.cli.guard import guarded
from triplelake.cli.parsing import EXIT_CODES, Parser
from triplelake.console import say
from triplelake.errors import UsageError
from triplelake.filesystems import masked
from triplelake.version import __version__

_GROUPS: Mapping[str, Mapping[str, str]] = {
    "from texts to tables": {
        "demo": "extract the sample corpus, and show what of it is right",
        "extract": "extract triples from a corpus of yours; --init writes the files to edit",
    },
    "read the tables": {
        "sql": "query them",
        "report": "make one HTML page that shows them",
        "export": "write facts for spreadsheets, RDF, graphs; or training data for a model",
    },
    "how good they are, and better": {
        "evaluate": "precision and recall, by gold triples or by a sheet that people have judged",
        "calibrate": "fit the confidence of triples on judged ones",
        "tune-prompt": "try ways of asking a model, and keep the best one",
    },
    "keep the tables": {
        "maintain": "pack and clean them, or bring them to this version",
    },
}
COMMANDS: Mapping[str, str] = {name: summary for group in _GROUPS.values() for name, summary in group.items()}
"""What each command does, in a line."""


def load(words: Sequence[str]) -> Callable[[], int]:
    """What the words order, ready to be run: it returns an exit code."""
    if not words or words[0] not in COMMANDS:
        return partial(guarded, partial(_other_words, words))
    command = _member(words[0], "command")
    return partial(command, words[1:])


def main_parser() -> Parser:
    """The command line of `triplelake` as far as no command is named."""
    width = max(map(len, COMMANDS))
    listed = "\n\n".join(
        f"{title}:\n" + "\n".join(f"  {name:{width}}  {summary}" for name, summary in group.items())
        for title, group in _GROUPS.items()
    )
    parser = Parser(
        prog="triplelake",
        usage="triplelake COMMAND [options]\n       triplelake COMMAND --help    its options, with examples",
        description=f"Turn a text corpus into a knowledge graph in Delta tables, with Spark and llama.cpp.\n\n{listed}",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version, and stop")
    parser.add_argument(
        "--print-completion",
        choices=SHELLS,
        metavar="SHELL",
        help=f"print what completes the options in a shell ({', '.join(SHELLS)}), and stop",
    )
    return parser


def command_parsers() -> dict[str, Parser]:
    """The command line of each command, by its name."""
    return {name: _member(name, "parser")() for name in COMMANDS}


def _other_words(words: Sequence[str], console: Console) -> None:
    if words and not words[0].startswith("-"):
        close = difflib.get_close_matches(words[0], COMMANDS, n=1, cutoff=0.5)
        hint = f"Did you mean {close[0]}? " if close else ""
        raise UsageError(masked(words[0]), "no such command", f"{hint}`triplelake --help` lists them.")
    options = main_parser().parse(words)
    if options.version:
        say(console, f"triplelake {__version__}")
    elif options.print_completion:
        script = completion(main_parser(), command_parsers(), COMMANDS, options.print_completion)
        console.file.write(f"{script}\n")  # as it is: a shell reads it, and no person
    else:
        raise UsageError("triplelake", "is told no command", "`triplelake --help` lists them.")


def _member(name: str, kind: str) -> Callable[..., Any]:
    module = name.replace("-", "_")
    found: Callable[..., Any] = getattr(import_module(f"triplelake.cli.{module}"), f"{module}_{kind}")
    return found
