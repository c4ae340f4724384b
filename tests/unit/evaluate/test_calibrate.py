"""Confidence fitted on triples that are right with a known probability."""

from __future__ import annotations

import io
import math
import random
from dataclasses import replace
from operator import mul
from pathlib import Path
from statistics import mean

import pytest
from rich.console import Console
from sklearn.metrics import brier_score_loss, roc_auc_score

from triplelake.commands.calibrate_messages import show_calibration
from triplelake.config import Settings, conf_dir
from triplelake.errors import InputError, OutputError, UsageError
from triplelake.evaluate.calibrate import FEWEST_TRIPLES, JudgedTriple, cross_validated, fit
from triplelake.evaluate.calibration_file import (
    CalibrationFile,
    check_confidence,
    choose,
    read_calibration,
    thresholds,
    write_calibration,
)
from triplelake.evaluate.sampling import drawn
from triplelake.evaluate.sureness import Quality, quality, threshold
from triplelake.triples.confidence import NAMES, Features

NOTHING = Features(*[0.0] * len(NAMES))


def truth(each: Features, predicate: str) -> float:
    """The probability by which the triples below are right."""
    return 1 / (1 + math.exp(-(1.0 + 0.8 * each.object - (1.5 if predicate == "hard" else 0.0))))


def judged(documents: int, seed: int = 0) -> list[JudgedTriple]:
    rng = random.Random(seed)
    found = []
    for number in range(documents):
        for rank in range(rng.randint(1, 4)):
            predicate = rng.choice(["easy", "hard"])
            known = replace(NOTHING, object=-rng.expovariate(0.5), subject=-rng.random(), rank=float(rank))
            found.append(
                JudgedTriple(f"d{number}", rng.random() < truth(known, predicate), f"f{rank}", predicate, known)
            )
    return found


def file_of(**changes: object) -> CalibrationFile:
    known = {"model": "m Q8_0", "form": "arrays", "judged_by": "gold.jsonl", "documents": 9, "triples": 90, "right": 40}
    rows = [
        {"confidence": 0.8, "kept": 0.1, "precision": 0.9, "low": 0.8, "high": 0.95},
        {"confidence": 0.4, "kept": 0.4, "precision": 0.7, "low": 0.6, "high": 0.8},
    ]
    figures = {"auc": 0.8, "brier": 0.1, "ece": 0.04, "thresholds": rows, "bias": 0.5, "weights": {"object": 0.25}}
    return CalibrationFile.model_validate(known | figures | changes)


def test_a_fit_finds_the_probabilities_again() -> None:
    made = fit(judged(1500), source="gold")
    for value in (-4.0, -2.0, -1.0, 0.0):
        for predicate in ("easy", "hard"):
            known = replace(NOTHING, object=value, subject=-0.5, rank=1.0)
            assert made.confidence(known, predicate) == pytest.approx(truth(known, predicate), abs=0.06)


def looked(triples: list[JudgedTriple], *, without: int = 0) -> list[JudgedTriple]:
    """With looks that tell right from wrong, but for the first ones."""
    rng = random.Random(3)
    found = []
    for place, each in enumerate(triples):
        look = rng.gauss(-0.5 if each.right else -2.0, 0.7)
        found.append(replace(each, features=replace(each.features, look=None if place < without else look)))
    return found


@pytest.mark.slow
def test_looks_are_weighed_where_every_triple_has_one() -> None:
    plain = [replace(each, features=replace(each.features, look=None)) for each in judged(300)]
    bare, some, every = (fit(each, source="gold") for each in (plain, looked(plain, without=1), looked(plain)))
    assert (bare.needs_look, some.needs_look, every.needs_look) == (False, False, True)
    assert bare == some, "a look that one triple lacks counts for none"
    assert every.weights["look"] > 0
    without, with_looks = (quality(each, cross_validated(each)).auc for each in (plain, looked(plain)))
    assert without and with_looks and with_looks > without + 0.05


