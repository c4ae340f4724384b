"""An input that was read before, and is read otherwise now: new documents beside the old ones, which count twice."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from triplelake.config import Settings
from triplelake.corpus.columns import TEXT_COLUMNS
from triplelake.corpus.formats import detect_format
from triplelake.engine.planning.source import Source
from triplelake.errors import InputError
from triplelake.tables.schemas import DOCUMENTS, PLANS, RUNS, SEQUENCE
from triplelake.tables.states import in_state
from triplelake.tables.store import Store
from triplelake.tables.views import select

_READING = ("format", "encoding", "html_to_text", "text_column", "title_column", "id_column", "id_prefix")
"""Settings that decide what a document is, and what it is called where it has no id of its own."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """What the input and the output have of the same sources.

    Args:
        lacking: current documents that the input has no more, of sources that have new ones.
        suspects: new documents of sources whose documents, old and new, are mostly others.
        left: current documents of those sources that the input lacks.
        source: one of those sources.
        doc_id: one of their lacking documents.
    """

    lacking: int = 0
    suspects: int = 0
    left: int = 0
    source: str = ""
    doc_id: str = ""


@dataclass(frozen=True, slots=True)
class Reread:
    """Documents that the same sources give under other settings.

    Args:
        new: new documents.
        left: documents of the same sources that stay beside them.
        source: one of the sources.
        why: what differs, in words.
    """

    new: int
    left: int
    source: str
    why: str


def find_overlap(documents: DataFrame, current: DataFrame) -> Overlap:
    """Compare the sources of the input with those of what is current (`current.OVERLAP`)."""
    row = select("overlap", decided=documents, current=current).collect()[0]
    return Overlap(*(row[name] or default for name, default in _EMPTY.items()))


_EMPTY: Mapping[str, Any] = {"lacking": 0, "suspects": 0, "left_over": 0, "source": "", "doc_id": ""}


def find_reread(store: Store, source: Source, settings: Settings, overlap: Overlap) -> Reread | None:
    """Whether sources give other documents because they are read otherwise, and not because they have changed.

    They are if a setting differs that decides what a document is, or if the files are the very same. Another sample of
    the same files has other documents too, and a part of them lacks the rest.
    """
    run = settings.run
    if not overlap.suspects or run.sample is not None:
        return None
    planned = store.read(DOCUMENTS).where((F.col("doc_id") == overlap.doc_id) & in_state("planned"))
    plans = planned.orderBy(F.desc(SEQUENCE)).select("plan_id").limit(1).collect()
    if not plans:
        return None
    of_plan = F.col("plan_id") == plans[0][0]
    runs = store.read(RUNS).where(of_plan & (F.col("command") == "extract")).select("settings").limit(1).collect()
    then = json.loads(runs[0][0])["corpus"] if runs else None
    differences = list(differences_of(then, settings, source, overlap.source)) if then is not None else []
    if not differences and (run.limit is not None or not _same_files(store, of_plan, source)):
        return None
    why = "; ".join(differences) or "the files are the same, and are read otherwise than by the earlier run"
    return Reread(overlap.suspects, overlap.left, overlap.source, why)


def _same_files(store: Store, of_plan: Column, source: Source) -> bool:
    return not store.read(PLANS).where(of_plan & (F.col("input_fingerprint") == source.fingerprint)).isEmpty()


def guard_reread(name: str, found: Reread | None, new: int) -> None:
    """Refuse documents that would stand beside the same ones, read otherwise.

    Args:
        name: of the input.
        new: all its new documents.

    Raises:
        InputError: they are most of the new ones.
    """
    if found is None or 2 * found.new <= new:
        return
    raise InputError(
        name,
        f"gives {found.new:,} new documents where the output has {found.left:,} others from the same source, "
        "which would stay, so that both count",
        f"  {found.source}: {found.why}\nGive the same settings as before, or remove the old ones: --mode replace "
        f"--allow-removals {found.left}. If both are to count: --allow-moved. Nothing was written.",
    )


def differences_of(then: Mapping[str, Any], settings: Settings, source: Source, path: str) -> Iterator[str]:
    """What differs of the settings that decide which documents a file of the input gives, in words.

    Args:
        then: section `corpus` of the earlier run's settings.
        path: of the file.
    """
    now = settings.public()["corpus"]
    # The ids of an id column are those of other documents, however text and title are read.
    named = now["id_column"] is not None and then.get("id_column") == now["id_column"]
    for name in ("id_prefix",) if named else _READING:
        before, after = then.get(name), now[name]
        if before != after and _chosen(name, before, source, path) != _chosen(name, after, source, path):
            yield f"corpus.{name} was {_shown(before)}, is {_shown(after)}"


def _chosen(name: str, value: Any, source: Source, path: str) -> Any:
    """What a setting that leaves the choice to the program comes to."""
    if name == "text_column" and value is None:
        names = {column for record in source.sample() for column in record}
        return next((column for column in TEXT_COLUMNS if column in names), None)
    if name == "html_to_text":
        return bool(value)  # if it is not set, the run went on since there was no HTML
    if name == "format" and value == "auto":
        try:
            return detect_format(path)
        except InputError:
            return value
    return value


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "not set" if value in (None, "") else str(value)
