"""A report on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

from rich.console import Console
from rich.table import Table as Grid

from triplelake.console import say
from triplelake.evaluate.bootstrap import Interval
from triplelake.evaluate.report import Change, Comparison, GoldReport, ReviewReport
from triplelake.evaluate.scores import EVERYTHING
from triplelake.evaluate.tally import FIGURES, MEANINGS, DocumentTally

_RELATIONS_SHOWN = 20
_NOT_SHARES = {"right_per_1000_tokens"}
_BASELINES = {
    "nothing": "says nothing",
    "dictionary": "says of two names the relation that both have stood in most often elsewhere in the gold",
}


def show(report: GoldReport | ReviewReport, console: Console) -> None:
    """Print a report, and what changed if it has been compared."""
    if isinstance(report, GoldReport):
        _gold(report, console)
    else:
        _review(report, console)
    if report.comparison:
        _comparison(report.comparison, console)


def _gold(report: GoldReport, console: Console) -> None:
    whole = report.groups[EVERYTHING]
    sums = whole.sums
    say(
        console,
        f"{report.run.output} against {report.gold} ({report.format}): {whole.documents:,} documents, "
        f"{sums['gold']:,} gold facts, {sums['said']:,} said, {sums['right']:,} right",
    )
    for note in report.notes:
        say(console, f"  {note}")
    if report.lacking:
        facts = sum(report.lacking.values())
        names = ", ".join(f"{name} {count:,}" for name, count in islice(report.lacking.items(), 8))
        more = f" and {len(report.lacking) - 8} more" if len(report.lacking) > 8 else ""
        say(console, f"  {facts:,} gold facts left out, whose relation the ontology lacks: {names}{more}")
    for name, group in report.groups.items():
        grid = _grid("figure", "value", "95 %", "")
        for figure, found in group.figures.items():
            cells = _cells(figure, found)
            if found is None and (value := FIGURES[figure](DocumentTally(**group.sums))) is not None:
                cells = _formatted(figure, value), ""
            grid.add_row(figure, *cells, MEANINGS[figure])
        _print(console, f"{name}, {group.documents:,} documents", grid)
    if sure := report.confidence:
        auc = "all are of one kind" if sure.auc is None else f"AUC {sure.auc:.3f}, ECE {sure.ece:.3f}"
        grid = _grid("surest", "precision", "95 %")
        for percent, found in sure.kept.items():
            grid.add_row(f"{percent} %", _number(found.value), _bounds(found))
        _print(console, f"Confidence of {sure.triples:,} triples: {auc}", grid)
    grid = _grid("baseline", "precision", "recall", "F1", "95 %", "")
    for name, scored in report.baselines.items():
        counts, f1 = scored.counts, scored.f1
        grid.add_row(
            name, *map(_number, (counts.precision, counts.recall, f1.value)), _bounds(f1), _BASELINES.get(name, "")
        )
    _print(console, "Without a model (strict)", grid)
    _relations(report, console)
    if scorer := report.scorer:
        grid = _grid("F1", "how it is counted")
        for step, value in scorer.steps:
            grid.add_row(_number(value), step)
        _print(
            console,
            f"The scorer of Text2KGBench gives precision {_number(scorer.precision)}, recall {_number(scorer.recall)}, "
            f"F1 {_number(scorer.f1)}. From ours to its F1:",
            grid,
        )
        say(console, f"It drops {scorer.dropped:,} of {scorer.said:,} triples before it counts.")


def _relations(report: GoldReport, console: Console) -> None:
    grid = _grid("relation", "gold", "said", "right", "precision", "recall", "F1", "95 %")
    for relation, scored in islice(report.relations.items(), _RELATIONS_SHOWN):
        counts = scored.counts
        grid.add_row(
            relation,
            *(f"{count:,}" for count in (counts.gold, counts.predicted, counts.correct)),
            *map(_number, (counts.precision, counts.recall, scored.f1.value)),
            _bounds(scored.f1),
        )
    _print(console, "By relation (strict)", grid)
    _more(console, len(report.relations))


def _review(report: ReviewReport, console: Console) -> None:
    whole = report.groups[EVERYTHING]
    say(
        console,
        f"{report.review}: {whole.judged:,} triples judged, {whole.right:,} right; {report.unsure:,} unclear, "
        f"{report.open:,} without a verdict",
    )
    if report.missing or report.silent:
        say(
            console,
            f"  No part of a precision: {report.missing:,} facts that were added since they had not been found, and "
            f"{report.silent:,} texts that state nothing",
        )
    if not (whole.judged or report.unsure):
        say(console, "Fill in `verdict`: 对 or yes, 错 or no, ? where you cannot tell. Then the same command.")
        return
    for note in report.notes:
        say(console, f"  {note}")
    for title, groups in (("All", report.groups), ("By relation", report.relations)):
        grid = _grid("", "documents", "judged", "right", "precision", "95 %")
        for name, each in islice(groups.items(), _RELATIONS_SHOWN):
            counts = (each.documents, each.judged, each.right)
            cells = ("" if count is None else f"{count:,}" for count in counts)
            grid.add_row(name, *cells, *_cells("precision", each.precision))
        _print(console, title, grid)
    _more(console, len(report.relations))


def _comparison(found: Comparison, console: Console) -> None:
    say(console, f"\nSince {found.other}: {found.paired:,} in both, {found.only_here:,} new, {found.only_there:,} gone")
    for name, (before, after) in found.settings.items():
        say(console, f"  {name}: {before} → {after}")
    if found.figures:
        _print(
            console, "What changed, over what both have (* where the interval does not hold 0)", _changes(found.figures)
        )
    if found.relations:
        shown = dict(islice(found.relations.items(), _RELATIONS_SHOWN))
        _print(console, "By relation, over all of each", _changes(shown))
        _more(console, len(found.relations))


def _changes(changes: Mapping[str, Change]) -> Grid:
    grid = _grid("", "before", "after", "difference", "95 %", "")
    for name, change in changes.items():
        found = change.difference
        real = "*" if found and not found.low <= 0 <= found.high else ""
        difference = (f"{found.value:+.3f}", f"{found.low:+.3f} – {found.high:+.3f}") if found else ("", "")
        grid.add_row(name, _number(change.before), _number(change.after), *difference, real)
    return grid


def _grid(*columns: str) -> Grid:
    grid = Grid(box=None, padding=(0, 2, 0, 0))
    for rank, column in enumerate(columns):
        last_words = rank == len(columns) - 1 and column in ("", "how it is counted")
        grid.add_column(column, justify="left" if rank == 0 or last_words else "right", no_wrap=not last_words)
    return grid


def _cells(figure: str, found: Interval | None) -> Sequence[str]:
    if found is None:
        return "", ""
    bounds = f"{found.low:.2f} – {found.high:.2f}" if figure in _NOT_SHARES else _bounds(found)
    return _formatted(figure, found.value), bounds


def _formatted(figure: str, value: float) -> str:
    return f"{value:.2f}" if figure in _NOT_SHARES else _number(value)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _bounds(found: Interval) -> str:
    return f"{found.low:.3f} – {found.high:.3f}"


def _more(console: Console, relations: int) -> None:
    if relations > _RELATIONS_SHOWN:
        say(console, f"and {relations - _RELATIONS_SHOWN:,} more relations: see --json")


def _print(console: Console, title: str, grid: Grid) -> None:
    say(console, f"\n{title}")
    console.print(grid, highlight=False, markup=False)