def test_a_file_says_whether_it_needs_looks(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    write_calibration(file, file_of(weights={"object": 0.25, "look": 0.5}), overwrite=False)
    assert read_calibration(file).calibration.needs_look
    write_calibration(file, file_of(), overwrite=True)
    assert not read_calibration(file).calibration.needs_look


@pytest.mark.slow
def test_what_a_fit_has_of_looks_is_shown(tmp_path: Path) -> None:
    def shown(found: CalibrationFile, unlooked: int) -> str:
        console = Console(file=io.StringIO(), width=200)
        rows = quality(judged(60), cross_validated(judged(60)))
        here = {"file": tmp_path / "c.yaml", "plot": tmp_path / "c.svg"}
        show_calibration(console, found, rows, unknown=0, unlooked=unlooked, **here)
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue()

    needs = file_of(weights={"look": 0.5})
    assert "It needs asking.second_look=yes_no" in shown(needs, 0)
    assert "3 of them have no second look, so that those of the others are not used" in shown(file_of(), 3)
    assert "second" not in shown(file_of(), 0)


@pytest.mark.slow
def test_figures_are_those_of_documents_that_the_fit_has_not_seen() -> None:
    triples = judged(600)
    found = quality(triples, cross_validated(triples), gold=2000)
    best = quality(triples, [truth(each.features, each.predicate) for each in triples], gold=2000)
    assert found.auc == pytest.approx(best.auc, abs=0.02)
    assert found.ece < 0.05
    assert found.brier == pytest.approx(best.brier, abs=0.01)
    assert found.kept[0].precision.value > found.kept[-1].precision.value
    assert found.kept[-1].share == 1
    assert found.best is not None
    assert found.best.f1 == max(kept.f1 for kept in (*found.kept, found.best) if kept.f1 is not None)
    # A document whose triples tell nothing but themselves: by heart they would all be known.
    noise = [replace(each, right=random.Random(place).random() < 0.5) for place, each in enumerate(judged(200))]
    assert quality(noise, cross_validated(noise)).auc == pytest.approx(0.5, abs=0.1)


def test_a_threshold_keeps_ties_together_and_as_much_as_it_can() -> None:
    rights = [True, True, False, True, True, False, False, False]
    triples = [JudgedTriple(f"d{place}", right, "f", "r", NOTHING) for place, right in enumerate(rights)]
    confidences = [0.9, 0.8, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]
    kept = threshold(triples, confidences, 0.75)
    assert kept is not None
    assert (kept.confidence, kept.share, kept.precision.value) == (0.6, 5 / 8, 0.8)
    surest = threshold(triples, confidences, 1.0)
    assert surest is not None
    assert (surest.confidence, surest.share) == (0.9, 1 / 8)
    assert threshold([replace(each, right=False) for each in triples], confidences, 0.1) is None


def test_figures_are_those_of_scikit_learn() -> None:
    triples = judged(100)
    coarse = [round(truth(each.features, each.predicate), 1) for each in triples]
    found = quality(triples, coarse)
    assert found.auc == pytest.approx(roc_auc_score([each.right for each in triples], coarse))
    assert found.brier == pytest.approx(brier_score_loss([each.right for each in triples], coarse))
    assert quality([each for each in triples if each.right], [0.5] * sum(each.right for each in triples)).auc is None


def test_weighed_figures_are_those_of_scikit_learn_and_of_as_many_copies() -> None:
    triples = [replace(each, weight=float(1 + rank % 3)) for rank, each in enumerate(judged(100))]
    coarse = [round(truth(each.features, each.predicate), 1) for each in triples]
    found = quality(triples, coarse)
    rights, weights = [each.right for each in triples], [each.weight for each in triples]
    assert found.auc == pytest.approx(roc_auc_score(rights, coarse, sample_weight=weights))
    assert found.brier == pytest.approx(brier_score_loss(rights, coarse, sample_weight=weights))
    assert sum(each.weight for each in found.bins) == pytest.approx(sum(weights))
    assert found.ece == pytest.approx(
        sum(abs(each.confidence - each.right.value) * each.weight for each in found.bins) / sum(weights)
    )
    assert found.kept[-1].precision.value == pytest.approx(sum(map(mul, rights, weights)) / sum(weights))
    copies = [(each, value) for each, value in zip(triples, coarse, strict=True) for _ in range(int(each.weight))]
    for precision in (0.3, 0.5, 0.6):
        kept = threshold(triples, coarse, precision)
        same = threshold([replace(each, weight=1.0) for each, _ in copies], [value for _, value in copies], precision)
        assert kept and same
        assert kept.confidence == same.confidence
        assert (kept.share, kept.precision.value) == pytest.approx((same.share, same.precision.value))


@pytest.mark.slow
def test_a_fit_counts_a_triple_by_how_many_it_stands_for() -> None:
    triples = [replace(each, weight=3.0 if each.right else 1.0) for each in judged(400)]
    copies = [each for each in triples for _ in range(int(each.weight))]
    made = fit(triples, source="gold")
    same = fit([replace(each, weight=1.0) for each in copies], source="gold")
    plain = fit([replace(each, weight=1.0) for each in triples], source="gold")
    for each in triples[:20]:
        sure = made.confidence(each.features, each.predicate)
        # Nearly: the penalty, of a mean weight of 1, and the scale of the features are those of fewer triples.
        assert sure == pytest.approx(same.confidence(each.features, each.predicate), abs=0.03)
        before = plain.confidence(each.features, each.predicate)
        assert sure is not None and before is not None
        # The odds are three times as high.
        assert math.log(sure / (1 - sure) * (1 - before) / before) == pytest.approx(math.log(3), abs=0.3)
    weighed, unweighed = cross_validated(triples), cross_validated([replace(each, weight=1.0) for each in triples])
    assert sum(weighed) > sum(unweighed) + 0.1 * len(triples)


@pytest.mark.slow
def test_of_a_stratified_sheet_the_figures_are_those_of_all_triples() -> None:
    everything = judged(1200, seed=5)
    sure = {f"{rank}": truth(each.features, each.predicate) for rank, each in enumerate(everything)}
    precision = sum(each.right for each in everything) / len(everything)
    whole = quality(everything, [*sure.values()])
    told: dict[bool, list[Quality]] = {True: [], False: []}
    for seed in range(40):
        weights = drawn(sure, 200, seed)
        for weighed, known in told.items():
            rows = [replace(everything[int(each)], weight=weights[each] if weighed else 1.0) for each in weights]
            known.append(quality(rows, [sure[each] for each in weights]))

    def means(known: list[Quality]) -> tuple[float, ...]:
        return tuple(
            mean(values)
            for values in zip(
                *((each.kept[-1].precision.value, each.auc or 0.0, each.brier) for each in known), strict=True
            )
        )

    assert whole.auc is not None
    assert means(told[True]) == pytest.approx((precision, whole.auc, whole.brier), abs=0.012)
    for fair, plain in zip(means(told[True]), means(told[False]), strict=True):
        assert abs(fair - plain) > 0.02, "the test would not see what it is for"


def test_precision_is_shown_as_that_of_all_triples(tmp_path: Path) -> None:
    def shown(weight: float) -> str:
        rows = [replace(each, right=rank < 40, weight=1.0 if rank < 40 else weight) for rank, each in enumerate(rows90)]
        console = Console(file=io.StringIO(), width=200)
        told = quality(rows, [0.5] * len(rows))
        show_calibration(console, file_of(), told, unknown=0, file=tmp_path / "c.yaml", plot=tmp_path / "c.svg")
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue().splitlines()[0]

    rows90 = judged(60)[:90]
    assert shown(1.0) == "gold.jsonl: 90 judged triples of 9 documents, 40 right, precision 44%"
    assert shown(3.2) == "gold.jsonl: 90 judged triples of 9 documents, 40 right; they stand for 200, precision 20%"


@pytest.mark.parametrize(("documents", "right"), [(3, None), (200, True), (200, False)])
def test_too_few_judgements_are_refused(documents: int, right: bool | None) -> None:
    triples = judged(documents)
    if right is not None:
        triples = [replace(each, right=right) for each in triples]
    with pytest.raises(
        InputError, match="confidence needs 50, 10 right and wrong ones among them, in 10 documents"
    ) as caught:
        fit(triples, source="sheet.csv")
    assert caught.value.subject == "sheet.csv"


@pytest.mark.slow
def test_right_ones_of_one_document_are_still_cross_validated() -> None:
    triples = [replace(each, right=each.document == "d0") for each in judged(100)]
    assert all(0 <= value <= 1 for value in cross_validated(triples))
    with pytest.raises(InputError, match="in 1 documents"):
        fit([replace(each, document="d") for each in judged(100)], source="sheet.csv")


def test_a_fact_that_a_document_says_twice_is_found_once() -> None:
    twice = [JudgedTriple("d", True, "f", "r", NOTHING)] * 2
    found = quality(twice, [0.9, 0.8], gold=2)
    assert found.kept[-1].f1 == pytest.approx(2 / 3)
    assert found.best is not None and found.best.f1 == pytest.approx(2 / 3)


@pytest.mark.slow
def test_a_file_gives_back_what_was_fitted(tmp_path: Path) -> None:
    triples = judged(300)
    made, found = fit(triples, source="gold"), quality(triples, cross_validated(triples))
    rows = thresholds(found, [])
    assert [each.confidence for each in rows] == sorted((each.confidence for each in rows), reverse=True)
    stored = file_of(bias=made.bias, weights=made.weights, relations=made.relations, thresholds=rows)
    write_calibration(tmp_path / "c.yaml", stored, overwrite=False)
    assert read_calibration(tmp_path / "c.yaml") == stored
    assert read_calibration(tmp_path / "c.yaml").calibration == made
    with pytest.raises(OutputError, match="is there already"):
        write_calibration(tmp_path / "c.yaml", stored, overwrite=False)
    write_calibration(tmp_path / "c.yaml", stored, overwrite=True)


def test_a_calibration_is_of_one_model_and_one_form_of_answers(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    write_calibration(file, file_of(), overwrite=False)
    assert choose(str(file), model="m Q8_0", form="arrays") == file_of()
    assert choose("none", model="m Q8_0", form="arrays") is None
    assert choose("auto", model="nobody's", form="arrays") is None
    with pytest.raises(InputError, match="was fitted on answers of m Q8_0 as arrays"):
        choose(str(file), model="other Q8_0", form="arrays")
    with pytest.raises(InputError, match="was fitted on answers of m Q8_0 as arrays"):
        choose(str(file), model="m Q8_0", form="relations")
    with pytest.raises(UsageError, match="no such calibration"):
        choose("nothing.yaml", model="m", form="arrays")
    write_calibration(file, file_of(weights={"colour": 1.0}), overwrite=True)
    with pytest.raises(InputError, match="weighs `colour`"):
        read_calibration(file)


def test_a_bound_on_confidence_needs_a_calibration() -> None:
    def check(found: CalibrationFile | None, **run: float) -> None:
        check_confidence(Settings.model_validate({"run": run}), found)

    check(None)
    check(None, min_confidence=0)
    check(file_of(), min_confidence=0.3)
    check(file_of(), precision=0.7)
    for run in ({"precision": 0.7}, {"min_confidence": 0.3}):
        with pytest.raises(UsageError, match="needs a calibration"):
            check(None, **run)
    with pytest.raises(UsageError, match=r"goes without run\.min_confidence"):
        check(file_of(), precision=0.7, min_confidence=0.3)


def test_what_is_shipped_can_be_used_with_the_profile_of_its_model() -> None:
    files = sorted((conf_dir() / "calibrations").glob("*.yaml"))
    assert files
    for file in files:
        found = read_calibration(file)
        assert choose("auto", model=found.model, form=found.form) == found
        assert found.judged_by == "conf/demo/gold.jsonl"
        assert not found.calibration.needs_look
        assert found.triples >= FEWEST_TRIPLES
