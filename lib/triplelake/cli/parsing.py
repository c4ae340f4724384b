"""What the command lines have in common."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml
from rich.console import Console

from triplelake.config import Settings, load_settings, parse_assignment
from triplelake.console import say
from triplelake.errors import UsageError
from triplelake.filesystems import local_file, masked

EXIT_CODES = """exit codes:
  0 success            3 bad input           6 output conflict
  1 internal error     4 pool unavailable    7 Spark, Java or Delta missing
  2 bad usage          5 too many failures   8 budget used up (the same command goes on)
  130 interrupted (the same command goes on)"""


@dataclass(frozen=True, slots=True)
class Example:
    """A command line that `--help` shows, and what it is for."""

    purpose: str
    line: str


class Parser(argparse.ArgumentParser):
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
            # Without its value, which may be a key.
            name = unknown[0].partition("=")[0] if unknown[0].startswith("-") else masked(unknown[0])
            raise UsageError(name, "unknown option", f"{hint}`{self.prog} --help` shows all.")
        return namespace


def command_parser(name: str, needs: str, description: str, examples: Sequence[Example], **how: Any) -> Parser:
    """The parser of a command of `triplelake`, which has no options yet.

    Args:
        name: of the command.
        needs: what it cannot do without, as the line of usage shows it.
        description: what it does.
        examples: stand in its help behind the options.
        how: what else argparse is told, such as `argument_default`.
    """
    shown = "\n\n".join(f"  # {each.purpose}\n  {each.line}" for each in examples)
    return Parser(
        prog=f"triplelake {name}",
        usage=" ".join(filter(None, (f"triplelake {name}", needs, "[options]"))),
        description=description,
        epilog=f"examples:\n{shown}\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        **how,
    )


def file_here(text: str) -> Path:
    """The file of this machine that an option names: a shell leaves the `~` of `--gold=~/…` as it is."""
    return local_file(text, UsageError)


def read_settings(arguments: dict[str, Any]) -> Settings:
    """The settings of a command line: `--config`, `--set`, and the options that are settings."""
    file, assignments = arguments.pop("config", None), arguments.pop("set")
    overrides: dict[str, Any] = dict(parse_assignment(text) for text in assignments)
    return load_settings(file, overrides | arguments)


def show_settings(console: Console, settings: Mapping[str, Any]) -> None:
    """The effective settings, without secrets, a line per section."""
    text = yaml.safe_dump(settings, allow_unicode=True, sort_keys=False, default_flow_style=None, width=10_000)
    say(console, text, style="dim")
