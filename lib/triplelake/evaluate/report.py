"""The result of an evaluation as a file, which a later one can be compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from triplelake.errors import InputError, OutputError
from triplelake.evaluate.bootstrap import Interval
from triplelake.evaluate.metrics import Counts
from triplelake.evaluate.text2kgbench import Scorer
from triplelake.prompt.answer_form import FormName

_VERSION: Literal[1] = 1
"""Raised whenever a field changes its meaning."""


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Run(_Form):
    """What was judged.

    Args:
        output: where its tables lie.
        model: its fingerprint, as the newest run of the key tells it; None if no run tells.
        extraction_keys: of the judged documents.
        settings: effective settings of that run.
        form: how the model was asked to write an answer.
    """

    output: str
    model: str | None = None
    extraction_keys: tuple[str, ...] = ()
    settings: dict[str, Any] = Field(default_factory=dict)
    form: FormName = "arrays"


class Group(_Form):
    """A group of documents: how many, the sums of their tallies by name, and every figure with its interval."""

    documents: int
    sums: dict[str, int]
    figures: dict[str, Interval | None]


class Scored(_Form):
    """Counts, strict, with F1 and its interval."""

    counts: Counts
    f1: Interval


class Change(_Form):
    """A figure in the other report and here, and the difference with its interval, if it has one."""

    before: float | None
    after: float | None
    difference: Interval | None = None


class Comparison(_Form):
    """What changed since another report.

    Args:
        other: its file.
        paired: documents, or triples, that both have judged.
        only_here, only_there: those that one has.
        settings: changed settings: before and after.
        figures: over the paired documents.
        relations: strict F1, or precision, of each relation, over all of each report.
    """

    other: str
    paired: int
    only_here: int
    only_there: int
    settings: dict[str, tuple[Any, Any]]
    figures: dict[str, Change]
    relations: dict[str, Change]


class Sureness(_Form):
    """How well confidence tells right triples from wrong ones.

    Args:
        triples: that have a confidence.
        auc: None where all are right or all are wrong.
        ece: see `triplelake.evaluate.sureness.Quality`.
        kept: precision of the surest triples, by the share that is kept in percent.
    """

    triples: int
    auc: float | None
    ece: float
    kept: dict[int, Interval]


class GoldReport(_Form):
    """A run against gold.

    Args:
        confidence: None where no triple has one.
        groups: `all`, and each language where there are several.
        relations: by relation, the most frequent in gold first.
        baselines: what is had without a model, over the same documents.
        scorer: of Text2KGBench; None for other gold.
        lacking: gold facts that were left out, by relation, since the ontology lacks it.
        notes: what a reader must know.
        rows: the tally of each document (columns as in `sums`), by a hash of its text and gold.
    """

    kind: Literal["gold"] = "gold"
    version: Literal[1] = _VERSION
    run: Run
    gold: str
    format: str
    groups: dict[str, Group]
    relations: dict[str, Scored]
    baselines: dict[str, Scored]
    scorer: Scorer | None
    lacking: dict[str, int]
    notes: tuple[str, ...]
    rows: dict[str, tuple[int, ...]]
    confidence: Sureness | None = None
    comparison: Comparison | None = None


class Precision(_Form):
    """Triples that people found right, of those that they judged; with the interval by the documents that hold them.

    Args:
        right, judged: rows of the sheet.
        precision: of all that the rows were drawn from: right / judged where every row stands for as many.
        documents: None in a report of an earlier version, whose interval took every triple for a document of its own.
    """

    right: int
    judged: int
    documents: int | None = None
    precision: Interval | None


class ReviewReport(_Form):
    """A filled-in sheet.

    Args:
        groups: `all`, and each language where there are several.
        relations: by relation, the most judged first.
        unsure: rows where the reviewer could not tell; not among the judged.
        open: rows without a verdict.
        missing: facts that reviewers added; silent: sentences that state none. No part of a precision.
        notes: what a reader must know.
        verdicts: by triple.
    """

    kind: Literal["review"] = "review"
    version: Literal[1] = _VERSION
    review: str
    groups: dict[str, Precision]
    relations: dict[str, Precision]
    unsure: int
    open: int
    missing: int = 0
    silent: int = 0
    notes: tuple[str, ...] = ()
    verdicts: dict[str, bool]
    comparison: Comparison | None = None


Report = Annotated[GoldReport | ReviewReport, Field(discriminator="kind")]
_REPORT: TypeAdapter[GoldReport | ReviewReport] = TypeAdapter(Report)


def write_report(report: GoldReport | ReviewReport, path: Path) -> None:
    """Write a report as JSON.

    Raises:
        OutputError: the file cannot be written.
    """
    try:
        path.write_bytes(_REPORT.dump_json(report, indent=1) + b"\n")
    except OSError as error:
        raise OutputError(str(path), error.strerror or "cannot be written", "Choose another file.") from None


def read_report(path: Path) -> GoldReport | ReviewReport:
    """Read what `write_report` wrote.

    Raises:
        InputError: it cannot be read, or is something else.
    """
    try:
        return _REPORT.validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(str(path), error.strerror or "cannot be read", "Check the path.") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise InputError(
            str(path),
            f"is no report of this version of `triplelake evaluate` ({place or 'the file'}: {first['msg']})",
            "Make it with `triplelake evaluate … --json FILE`.",
        ) from None
