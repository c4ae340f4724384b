"""The plot of a training: loss and F1 by minutes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

_LOSS, _F1 = "#1f5fa8", "#b5481f"


def draw(lines: Sequence[Mapping[str, Any]], file: Path) -> None:
    """Draw the lines of a log into an SVG file."""
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "triplelake", "font.family": "sans-serif"}):
        figure = Figure(figsize=(6.5, 4.0), layout="constrained")
        left = figure.add_subplot()
        _plot(left, lines, "loss", color=_LOSS, alpha=0.5, label="loss")
        _plot(left, lines, "held_loss", color=_LOSS, marker="o", linestyle="--", label="loss on dev texts")
        left.set(xlabel="minutes", ylabel="loss per token of an answer", ylim=(0, None))
        handles, names = left.get_legend_handles_labels()
        if any("f1" in each for each in lines):
            right = left.twinx()
            _plot(right, lines, "f1", color=_F1, marker="s", label="strict F1 on dev texts")
            right.set(ylim=(0, 1), ylabel="strict F1")
            more, told = right.get_legend_handles_labels()
            handles, names = handles + more, names + told
        left.legend(handles, names, loc="upper center", ncols=3, fontsize=8, bbox_to_anchor=(0.5, 1.12))
        figure.savefig(file, format="svg", metadata={"Date": None})


def _plot(axes: Any, lines: Sequence[Mapping[str, Any]], name: str, **looks: Any) -> None:
    found = [(each["seconds"] / 60, each[name]) for each in lines if name in each]
    if found:
        axes.plot(*zip(*found, strict=True), **looks)
