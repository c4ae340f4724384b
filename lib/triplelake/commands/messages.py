"""What several commands tell a person in the same words."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table as Grid

from triplelake.console import say
from triplelake.engine.asking.progress import duration
from triplelake.engine.asking.tally import Tally
from triplelake.engine.run_row import RunRow
from triplelake.tables.lease import LEASE_S
from triplelake.tables.records import Holder
from triplelake.tables.store import Store

_SERVERS_SHOWN = 8


def idle(console: Console, told: Sequence[str]) -> None:
    """What was set and does nothing in this run."""
    for number, each in enumerate(told):
        say(console, f"{'Unused:' if not number else '':9} {each}")


def waiting(console: Console, holder: Holder) -> None:
    """Another run may still hold the output."""
    say(
        console,
        f"Waiting:  run {holder.run_id} on {holder.host} held this output and may be dead; at most {LEASE_S:.0f} s",
    )


def summary(console: Console, store: Store, run_row: RunRow) -> None:
    """What a run did, and three queries to try."""
    tally = run_row.tally
    grid = Grid.grid(padding=(0, 2))
    rows = [
        (
            "documents",
            _counts(
                (run_row.documents, "published"), (run_row.rejected, _rejected(run_row)), (run_row.removed, "removed")
            ),
        ),
        ("answers", _counts((tally.answered, "asked"), (tally.failed, "failed"), (run_row.reused, "reused"))),
        ("triples", f"{run_row.triples:,}"),
    ]
    if tally.seconds:
        rate = (
            f"{tally.answered / tally.seconds:.2f} requests/s, {tally.completion_tokens / tally.seconds:.0f} tokens/s"
        )
        rows.append(("rate", f"{rate} over {duration(tally.seconds)}"))
    if tally.failed_tries:
        causes = ", ".join(f"{count:,} {code}" for code, count in tally.failed_tries.most_common())
        rows.append(("asked again", causes))
    for name, value in rows:
        grid.add_row(name, value)
    say(console, "")
    console.print(grid, highlight=False)
    if len(tally.endpoints) > 1:
        say(console, "")
        console.print(_servers(tally), highlight=False)
    say(console, "")
    say(console, "Try:")
    for query in (
        "SELECT subject, predicate, object, documents FROM facts ORDER BY documents DESC LIMIT 10",
        "SELECT predicate, mentions, facts FROM relations ORDER BY mentions DESC",
        "SELECT error_code, count(*) FROM failures GROUP BY error_code",
    ):
        say(console, f'  triplelake sql --output {shlex.quote(store.output)} "{query}"')


def _rejected(run_row: RunRow) -> str:
    lost = run_row.lost_lines
    return f"rejected ({lost:,} lines)" if lost > run_row.rejected else "rejected"


def _servers(tally: Tally) -> Grid:
    """What each server did; of many, those with the most trouble."""
    grid = Grid(box=None, padding=(0, 1, 0, 0), header_style="")
    # Narrow enough for a terminal of 80 columns.
    for name in ("server", "answered", "failed", "again", "tokens", "p50 s", "p95 s", "p99 s"):
        grid.add_column(name, justify="left" if name == "server" else "right", no_wrap=True)
    troubled = sorted(
        tally.endpoints.items(), key=lambda each: (-each[1].failed - each[1].failed_tries.total(), each[0])
    )
    for url, each in troubled[:_SERVERS_SHOWN]:
        counts = (each.answered, each.failed, each.failed_tries.total(), each.completion_tokens)
        latencies = (each.latencies.percentile(share) for share in (0.5, 0.95, 0.99))
        grid.add_row(
            url.partition("://")[2] or "none reached",
            *(f"{count:,}" for count in counts),
            *("" if ms is None else f"{ms / 1000:.2f}" for ms in latencies),
        )
    if len(troubled) > _SERVERS_SHOWN:
        grid.add_row(f"and {len(troubled) - _SERVERS_SHOWN} more: runs.endpoints")
    return grid


def _counts(first: tuple[int, str], *others: tuple[int, str]) -> str:
    """The first count always, the others where there is anything to count."""
    return ", ".join(f"{count:,} {what}" for count, what in (first, *(other for other in others if other[0])))
