"""What of an input gives no document, as a person must know it: records, lines, rests of files, ids that repeat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from triplelake.corpus.ids import better_id
from triplelake.engine.planning.source import Source
from triplelake.errors import InputError

_SHOWN = 3
_REPEATED = "reason IS NOT NULL AND doc_id IS NOT NULL"

_COUNTED = {
    "lines": f"coalesce(sum(CASE WHEN {_REPEATED} THEN 0 ELSE coalesce(lines, 1) END), 0)",
    "longest": f"max_by(struct(source, place), CASE WHEN {_REPEATED} THEN NULL ELSE lines END)",
    "cut": "count(DISTINCT CASE WHEN cut THEN source END)",
    "first_cut": "min(CASE WHEN cut THEN struct(source, place) END)",
    "repeated": f"count_if({_REPEATED})",
}


def counted_losses() -> list[Column]:
    """What `find_losses` must know of the rejected records, for an aggregation over them."""
    return [F.expr(expression).alias(name) for name, expression in _COUNTED.items()]


@dataclass(frozen=True, slots=True)
class Repeats:
    """Ids that stand on several records, of which only the first is a document.

    Args:
        records: those that are none.
        ids: the ids.
        other: those of them whose records differ in text or title.
        example: one of the ids, of the other ones if there are any.
        places: where the first records with it stand.
        columns: the id columns; none where ids are paths.
        better: columns that may be the id, as `better_id` finds them.
    """

    records: int
    ids: int
    other: int
    example: str
    places: tuple[str, ...]
    columns: tuple[str, ...]
    better: tuple[str, ...] | None

    @property
    def remedy(self) -> str:
        """The way out."""
        if not self.columns:
            return "Files have their paths below the input as ids: name the folder above them, or run once for each"
        if self.better is None:
            columns = " ".join(self.columns)
            return f"Name a second column that tells them apart (--id-column {columns} NAME), or leave --id-column out"
        if len(self.better) == 1:
            return f"`{self.better[0]}` tells them apart: --id-column {self.better[0]}"
        return f"With `{self.better[-1]}` they are told apart: --id-column {' '.join(self.better)}"


@dataclass(frozen=True, slots=True)
class Losses:
    """What gives no document.

    Args:
        unreadable: records that are rejected, but not for their id.
        lines: lost with them.
        longest: where the one stands that most lines are lost with.
        cut: sources that were not read to their end.
        first_cut: the first of these, and where reading ended.
        repeats: of ids.
    """

    unreadable: int = 0
    lines: int = 0
    longest: str = ""
    cut: int = 0
    first_cut: str = ""
    repeats: Repeats | None = None


def find_losses(counted: Row | None, documents: DataFrame, source: Source) -> Losses:
    """Look closer at what the counts say is lost.

    Args:
        counted: of the rejected records, with `records` and `counted_losses()`; None if there are none.
        documents: all records.
    """
    if counted is None:
        return Losses()
    repeated = counted["repeated"]
    return Losses(
        counted["records"] - repeated,
        counted["lines"],
        _where(counted["longest"]),
        counted["cut"],
        _where(counted["first_cut"]),
        _repeats(repeated, documents, source) if repeated else None,
    )


def guard_ids(name: str, losses: Losses, ids: int) -> None:
    """Refuse an id column that plainly is none: at least half of its values stand on records that differ.

    Args:
        name: of the input.
        ids: how many there are.

    Raises:
        InputError: it is.
    """
    repeats = losses.repeats
    if repeats is None or not repeats.columns or 2 * repeats.other < ids:
        return
    columns = " and ".join(f"`{each}`" for each in repeats.columns)
    raise InputError(
        name,
        f"has several records with the same id: {repeats.other:,} of {ids:,} ids from {columns} stand on records with "
        f"different texts, of which only the first would be read; {repeats.records:,} would be lost",
        f"  {repeats.example}: {', '.join(repeats.places)}\n{repeats.remedy}. Nothing was written.",
    )


def _where(row: Row | None) -> str:
    return f"{row['source'].rpartition('/')[2]} {row['place']}".strip() if row else ""


def _repeats(records: int, documents: DataFrame, source: Source) -> Repeats:
    by_id = (
        documents.where("doc_id IS NOT NULL")
        .groupBy("doc_id")
        .agg(F.count(F.lit(1)).alias("records"), F.count_distinct("doc_version").alias("texts"))
        .where("records > 1")
    )
    found = by_id.agg(
        F.count(F.lit(1)).alias("ids"),
        F.count_if(F.col("texts") > 1).alias("other"),
        F.min_by("doc_id", F.struct(F.col("texts") == 1, F.length("doc_id"), "doc_id")).alias("example"),
    ).collect()[0]
    order = ("source", F.length("place"), "place")
    places = documents.where(F.col("doc_id") == found["example"]).orderBy(*order).select("source", "place")
    shown: Sequence[Row] = places.limit(_SHOWN).collect()
    columns = source.columns.id
    return Repeats(
        records,
        found["ids"],
        found["other"],
        found["example"],
        tuple(map(_where, shown)),
        columns,
        better_id(source.sample(), source.columns) if columns else None,
    )
