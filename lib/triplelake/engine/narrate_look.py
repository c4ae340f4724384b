"""What a person is told about second looks: whether confidence has use for them, and what they are not counted in."""

from __future__ import annotations

from rich.console import Console

from triplelake.config import LookKind
from triplelake.console import say
from triplelake.evaluate.calibration_file import CalibrationFile


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
        say(console, "          It weighs no second looks; those of this run are kept for the next jobs/calibrate.py")


def unlooked(console: Console, count: int) -> None:
    """Triples without a confidence under a calibration that needs looks.

    Args:
        count: of all current triples.
    """
    told = "their answers were asked without a second look, or it failed"
    say(console, f"Sure:     {count:,} triples have no confidence: {told}")


def estimate(console: Console) -> None:
    """That an estimate which asked nothing does not know of looks."""
    say(console, "          Without the second look at each triple (asking.second_look), which --probe 20 measures too")
