"""What the maintenance and the upgrade of an output tell a person."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.filesize import decimal

from triplelake.console import say
from triplelake.tables.maintain import Size, WorkList
from triplelake.tables.schemas import TABLES, Table
from triplelake.tables.store import Store


def tables(console: Console, store: Store, size: Size) -> None:
    """What there is to maintain."""
    say(console, f"Tables:   {store.output}: {len(TABLES)} tables, {_size(size)}")


def work_lists(console: Console, lists: Sequence[WorkList], *, dry_run: bool) -> None:
    """What became of the rows of `requests`."""
    finished = [each for each in lists if not each.needed]
    needed = [each for each in lists if each.needed]
    parts = []
    if finished:
        rows = sum(each.rows for each in finished)
        parts.append(f"{rows:,} rows of {_plans(finished, 'finished')} {'would be dropped' if dry_run else 'dropped'}")
    if needed:
        rows = sum(each.rows for each in needed)
        parts.append(f"{rows:,} rows of {_plans(needed, 'unfinished')} stay to go on with")
    say(console, f"Requests: {'; '.join(parts) or 'no work list is left'}")


def packed(console: Console, table: Table, before: Size, after: Size | None) -> None:
    """What packing made of a table; `after` is None where it was not done."""
    what = f"{table.name}, {_size(before)}"
    say(console, f"Pack:     {what} {f'are now {_size(after)}' if after else 'would be written together'}")


def removed(console: Console, table: Table, size: Size) -> None:
    """What was removed of a table's old files."""
    say(console, f"Remove:   {table.name}, {_size(size)} removed that nobody needs any more")


def removable(console: Console, table: Table, files: int, days: int | None) -> None:
    """What would be removed, by what the table keeps now; `days` are what it would keep from then on."""
    then = f"; it would keep files for {days} days from then on" if days else ""
    say(console, f"Remove:   {table.name}, {_files(files)} would be removed that nobody needs any more{then}")


def maintained(console: Console, before: Size, after: Size) -> None:
    """What maintenance came to."""
    say(console, f"Done:     a reader of all tables opens {_size(after)}; it was {_size(before)}")


def upgraded(console: Console, steps: Sequence[str], *, dry_run: bool = False) -> None:
    """What an upgrade has done, or would do, and what follows."""
    for each in steps:
        say(console, f"Upgrade:  {each}{' (would be)' if dry_run else ''}")
    if not steps:
        say(console, "Upgrade:  nothing to do; the tables have today's columns")
    elif not dry_run:
        say(console, "Done:     no answer is lost. --republish, with the settings of a run, reads its answers as today")


def _size(size: Size) -> str:
    return f"{_files(size.files)} of {decimal(size.bytes)}"


def _files(count: int) -> str:
    return f"{count:,} file{'s' if count != 1 else ''}"


def _plans(lists: Sequence[WorkList], kind: str) -> str:
    return f"{len(lists):,} {kind} plan{'s' if len(lists) != 1 else ''}"
