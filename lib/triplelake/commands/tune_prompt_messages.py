"""What came of trying ways of asking: on the terminal, and as the comments of the profile that is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from math import isinf

from rich.console import Console
from rich.table import Table as Grid

from triplelake.console import say, terminal, visible
from triplelake.evaluate.bootstrap import Interval
from triplelake.evaluate.tuning import ENOUGH, ArmFigures, Tuned

_WIDTH = 200
_MEANINGS = {
    "gold": "F1: subject, relation and object agree with what people wrote down.",
    "judged": "F1 among the judged: precision is of what an arm says and people judged; recall is the share that it "
    "finds of what they judged right. What nobody judged is left out.",
    "known": "F1 on the known texts: what an arm finds of their facts.",
    "own": "F1 is the mean of two: of the known texts; and on your own texts against what more than half of the "
    "arms say.",
}
_WEAK = "A weak guide: nobody wrote down the facts of your texts, and arms can agree on what is wrong. Gold tells."


@dataclass(frozen=True, slots=True)
class Shown:
    """What is told.

    Args:
        alias: of the model.
        source: the texts, for people.
        seed: that drew them.
        notes: what was left out.
    """

    alias: str
    source: str
    seed: int
    found: Tuned
    notes: tuple[str, ...] = ()

    def show(self, console: Console) -> None:
        """Print the table and what it says."""
        say(console, self._head)
        for note in self.notes:
            say(console, f"  {note}")
        # Figures that are broken over lines cannot be compared: a narrow terminal gets the rows as a pipe does.
        for row in _rows(self.found):
            say(console, row)
        for line in self._lines():
            say(console, line)

    def comments(self) -> list[str]:
        """The same as lines of text."""
        notes = (f"  {note}" for note in self.notes)
        lines = (self._head, *notes, "", *_rows(self.found), "", *self._lines())
        # A comment is one line, whatever stands in the name of a model or of a file.
        return [visible(" ".join(line.splitlines())).rstrip() for line in lines]

    @property
    def _head(self) -> str:
        found = self.found
        return (
            f"{self.alias}: {len(found.arms)} ways of asking; {found.choosing:,} texts choose, {found.reporting:,} "
            f"others report (seed {self.seed}): {self.source}"
        )

    def _lines(self) -> Iterator[str]:
        found, chosen = self.found, self.found.chosen
        yield _MEANINGS["own" if "own" in found.kinds else found.kinds[0]]
        yield "Columns behind the second F1 are of all texts together; per true: decoded tokens per triple that counts."
        yield (
            f"Chosen:   {chosen.name}: F1 {chosen.choose.value:.2f} where it was chosen, {_interval(chosen.report)} on "
            "the other half"
        )
        if equals := found.equals:
            names = ", ".join(each.name for each in equals)
            cheapest = min(equals, key=lambda each: each.price)
            cheaper = ""
            if cheapest.price < chosen.price and not isinf(cheapest.price):
                cheaper = (
                    f" (fewer tokens: {cheapest.name}, {cheapest.price:.0f} per true triple, not {_price(chosen)})"
                )
            yield f"Noise:    cannot be told apart from it on that half: {names}{cheaper}"
        if found.better:
            yield f"Warning:  better than it on that half: {', '.join(each.name for each in found.better)}"
        if set(found.kinds) <= {"known", "own"}:
            yield f"Warning:  {_WEAK}"
        elif found.with_facts < ENOUGH:
            yield (
                f"Warning:  {found.with_facts} of the texts that choose have facts; with fewer than {ENOUGH} the order "
                "of the best is mostly chance. Ask about more (--n), or write down the facts of more."
            )


def _grid(found: Tuned) -> Grid:
    grid = Grid(box=None, padding=(0, 2, 0, 0))
    split = "own" in found.kinds
    heads = ("F1 choose", "F1 report", *(("agree", "known") if split else ()), "P", "R", "empty", "repeated")
    grid.add_column("arm", no_wrap=True)
    for head in (*heads, "decoded", "per true", "cut"):
        grid.add_column(head, justify="right")
    for arm in found.arms:
        name = f"{arm.name} *" if arm is found.chosen else arm.name
        grid.add_row(name, *_cells(arm, split=split))
    return grid


def _cells(arm: ArmFigures, *, split: bool) -> Iterator[str]:
    yield from map(_interval, (arm.choose, arm.report))
    if split:
        found: tuple[Interval | None, ...] = (arm.by_kind.get("own"), arm.by_kind.get("known"))
        yield from ("" if each is None else f"{each.value:.2f}" for each in found)
    yield from (f"{share:.2f}" for share in (arm.sure.precision, arm.sure.recall))
    cost = arm.cost
    yield f"{cost.empty:,} of {cost.answers:,}"
    yield f"{cost.repeated / cost.triples:.0%}" if cost.triples else ""
    yield from (f"{cost.decoded:,}", _price(arm), f"{cost.cut:,}")


def _rows(found: Tuned) -> list[str]:
    text = StringIO()
    terminal(file=text, width=_WIDTH).print(_grid(found))
    return [line.rstrip() for line in text.getvalue().splitlines()]


def _price(arm: ArmFigures) -> str:
    return "" if isinf(arm.price) else f"{arm.price:.0f}"


def _interval(found: Interval) -> str:
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"
