"""What confidence decides when a run ends: which triples count as facts, and what is said of those without one."""

from __future__ import annotations

from rich.console import Console

from triplelake.commands import confidence_messages
from triplelake.config import Settings
from triplelake.evaluate.calibration_file import CalibrationFile
from triplelake.tables.schemas import TRIPLES
from triplelake.tables.store import Store
from triplelake.tables.views import Views, confidences, create_views
from triplelake.triples.confidence import least_confidence


def sift(store: Store, settings: Settings, console: Console) -> None:
    """Say to the tables from which confidence on a triple counts as a fact, where that has changed."""
    if not store.exists(TRIPLES):
        return
    least = settings.run.min_confidence or 0.0
    if settings.run.precision is not None:
        least = least_confidence(settings.run.precision, confidences(Views(store)))
    if least != (before := store.min_confidence()):
        store.set_min_confidence(least)
        create_views(store)
        confidence_messages.sifted(console, before, least, _unknown(store))


def tell_unlooked(store: Store, calibrated: CalibrationFile | None, console: Console) -> None:
    """Say how many triples have no confidence, where the calibration gives none without a second look."""
    if calibrated is None or not calibrated.calibration.needs_look or not store.exists(TRIPLES):
        return
    if count := _unknown(store):
        confidence_messages.unlooked(console, count)


def _unknown(store: Store) -> int:
    return Views(store)["current_triples"].where("confidence IS NULL").count()
