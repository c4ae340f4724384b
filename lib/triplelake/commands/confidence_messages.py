"""What a person is told of confidence: what it is made with, from where on a triple is a fact, and its second looks."""

from __future__ import annotations

from rich.console import Console

from triplelake.config import LookKind
from triplelake.console import say
from triplelake.evaluate.calibration_file import CalibrationFile


def confidence(console: Console, found: CalibrationFile, key: str) -> None:
    """What confidence is made with."""
    fitted = (
        f"{found.triples:,} triples of {found.documents:,} documents judged by {found.judged_by}, AUC {found.auc:.2f}"
    )
    say(console, f"Sure:     confidence as fitted on {fitted}")
    if found.extraction_key != key:
        say(console, "          Those were asked with other settings, so that it may be off: judge some of yours")


def sifted(console: Console, before: float, least: float, unknown: int) -> None:
    """From which confidence on a triple counts as a fact, where that has changed.

    Args:
        unknown: current triples without a confidence.
    """
    if not least:
        say(
            console,
            f"Facts:    all that nothing speaks against, with and without a confidence; it was at least {before:g}",
        )
        return
    if least == 1.0:
        say(console, "Facts:    none: not even the surest are as sure as run.precision wants; ask for less")
        return
    say(console, f"Facts:    those with a confidence of at least {least:g}; it was {before:g}")
    if unknown:
        say(
            console,
            f"          {unknown:,} triples have none, and are no facts: --republish gives it where it can be had",
        )


def calibration(console: Console, found: CalibrationFile, setting: LookKind) -> None:
    """Where a calibration and a run do not agree about looks.

    Args:
        setting: `asking.second_look` of the run.
    """
    needs, has = found.calibration.needs_look, setting != "none"
    if needs and not has:
        say(console, "          It weighs second looks: set asking.second_look=yes_no, for what a run asks without")
        say(console, "          gets no confidence")
    elif has and not needs:
        say(console, "          It weighs no second looks; those of this run are kept for `triplelake calibrate`")


def unlooked(console: Console, count: int) -> None:
    """Triples without a confidence under a calibration that needs looks.

    Args:
        count: of all current triples.
    """
    told = "their answers were asked without a second look, or it failed"
    say(console, f"Sure:     {count:,} triples have no confidence: {told}")


def without_looks(console: Console) -> None:
    """That an estimate which asked nothing does not know of looks."""
    say(console, "          Without the second look at each triple (asking.second_look), which --probe 20 measures too")
