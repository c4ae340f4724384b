"""The command `triplelake maintain`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.console import Console

from triplelake.cli.guard import guarded
from triplelake.cli.parsing import Example, Parser, command_parser, file_here, read_settings, show_settings

_EXAMPLES = (
    Example("pack and clean, as a weekly job does", "triplelake maintain --output out/kg"),
    Example("what it would do", "triplelake maintain --output out/kg --retain-days 30 --dry-run"),
    Example("tables of an earlier version of triplelake", "triplelake maintain --output out/kg --upgrade"),
)


def maintain_command(argv: Sequence[str]) -> int:
    """`triplelake maintain`; returns the exit code."""
    return guarded(lambda console: _maintain(argv, console))


def maintain_parser() -> Parser:
    """The command line of `triplelake maintain`."""
    parser = command_parser(
        "maintain",
        "",
        "Drop finished work lists, pack small files and remove old ones, while no run is alive.",
        _EXAMPLES,
        argument_default=argparse.SUPPRESS,
    )
    add = parser.add_argument_group("the tables").add_argument
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
    add = parser.add_argument_group("instead of the whole").add_argument
    add("--upgrade", action="store_true", default=False, help="bring tables of an earlier version to today's, and stop")
    add("--dry-run", action="store_true", default=False, help="say what would be done, and stop")
    add = parser.add_argument_group("settings").add_argument
    add("--config", type=file_here, metavar="FILE", help="YAML file with settings (conf/extract.yaml)")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="any key of docs/options.md")
    return parser


def _maintain(argv: Sequence[str], console: Console) -> None:
    arguments = vars(maintain_parser().parse(argv))
    dry_run, upgrades = arguments.pop("dry_run"), arguments.pop("upgrade")
    settings = read_settings(arguments)
    show_settings(console, {name: settings.public()[name] for name in ("output", "maintain")})
    from triplelake.commands.maintain import maintain, upgrade

    (upgrade if upgrades else maintain)(settings, console, dry_run=dry_run)
