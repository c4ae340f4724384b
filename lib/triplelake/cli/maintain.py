"""The command of `jobs/maintain.py`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.console import Console

from triplelake.cli.guard import guarded
from triplelake.cli.parsing import EXIT_CODES, Parser, file_here, read_settings, show_settings


def maintain_command(argv: Sequence[str]) -> int:
    """`jobs/maintain.py`; returns the exit code."""
    return guarded(lambda console: _maintain(argv, console))


def maintain_parser() -> Parser:
    """The command line of `jobs/maintain.py`."""
    parser = Parser(
        prog="maintain.py",
        description="Drop finished work lists, pack small files and remove old ones, while no run is alive.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--config", type=file_here, metavar="FILE", help="YAML file with settings (conf/extract.yaml)")
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
    add("--upgrade", action="store_true", default=False, help="bring tables of an earlier version to today's, and stop")
    add("--dry-run", action="store_true", default=False, help="say what would be done, and stop")
    return parser


def _maintain(argv: Sequence[str], console: Console) -> None:
    arguments = vars(maintain_parser().parse(argv))
    dry_run, upgrades = arguments.pop("dry_run"), arguments.pop("upgrade")
    settings = read_settings(arguments)
    show_settings(console, {name: settings.public()[name] for name in ("output", "maintain")})
    from triplelake.commands.maintain import maintain, upgrade

    (upgrade if upgrades else maintain)(settings, console, dry_run=dry_run)
