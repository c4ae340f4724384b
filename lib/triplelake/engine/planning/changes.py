"""What an input changes of the documents that are current, and what of it a person must have said to be meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from triplelake.config import Settings
from triplelake.engine.planning.losses import Losses, guard_ids
from triplelake.engine.planning.reread import Overlap, Reread, find_overlap, guard_reread
from triplelake.errors import InputError, TriplelakeError
from triplelake.tables.current import Decision
from triplelake.tables.views import select

PLANNED = "decision NOT IN ('known', 'rejected')"
"""Records that a plan is made for."""

REMOVED = "lacking AND NOT unread"
"""Current documents that `--mode replace` removes: what could not be read this time is not gone."""

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Change:
    """A document that comes under another id, or from another source, than it is current under."""

    doc_id: str
    was: str
    now: str


@dataclass(frozen=True, slots=True)
class Changes:
    """Counts of documents, and some examples.

    Args:
        decisions: records of the input by what is to be done with them, as `current.DECIDED` says.
        lost: what gives no document.
        current: documents that are current now.
        removed: of these, to be removed.
        unread: of these, lacking in the input, and kept because something of their source could not be read.
        renamed: new documents that are current under another id already, from the same source.
        overlap: what the input and the output have of the same sources.
        reread: if its sources were read before, with other settings.
        removed_ids: some of those that are to be removed.
        moves: some that come from another source with another text.
        renames: some of the renamed.
    """

    decisions: Counter[Decision]
    lost: Losses = field(default_factory=Losses)
    current: int = 0
    removed: int = 0
    unread: int = 0
    renamed: int = 0
    overlap: Overlap = field(default_factory=Overlap)
    reread: Reread | None = None
    removed_ids: tuple[str, ...] = ()
    moves: tuple[Change, ...] = ()
    renames: tuple[Change, ...] = ()

    @property
    def known(self) -> int:
        return self.decisions["known"]

    @property
    def rejected(self) -> int:
        return self.decisions["rejected"]

    @property
    def planned(self) -> int:
        return self.decisions.total() - self.known - self.rejected


def comparable(documents: DataFrame) -> DataFrame:
    """Documents with the column `kept`: the kept columns in a form that can be compared, as a map cannot."""
    return documents.withColumn("kept", F.array_sort(F.map_entries("meta")))


def lacking(documents: DataFrame, current: DataFrame) -> DataFrame:
    """The current documents, each with whether the input lacks it (`current.LACKING`)."""
    return select("lacking", records=documents, current=current)


def find_changes(
    counts: Counter[Decision], lost: Losses, documents: DataFrame, current: DataFrame, *, replaces: bool
) -> Changes:
    """Look closer where the counts of the decisions say that there is something to look at.

    Args:
        replaces: documents that the input lacks are to be removed.
    """
    moves: tuple[Change, ...] = ()
    if counts["moved"]:
        moved = documents.where("decision = 'moved'").orderBy("doc_id").limit(_SHOWN).collect()
        moves = tuple(Change(row["doc_id"], row["was_source"], row["source"]) for row in moved)
    if replaces:
        gone = lacking(documents, current)
        said = gone.agg(
            F.count(F.lit(1)).alias("current"),
            F.count_if(F.expr(REMOVED)).alias("removed"),
            F.count_if(F.expr("lacking AND unread")).alias("unread"),
        ).collect()[0]
        ids: tuple[str, ...] = ()
        if said["removed"]:
            first = gone.where(REMOVED).select("doc_id").orderBy("doc_id").limit(_SHOWN).collect()
            ids = tuple(row["doc_id"] for row in first)
        return Changes(counts, lost, said["current"], said["removed"], said["unread"], removed_ids=ids, moves=moves)
    if not counts["new"]:
        return Changes(counts, lost, moves=moves)
    # Only where the old documents stay beside the new ones do they count twice.
    overlap = find_overlap(documents, current)
    if not overlap.lacking:
        return Changes(counts, lost, moves=moves)
    renamed = select("renamed", decided=documents, current=current)
    count = renamed.count()
    some = renamed.orderBy("doc_id").limit(_SHOWN).collect() if count else []
    renames = tuple(Change(row["doc_id"], row["was_id"], row["doc_id"]) for row in some)
    return Changes(counts, lost, renamed=count, overlap=overlap, moves=moves, renames=renames)


def guard(changes: Changes, settings: Settings) -> None:
    """Refuse a change that is more likely a mistake than meant, unless the settings say that it is meant.

    Raises:
        InputError: an id column that repeats, ids that come from another source with other texts, documents that come
            a second time under other ids, or more removals than `run.max_removed` allows.
    """
    name = ", ".join(settings.input)
    guard_ids(name, changes.lost, changes.planned + changes.known)
    if not settings.run.allow_moved:
        if moved := changes.decisions["moved"]:
            raise _moved(name, moved, changes.moves)
        if changes.renamed * 2 > changes.decisions["new"]:
            raise _renamed(name, changes, settings.corpus.id_columns)
        guard_reread(name, changes.reread, changes.decisions["new"])
    run = settings.run
    allowed = run.allow_removals if run.allow_removals is not None else run.max_removed * changes.current
    if changes.removed > allowed:
        raise InputError(
            name,
            f"lacks {changes.removed:,} of the {changes.current:,} documents of the output, which --mode replace would "
            f"mark as removed ({', '.join(changes.removed_ids)}{' …' if changes.removed > _SHOWN else ''}); "
            + (
                f"allowed are {run.allow_removals:,}"
                if run.allow_removals is not None
                else f"run.max_removed allows {run.max_removed:.0%}"
            ),
            f"Check that the input is whole. If they are gone: --allow-removals {changes.removed}. "
            "Nothing was written.",
        )


def _moved(name: str, count: int, moves: tuple[Change, ...]) -> TriplelakeError:
    shown = "\n".join(f"  {each.doc_id}: was from {each.was}, is from {each.now}" for each in moves)
    return InputError(
        name,
        f"has {count:,} {'id' if count == 1 else 'ids'} of documents that came from another source, with other texts",
        f"{shown}\nIf they are other documents: --id-prefix NAME- puts a name before the ids of this input. "
        "If they are the same ones, edited: --allow-moved. Nothing was written.",
    )


def _renamed(name: str, changes: Changes, id_columns: Sequence[str]) -> TriplelakeError:
    shown = "\n".join(f"  {each.now}: the same text is current as {each.was}" for each in changes.renames)
    how = " and ".join(f"`{each}`" for each in id_columns) if id_columns else "their content (no --id-column)"
    return InputError(
        name,
        f"names its documents by {how}; {changes.renamed:,} of them are in the output under other ids, from the same "
        "source, and would count twice",
        f"{shown}\nGive the same --id-column and --id-prefix as before, or remove the old ones by --mode replace. "
        "If both are to count: --allow-moved. Nothing was written.",
    )
