"""What a person is told of training data: on one screen, all that should be looked at before hours of training."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from rich.console import Console

from triplelake.console import say
from triplelake.training.card import Card, PartCard

_RAREST = 8
_FEW = 20
"""Lines of a relation below which a model hardly learns it."""


def tell_training(console: Console, card: Card, to: str, notes: Sequence[str] = ()) -> None:
    """Say what was written, what was left out and why, and how it goes on."""
    say(console, f"Written:  {to}: {card.train.texts:,} texts to train on, {card.dev.texts:,} to stop by (dev)")
    for name, part in (("Train:", card.train), ("Dev:", card.dev)):
        if part.texts:
            say(console, f"{name:<9} {_told(part)}")
    if card.copies:
        say(console, f"          of these, {card.copies:,} are Traditional copies of Simplified texts")
    say(console, f"Lengths:  {_counts(card.train.lengths)} (estimated tokens)")
    say(console, f"Rarest:   {_rarest(card.train)}")
    _tell_left_out(console, "Texts", card.texts_left_out)
    _tell_left_out(console, "Facts", card.facts_left_out)
    for note in notes:
        say(console, f"Note:     {note}")
    if not card.dev.texts:
        say(console, "Note:     there is no dev part: training cannot stop where F1 is best")
    if not card.train.empty:
        say(console, "Note:     no text is without facts: the model will not learn to say nothing")
    say(console, f"Form:     {card.answer}, {card.instructions}; an answer ends with {card.end or 'the end of text'!r}")
    say(console, f"Train:    python infra/train/train.py {shlex.quote(to)} --model MODEL --out OUT")


def _told(part: PartCard) -> str:
    empty = f"{part.empty:,} without ({part.empty / part.texts:.0%})"
    return f"{part.facts:,} facts, {empty}; {_counts(part.languages)}; {_counts(part.origins)}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _rarest(part: PartCard) -> str:
    rarest = [*part.relations.items()][::-1]
    few = sum(count < _FEW for _, count in rarest)
    shown = ", ".join(f"{name} {count:,}" for name, count in rarest[:_RAREST])
    return f"{shown} ({few:,} of {len(rarest):,} relations in fewer than {_FEW} texts)"


def _tell_left_out(console: Console, what: str, reasons: Mapping[str, int]) -> None:
    if not reasons:
        return
    say(console, f"{what} left out: {sum(reasons.values()):,}")
    for reason, count in reasons.items():
        say(console, f"{count:>8,}  {reason}")
