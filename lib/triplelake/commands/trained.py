"""Which card tells what the model of a run was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from triplelake.errors import TriplelakeError
from triplelake.evaluate.report import Run
from triplelake.evaluate.seen import CARD
from triplelake.pool.gguf import declared_alias, model_file


def card_of(run: Run) -> tuple[Path | None, str | None]:
    """The card beside the adapter that answered, or beside the model that it was merged into; a note without.

    Without either the model is none that is known to be tuned.
    """
    alias = (run.model or "").partition(" ")[0]
    if "+" not in alias:
        return None, None
    why = f"{alias} answered with an adapter, and what it was trained on is not known"
    embedded: Mapping[str, Any] = run.settings.get("embedded") or {}
    file = embedded.get("lora") or embedded.get("model")
    if not file or run.settings.get("pool") != "embedded":
        return None, f"{why}: name its card with --card"
    card = Path(file).expanduser().with_name(CARD)
    if not card.is_file():
        return None, f"{why}: {card} is not there; name its card with --card"
    if not _is_same(embedded, alias):
        return None, f"{why}: another adapter lies at {file} now; name the card of that one with --card"
    return card, None


def _is_same(embedded: Mapping[str, Any], alias: str) -> bool:
    """Whether the files that a run names are still those that answered."""
    model, lora = (Path(name).expanduser() if (name := embedded.get(key)) else None for key in ("model", "lora"))
    try:
        return declared_alias(model_file(model), lora) == alias
    except (TriplelakeError, OSError):
        return False
