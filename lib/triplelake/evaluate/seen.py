"""Texts that a model was trained on: what it says of them shows how well it remembers, not what it finds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from triplelake.errors import InputError
from triplelake.evaluate.answers import Answered
from triplelake.evaluate.gold import GoldDocument
from triplelake.triples.identity import text_hash

CARD = "card.json"
"""What lies beside an adapter and lists, by hash, the texts that it was trained on and chosen by."""

SeenPolicy = Literal["refuse", "drop", "allow"]
"""What is done about gold that the model has seen: no evaluation, one without these documents, or one with them."""

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class TrainedOn:
    """The texts of a card.

    Args:
        card: the file.
        train: `text_hash` of those that the weights were made of.
        dev: of those by which it was decided when to stop.
    """

    card: Path
    train: frozenset[str]
    dev: frozenset[str]


def read_card(path: Path) -> TrainedOn:
    """The card of training data, or of an adapter, which holds that of its data.

    Raises:
        InputError: it cannot be read, or lists no texts.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(str(path), error.strerror or "cannot be read", "Check --card.") from None
    except ValueError as error:
        raise InputError(str(path), f"is not JSON: {error}", "Check --card.") from None
    for part in _parts(content):
        hashes = part.get("hashes")
        if isinstance(hashes, dict) and isinstance(hashes.get("train"), list):
            dev = hashes.get("dev")
            return TrainedOn(path, _names(hashes["train"]), _names(dev if isinstance(dev, list) else []))
    raise InputError(
        str(path),
        "lists no texts that a model was trained on (`hashes`)",
        "Name the card.json that infra/train or `triplelake export --what training` has written.",
    )


def unseen(
    documents: Sequence[tuple[GoldDocument, Answered]], known: TrainedOn, gold: Path, policy: SeenPolicy
) -> tuple[list[tuple[GoldDocument, Answered]], tuple[str, ...]]:
    """The documents to judge, and what the report says of those that the model has seen.

    Raises:
        InputError: there are some and they are refused, or nothing is left without them.
    """
    trained = [each.id for each, found in documents if _hashes(each, found) & known.train]
    chosen = [each.id for each, found in documents if _hashes(each, found) & known.dev - known.train]
    both = dict.fromkeys((*trained, *chosen))
    if not both:
        return list(documents), (
            f"none of the texts is among those of {known.card}: the model was not trained on them",
        )
    names = ", ".join(islice(both, _SHOWN))
    more = ", …" if len(both) > _SHOWN else ""
    kinds = f"{len(trained):,} it was trained on, {len(both) - len(trained):,} it was chosen by"
    told = (
        f"{len(both):,} of {len(documents):,} documents are known to the model by {known.card} ({kinds}): {names}{more}"
    )
    if policy == "refuse":
        remedy = "Judge it by texts that were kept apart. `--seen drop` leaves these out; `--seen allow` counts them."
        raise InputError(str(gold), told, remedy)
    if policy == "allow":
        return list(documents), (f"{told}; they count, so the figures tell in part what it remembers",)
    left = [(each, found) for each, found in documents if each.id not in both]
    if not left:
        raise InputError(str(gold), f"{told}; none is left", "Judge it by texts that were kept apart.")
    return left, (f"{told}; they are left out",)


def _hashes(document: GoldDocument, found: Answered) -> set[str]:
    return {text_hash(text) for text in {document.text, found.text} if text.strip()}


def _parts(content: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(content, dict):
        yield content
        yield from (each for each in content.values() if isinstance(each, dict))


def _names(hashes: Sequence[Any]) -> frozenset[str]:
    return frozenset(each for each in hashes if isinstance(each, str))
