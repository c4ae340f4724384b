"""Confidence from an output whose triples are judged: what is read from its tables, the fit, and what is said of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import functions as F

from triplelake.commands.gold_answers import find, run_of_keys
from triplelake.config import AnswerSettings
from triplelake.errors import InputError
from triplelake.evaluate.calibrate import JudgedTriple, cross_validated, fit
from triplelake.evaluate.calibration_file import CalibrationFile, thresholds
from triplelake.evaluate.gold import READERS, Fact, GoldDocument
from triplelake.evaluate.metrics import strict_counts
from triplelake.evaluate.ontologies import read_ontology
from triplelake.evaluate.review import Review
from triplelake.evaluate.sureness import Kept, Quality, quality, threshold
from triplelake.evaluate.vocabulary import Vocabulary
from triplelake.prompt.ontology import Ontology
from triplelake.spark import open_session
from triplelake.tables.mentions import AnsweredChunk, MentionRow, mentions
from triplelake.tables.store import Store
from triplelake.tables.views import Views

PRECISIONS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""For which the table of a calibration has a line, where a confidence gives them."""

_CHUNKS = """
SELECT c.*, CASE WHEN a.status <> 'failed' THEN a.completion END AS completion,
       coalesce(a.error_code = 'truncated', false) AS truncated, a.finished_at AS answered_at,
       a.token_logprobs, a.token_chars, a.looks
FROM {chunks} c
JOIN {current_documents} d
  ON c.doc_id = d.doc_id AND c.doc_version = d.doc_version AND c.extraction_key = d.extraction_key
JOIN {wanted} w ON c.doc_id = w.doc_id
LEFT JOIN {answers} a ON c.request_id = a.request_id
ORDER BY c.doc_id, c.ordinal"""
_FIELDS = tuple(field.name for field in fields(AnsweredChunk))

_Judged = tuple[str, MentionRow, bool, float]
"""A triple of a document, whether it is right, and how many triples it stands for."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A fit.

    Args:
        file: what is to be written.
        quality: its figures, cross-validated.
        unknown: judged triples whose probabilities are not known.
        unlooked: of the others, those without a second look, where some have one: then no look is used.
    """

    file: CalibrationFile
    quality: Quality
    unknown: int
    unlooked: int = 0


@dataclass(frozen=True, slots=True)
class Judgement:
    """What judges the triples of an output: a gold file in a format of `READERS`, or a sheet."""

    file: Path
    gold_format: str | None = None
    review: Review | None = None


def calibrate(output: str, by: Judgement, *, ontology: str | None = None) -> Calibrated:
    """Fit confidence on the judged triples of an output.

    Args:
        ontology: in place of that of the run.

    Raises:
        InputError: the judgements cannot be read, are of other documents, too few, or of several ways of asking.
        OutputError: the output holds no tables of triplelake.
    """
    gold = READERS[by.gold_format](by.file) if by.gold_format else []
    store = Store(open_session("triplelake calibrate"), output)
    store.require()
    if by.review is not None:
        doc_ids = _documents_of(store, by.review)
        wanted: Mapping[str, GoldDocument] = {}
    else:
        found = find(store, gold, own_ids=by.gold_format != "duie")
        wanted = {answered.doc_id: document for document, answered in found.documents}
        doc_ids = list(wanted)
    rows = _chunks(store, doc_ids)
    keys = sorted({row["extraction_key"] for row in rows})
    if not keys:
        reason = f"judges no triple that is in {output} now"
        raise InputError(str(by.file), reason, "Name the output that the sheet came from, or judge a new sample.")
    if len(keys) != 1:
        reason = f"judges documents that were answered under {len(keys)} extraction keys; a calibration is of one"
        raise InputError(str(by.file), reason, "Judge the documents of one run's settings.")
    run = run_of_keys(store, keys)
    relations = read_ontology(ontology or str(run.settings.get("ontology")))
    made = _mentions(rows, relations, AnswerSettings.model_validate(run.settings.get("answer", {})))
    vocabulary = Vocabulary(relations)
    facts = {doc: set(each.facts) for doc, each in zip(wanted, vocabulary.gold([*wanted.values()])[0], strict=True)}
    judged = _by_sheet(made, by.review) if by.review is not None else _by_gold(made, facts, vocabulary)
    triples = [
        JudgedTriple(doc, right, m.row["fact_id"], m.row["predicate"], m.features, weight=weight)
        for doc, m, right, weight in judged
        if m.features
    ]
    calibration = fit(triples, source=str(by.file))
    confidences = cross_validated(triples)
    told = quality(triples, confidences, gold=sum(map(len, facts.values())) or None)
    lines: list[Kept] = [kept for p in PRECISIONS if (kept := threshold(triples, confidences, p))]
    file = CalibrationFile(
        model=run.model or "",
        form=run.form,
        extraction_key=keys[0],
        judged_by=by.file.name,
        documents=len({each.document for each in triples}),
        triples=len(triples),
        right=sum(each.right for each in triples),
        auc=round(told.auc or 0.0, 4),
        brier=round(told.brier, 4),
        ece=round(told.ece, 4),
        thresholds=thresholds(told, lines),
        bias=round(calibration.bias, 6),
        weights={name: round(weight, 6) for name, weight in calibration.weights.items()},
        relations={name: round(weight, 4) for name, weight in calibration.relations.items()},
    )
    without = sum(each.features.look is None for each in triples)
    return Calibrated(file, told, len(judged) - len(triples), without if without < len(triples) else 0)


def _documents_of(store: Store, review: Review) -> list[str]:
    ids = pa.Table.from_pydict({"triple_id": [verdict.triple_id for verdict in review.verdicts]})
    frame = F.broadcast(store.spark.createDataFrame(ids))
    current = Views(store)["current_triples"].join(frame, "triple_id", "left_semi")
    return [row["doc_id"] for row in current.select("doc_id").distinct().collect()]


def _chunks(store: Store, doc_ids: Sequence[str]) -> list[dict[str, Any]]:
    wanted = pa.Table.from_pydict({"doc_id": list(doc_ids)}, schema=pa.schema([("doc_id", pa.string())]))
    frame = store.spark.createDataFrame(wanted)
    return [row.asDict() for row in Views(store).sql(_CHUNKS, wanted=frame).collect()]


def _mentions(
    rows: Sequence[Mapping[str, Any]], ontology: Ontology | None, answer: AnswerSettings
) -> list[tuple[str, MentionRow]]:
    chunks: dict[str, list[AnsweredChunk]] = defaultdict(list)
    for row in rows:
        chunks[row["doc_id"]].append(AnsweredChunk(**{name: row[name] for name in _FIELDS}))
    return [(doc_id, mention) for doc_id, each in chunks.items() for mention in mentions(each, ontology, answer)]


def _by_sheet(made: Sequence[tuple[str, MentionRow]], review: Review) -> list[_Judged]:
    verdicts = {each.triple_id: (each.right, each.weight) for each in review.verdicts if each.right is not None}
    return [
        (doc_id, mention, *verdict) for doc_id, mention in made if (verdict := verdicts.get(mention.row["triple_id"]))
    ]


def _by_gold(
    made: Sequence[tuple[str, MentionRow]], gold: Mapping[str, Collection[Fact]], vocabulary: Vocabulary
) -> list[_Judged]:
    judged = []
    for doc_id, mention in made:
        row = mention.row
        said = vocabulary.relations([(row["subject"], row["predicate"], row["object"])], row["lang"])
        judged.append((doc_id, mention, strict_counts(gold[doc_id], said).correct == 1, 1.0))
    return judged
