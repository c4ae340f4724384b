"""An evaluation from its files and tables to its report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import SparkSession

from triplelake.commands.gold_answers import GoldAnswers, find, run_of
from triplelake.commands.trained import card_of
from triplelake.errors import TriplelakeError
from triplelake.evaluate.answers import Answered
from triplelake.evaluate.gold import READERS, GoldDocument
from triplelake.evaluate.judge import judge
from triplelake.evaluate.ontologies import read_ontology
from triplelake.evaluate.report import GoldReport, Run
from triplelake.evaluate.seen import SeenPolicy, read_card, unseen
from triplelake.prompt.ontology import Ontology
from triplelake.spark import open_session
from triplelake.tables.store import Store


@dataclass(frozen=True, slots=True)
class AgainstGold:
    """What to compare.

    Args:
        output: path, or catalog.schema, of a run's tables.
        gold: file with gold triples.
        format: a key of `READERS`.
        ontology: whose names and ids of relations count; None: that of the run.
        count_missing: gold documents that the output lacks count as answered with nothing.
        card: tells what the model was trained on; None: the one beside the run's adapter, if it is there.
        seen: what is done about gold that the model was trained on.
    """

    output: str
    gold: Path
    format: str
    ontology: str | None = None
    count_missing: bool = False
    card: Path | None = None
    seen: SeenPolicy = "refuse"


def evaluate(wanted: AgainstGold, spark: SparkSession | None = None) -> GoldReport:
    """Compare what a run said with gold.

    Args:
        spark: the session of a program that calls.

    Raises:
        InputError: the gold file or the card cannot be read, none of its documents is in the output, or the model
            was trained on some.
        OutputError: the output holds no tables of triplelake.
        UsageError: there is no such ontology.
    """
    gold = READERS[wanted.format](wanted.gold)
    named = read_ontology(wanted.ontology) if wanted.ontology else None
    store = Store(open_session("triplelake evaluate", spark), wanted.output)
    store.require()
    # Of DuIE the reader counts lines: they are the ids of no document.
    found = find(store, gold, own_ids=wanted.format != "duie")
    run = run_of(store, found)
    judged, seen = _unseen(found, run, wanted)
    ontology, doubts = (named, ()) if wanted.ontology else _ontology_of(run)
    missing = found.missing if wanted.count_missing else ()
    documents: list[tuple[GoldDocument, Answered | None]] = [*judged, *((each, None) for each in missing)]
    return judge(
        documents,
        ontology,
        run=run,
        gold=str(wanted.gold),
        format=wanted.format,
        notes=(*doubts, *_notes(found, run, wanted), *seen),
    )


def _unseen(
    found: GoldAnswers, run: Run, wanted: AgainstGold
) -> tuple[Sequence[tuple[GoldDocument, Answered]], tuple[str, ...]]:
    """The documents to judge, and what is known of those that the model was trained on."""
    card, unknown = (wanted.card, None) if wanted.card else card_of(run)
    if card is None:
        return found.documents, (unknown,) if unknown else ()
    return unseen(found.documents, read_card(card), wanted.gold, wanted.seen)


def _ontology_of(run: Run) -> tuple[Ontology | None, tuple[str, ...]]:
    """The ontology that the run names, or why it cannot be had."""
    setting = run.settings.get("ontology")
    if not isinstance(setting, str):
        return None, ("no run tells its ontology: relations are compared as they are; name it with --ontology",)
    try:
        return read_ontology(setting), ()
    except TriplelakeError as error:
        return None, (f"the run's ontology: {error.reason} ({error.subject}); name it with --ontology",)


def _notes(found: GoldAnswers, run: Run, wanted: AgainstGold) -> Iterator[str]:
    if run.model:
        yield f"model {run.model}"
    if len(run.extraction_keys) > 1:
        yield f"the documents were answered under {len(run.extraction_keys)} extraction keys"
    if found.missing:
        what = "count as answered with nothing" if wanted.count_missing else "are left out (--count-missing)"
        yield f"{len(found.missing):,} gold documents are not in this output, and {what}"
    if found.changed:
        yield f"{found.changed:,} documents of the same id have another text than the gold"
