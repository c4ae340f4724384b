"""What changed from one report to another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from triplelake.config import leaves
from triplelake.errors import UsageError
from triplelake.evaluate.bootstrap import Interval
from triplelake.evaluate.report import Change, Comparison, GoldReport, ReviewReport
from triplelake.evaluate.scores import EVERYTHING
from triplelake.evaluate.shares import newcombe
from triplelake.evaluate.tally import COLUMNS, FIGURES, DocumentTally


def compared(
    report: GoldReport | ReviewReport, other: GoldReport | ReviewReport, name: str
) -> GoldReport | ReviewReport:
    """A report with what changed since another one.

    Args:
        name: the other one's file, for people.

    Raises:
        UsageError: one is of gold and the other of a review.
    """
    if isinstance(report, GoldReport) and isinstance(other, GoldReport):
        return report.model_copy(update={"comparison": _of_gold(report, other, name)})
    if isinstance(report, ReviewReport) and isinstance(other, ReviewReport):
        return report.model_copy(update={"comparison": _of_reviews(report, other, name)})
    raise UsageError(
        f"--compare {name}", f"is of {other.kind}, this is of {report.kind}", "Compare two evaluations of one kind."
    )


def _of_gold(report: GoldReport, other: GoldReport, name: str) -> Comparison:
    common = report.rows.keys() & other.rows.keys()
    # In the order of this report, so that equal reports give equal intervals.
    keys = [key for key in report.rows if key in common]
    here, there = _tallies(report, keys), _tallies(other, keys)
    figures: dict[str, Change] = {}
    if keys:
        sums, other_sums = sum(here, DocumentTally()), sum(there, DocumentTally())
        figures = {
            figure: Change(before=value(other_sums), after=value(sums), difference=value.gain(here, there))
            for figure, value in FIGURES.items()
        }
    return Comparison(
        other=name,
        paired=len(keys),
        only_here=len(report.rows) - len(keys),
        only_there=len(other.rows) - len(keys),
        settings=_changed(report.run.model_dump(), other.run.model_dump()),
        figures=figures,
        relations=_changes(
            {relation: scored.f1.value for relation, scored in report.relations.items()},
            {relation: scored.f1.value for relation, scored in other.relations.items()},
        ),
    )


def _tallies(report: GoldReport, keys: list[str]) -> list[DocumentTally]:
    # By name: a report of a later version may have more counts.
    names = list(report.groups[EVERYTHING].sums)
    return [
        DocumentTally(**{name: row[names.index(name)] for name in COLUMNS})
        for row in map(report.rows.__getitem__, keys)
    ]


def _of_reviews(report: ReviewReport, other: ReviewReport, name: str) -> Comparison:
    common = report.verdicts.keys() & other.verdicts.keys()
    here, there = report.groups[EVERYTHING].precision, other.groups[EVERYTHING].precision
    counted = all(each.groups[EVERYTHING].documents is not None for each in (report, other))
    # As of two samples: sheets mostly hold other triples, and the same one has mostly the same verdict.
    difference = newcombe(here, there) if here and there and counted else None
    return Comparison(
        other=name,
        paired=len(common),
        only_here=len(report.verdicts) - len(common),
        only_there=len(other.verdicts) - len(common),
        settings={},
        figures={"precision": Change(before=_value(there), after=_value(here), difference=difference)},
        relations=_changes(
            {relation: _value(each.precision) for relation, each in report.relations.items()},
            {relation: _value(each.precision) for relation, each in other.relations.items()},
        ),
    )


def _value(found: Interval | None) -> float | None:
    return found.value if found else None


def _changes(here: Mapping[str, float | None], there: Mapping[str, float | None]) -> dict[str, Change]:
    """The relations whose figure is another one, in the order of this report."""
    names = dict.fromkeys((*here, *there))
    return {
        name: Change(before=there.get(name), after=here.get(name))
        for name in names
        if here.get(name) != there.get(name)
    }


def _changed(here: Mapping[str, Any], there: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Dotted names of what differs: before and after."""
    flat, other = dict(leaves(here)), dict(leaves(there))
    return {
        name: (other.get(name), flat.get(name))
        for name in dict.fromkeys((*flat, *other))
        if flat.get(name) != other.get(name)
    }
