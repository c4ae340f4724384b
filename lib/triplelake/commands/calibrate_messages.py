"""A calibration on the terminal."""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.console import Console
from rich.table import Table as Grid

from triplelake.console import say
from triplelake.evaluate.calibration_file import CalibrationFile
from triplelake.evaluate.sureness import Quality


def show_calibration(
    console: Console,
    found: CalibrationFile,
    told: Quality,
    *,
    unknown: int,
    file: Path,
    plot: Path,
    unlooked: int = 0,
) -> None:
    """Print how good a calibration is, what each threshold keeps, and how it is used.

    Args:
        unknown: judged triples whose probabilities are not known.
        unlooked: those without a second look, where others have one.
        file, plot: what was written.
    """
    weight = sum(each.weight for each in told.bins)
    say(
        console,
        f"{found.judged_by}: {found.triples:,} judged triples of {found.documents:,} documents, {found.right:,} right"
        + ("" if weight == found.triples else f"; they stand for {weight:,.0f}")
        + f", precision {told.kept[-1].precision.value:.0%}",
    )
    if unknown:
        say(console, f"  {unknown:,} more have no probabilities: asked without asking.probabilities, or in halves")
    if unlooked:
        say(console, f"  {unlooked:,} of them have no second look, so that those of the others are not used")
    if found.calibration.needs_look:
        say(console, "  It needs asking.second_look=yes_no: a triple without a look has no confidence")
    say(console, "Cross-validated by document:")
    say(
        console,
        f"  AUC    {found.auc:.3f}  share of pairs in which the right triple is the surer one",
    )
    say(console, f"  Brier  {told.brier:.3f}  mean squared error of the confidence")
    say(console, f"  ECE    {told.ece:.3f}  mean distance of confidence and share of right triples")
    grid = Grid(box=None, padding=(0, 2, 0, 0))
    for column in ("confidence from", "kept", "precision", "95 %", "F1"):
        grid.add_column(column, justify="right")
    for each in found.thresholds:
        f1 = "" if each.f1 is None else f"{each.f1:.3f}"
        interval = f"{each.low:.3f} – {each.high:.3f}"
        grid.add_row(f"{each.confidence:.3f}", f"{each.kept:.0%}", f"{each.precision:.3f}", interval, f1)
    console.print(grid)
    if told.best is not None:
        say(
            console,
            f"F1 is largest from {told.best.confidence:.3f} on: {told.best.f1:.3f}, keeping {told.best.share:.0%}",
        )
    say(console, f"Written:  {file}, {plot}")
    name = shlex.quote(str(file))
    say(
        console,
        f"To use:   --set run.calibration={name} with the next run; for what is there: the same with --republish",
    )
