"""The command line of `infra/pool.py`."""

from __future__ import annotations

import argparse
import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.checks import read_key
from deploy.down import drain, remove, stop
from deploy.errors import DeployError
from deploy.inventory import Inventory, load_inventory
from deploy.operations import Context, Limits
from deploy.status import status
from deploy.up import up, upgrade
from triplelake.console import terminal, visible

_COMMANDS = {
    "up": (up, "install what is missing, start what does not run, write the pool file"),
    "upgrade": (upgrade, "replace the servers that differ from the inventory, one at a time, while jobs go on"),
    "drain": (drain, "take servers out of the pool file and wait until they are idle; `up` puts them back"),
    "stop": (stop, "drain servers, then stop them"),
    "remove": (remove, "drain and stop the servers of hosts, and delete all that was installed"),
}
_PIPE_WIDTH = 200
_STATUS = "a table of what each server is doing"
_EXIT_CODES = """\
TARGETS are hosts (gpu-1) and servers (gpu-1:8080) of the inventory; without any, all are meant.

exit codes: 0 good, 1 defect, 2 wrong usage, 3 a host lacks something, 4 a host or a server failed, 5 no room on a disk,
130 interrupted. The same command goes on where one stopped.
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="infra/pool.py",
        description="A pool of llama.cpp servers on hosts that are reached over SSH.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, help_text in [*((name, text) for name, (_, text) in _COMMANDS.items()), ("status", _STATUS)]:
        command = commands.add_parser(name, help=help_text, description=help_text[0].upper() + help_text[1:] + ".")
        add = command.add_argument
        add("targets", nargs="*", metavar="TARGET", help="a host, or HOST:PORT for one of its servers; else all")
        add("--inventory", type=Path, required=True, metavar="FILE", help="hosts and what runs on them")
        add("--dry-run", action="store_true", help="say what would be done, and do nothing")
        add("--settle", type=float, default=15.0, metavar="S", help="for jobs to see a changed pool file (15)")
        add("--drain-limit", type=float, default=600.0, metavar="S", help="for the work of a server to end (600)")
        add("--start-limit", type=float, default=600.0, metavar="S", help="for a server to load its model (600)")
    return top


def main(argv: list[str]) -> int:
    """Run a command; returns the exit code."""
    options = parser().parse_args(argv)
    try:
        inventory = load_inventory(options.inventory)
        limits = Limits(settle=options.settle, drain=options.drain_limit, start=options.start_limit)
        context = Context(inventory, read_key(inventory), _say, options.dry_run, limits)
        if options.command == "status":
            # A pipe or a log is as wide as the table.
            status(context, options.targets, terminal(width=None if sys.stdout.isatty() else _PIPE_WIDTH))
            return 0
        with _alone(inventory):
            _COMMANDS[options.command][0](context, options.targets)
    except DeployError as error:
        print(visible(str(error)), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("error: interrupted: stopped by a signal\n  The same command goes on.", file=sys.stderr)
        return 130
    return 0


def _say(line: str) -> None:
    print(visible(line), flush=True)


@contextmanager
def _alone(inventory: Inventory) -> Iterator[None]:
    """Two commands never change one pool at a time.

    Raises:
        DeployError: another is at work.
    """
    with inventory.file.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            remedy = "Wait for it to end."
            raise DeployError(str(inventory.file), "another command works with it", remedy) from None
        yield
