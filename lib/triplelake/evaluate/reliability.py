"""A reliability plot: the share of triples that are right against their confidence, in an SVG file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from triplelake.errors import OutputError
from triplelake.evaluate.sureness import Bin
from triplelake.types import PageLang

_WORDS: Mapping[PageLang, tuple[str, str, str]] = {
    "en": ("confidence", "share of right triples", "{} triples in each of {} groups; the bars are intervals of 95 %"),
    "zh": ("置信度", "正确三元组的比例", "分为{1}组，每组约{0}个三元组；竖线是95%的区间"),
}


def draw(bins: Sequence[Bin], file: Path, *, lang: PageLang) -> None:
    """Draw the bins of a `Quality`.

    Raises:
        OutputError: the file cannot be written.
    """
    # Imported late: only this command needs it.
    import matplotlib
    from matplotlib.figure import Figure

    x, y, subtitle = _WORDS[lang]
    # Letters stay letters, which the reader's own fonts show: matplotlib's have no Chinese.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "triplelake", "font.family": "sans-serif"}):
        figure = Figure(figsize=(5.5, 5.5), layout="constrained")
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        rights = [each.right for each in bins]
        errors = [[r.value - r.low for r in rights], [r.high - r.value for r in rights]]
        axes.errorbar(
            [each.confidence for each in bins],
            [r.value for r in rights],
            yerr=errors,
            fmt="o-",
            color="#1f5fa8",
            ecolor="#9dbfe3",
            capsize=3,
        )
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel=x, ylabel=y, aspect="equal")
        axes.set_title(subtitle.format(max(each.triples for each in bins), len(bins)), fontsize=9)
        try:
            figure.savefig(file, format="svg", metadata={"Date": None})
        except OSError as error:
            raise OutputError(str(file), error.strerror or "cannot be written", "Check the path.") from None
