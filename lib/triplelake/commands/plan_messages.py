"""What planning tells a person: what is known, what is lost, what changes, and what there is to do."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console

from triplelake.console import say
from triplelake.engine.planning.changes import Changes
from triplelake.engine.planning.draft import Draft
from triplelake.engine.planning.losses import Losses
from triplelake.tables.current import Decision


def draft(console: Console, found: Draft) -> None:
    """What planning found."""
    plan, changes = found.plan, found.changes
    if changes.known:
        say(console, f"Known:    {changes.known:,} documents are published under these settings already")
    lost(console, changes.lost)
    if changes.removed or changes.unread:
        _lacking(console, changes)
    if changes.renamed:
        first = changes.renames[0]
        say(
            console,
            f"Note:     {changes.renamed:,} of the new documents are in the output under other ids too, from the same "
            f"source (`{first.now}` as `{first.was}`), and count twice",
        )
    if reread := changes.reread:
        say(
            console,
            f"Note:     {reread.new:,} of the new documents stand beside {reread.left:,} others from the same source, "
            f"which stay ({reread.source}: {reread.why})",
        )
    if not plan.documents:
        say(console, "Plan:     nothing new to extract")
        return
    say(
        console,
        f"Plan:     {plan.documents:,} documents{_kinds(changes)}, {plan.chunks:,} chunks, "
        f"{plan.requests:,} requests to ask, {plan.reused:,} answered before",
    )


def lost(console: Console, found: Losses) -> None:
    """What of the input gives no document."""
    lines = [_unreadable(found)] if found.unreadable else []
    if found.cut:
        files = f"{found.cut:,} file{'s are' if found.cut > 1 else ' is'} not read to the end, so more may be missing"
        lines.append(f"{files}: {found.first_cut}{' …' if found.cut > 1 else ''}")
    if repeats := found.repeats:
        texts = "other texts than the first" if repeats.other else "the very text of the first"
        lines.append(
            f"{repeats.records:,} record{'s' if repeats.records > 1 else ''} whose id stands on an earlier one too, "
            f"with {texts}; of {repeats.ids:,} id{'s' if repeats.ids > 1 else ''}, such as `{repeats.example}` "
            f"({', '.join(repeats.places)})"
        )
        if repeats.other:
            lines.append(repeats.remedy)
    for number, line in enumerate(lines):
        say(console, f"{'Rejected:' if not number else '':9} {line}")


def _unreadable(lost: Losses) -> str:
    """How many records, lines where these are more, and where the one stands that costs most of them."""
    lines = f" ({lost.lines:,} lines)" if lost.lines > lost.unreadable else ""
    records, more = ("record", "") if lost.unreadable == 1 else ("records", " …")
    where = f": {lost.longest}{more}" if lost.longest else ""
    return f"{lost.unreadable:,} {records}{lines} cannot be read{where}; `documents` lists each with its place"


_KINDS: Mapping[Decision, str] = {
    "new": "new",
    "changed": "changed",
    "moved": "from another source, changed",
    "asked_otherwise": "of other settings",
    "failed": "that lack answers",
    "relabelled": "with another source or other columns to keep",
}
"""What there is to do with the documents of a plan, in words; `new` alone goes without saying."""


def _kinds(changes: Changes) -> str:
    parts = [f"{count:,} {words}" for kind, words in _KINDS.items() if (count := changes.decisions[kind])]
    return f" ({', '.join(parts)})" if changes.decisions["new"] != changes.planned else ""


def _lacking(console: Console, changes: Changes) -> None:
    """What `--mode replace` removes, and what it must not."""
    ids = f" ({', '.join(changes.removed_ids)}{' …' if changes.removed > len(changes.removed_ids) else ''})"
    kept = f"{changes.unread:,} are kept, since something of their source could not be read"
    say(
        console,
        f"Removed:  {changes.removed:,} of the {changes.current:,} documents of the output, which this input lacks"
        f"{ids if changes.removed else ''}{f'; {kept}' if changes.unread else ''}",
    )
