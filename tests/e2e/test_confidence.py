"""From a sample by a judged sheet and a calibration to facts of a precision, on a server of known probabilities."""

from __future__ import annotations

import csv
import io
import json
import math
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from harness.bench import Bench
from pyspark.sql import SparkSession
from rich.console import Console

from triplelake.commands.calibrate import Calibrated, Judgement, calibrate
from triplelake.commands.evaluate import AgainstGold, evaluate
from triplelake.commands.evaluate_messages import show
from triplelake.errors import InputError, UsageError
from triplelake.evaluate.calibration_file import write_calibration
from triplelake.evaluate.judge import judge_review
from triplelake.evaluate.review import ENCODING, read_review
from triplelake.tables.store import Store
from triplelake.tables.views import register

pytestmark = pytest.mark.spark

DOCUMENTS = 200
JUDGED = 120
SURE, DOUBTFUL = "金银铜铁锡江河湖海山", "木火土风云雷雨雪霜雾"


def logprob(char: str) -> float:
    """Of a character of an answer: the model is sure of some, and doubts others."""
    return {**dict.fromkeys(SURE, -0.05), **dict.fromkeys(DOUBTFUL, -0.9)}.get(char, -0.01)


def corpus() -> list[dict[str, str]]:
    rng = random.Random(1)
    documents = []
    for number in range(DOCUMENTS):
        objects = ["".join(rng.choices(rng.choice([SURE, DOUBTFUL]), k=2)) for _ in range(2)]
        documents.append({"id": f"d{number}", "text": f"甲乙，{'，'.join(objects)}。{number}"})
    return documents


def is_right(doc_id: str, obj: str) -> bool:
    """The truth: a triple is right with the probability that the model gave to its object."""
    return random.Random(f"{doc_id} {obj}").random() < math.exp(sum(map(logprob, obj)))


def judge(sheet: Path) -> Path:
    with sheet.open(encoding=ENCODING, newline="") as lines:
        rows = list(csv.DictReader(lines))
    filled = sheet.with_name("judged.csv")
    with filled.open("w", encoding=ENCODING, newline="") as out:
        writer = csv.DictWriter(out, rows[0].keys())
        writer.writeheader()
        for row in rows:
            if row["triple_id"]:
                writer.writerow(row | {"verdict": "对" if is_right(row["doc_id"], row["object"]) else "错"})
    return filled


def gold_of(bench: Bench, triples: Sequence[Mapping[str, Any]]) -> Path:
    """A gold file of what is right in an output."""
    said: dict[str, list[list[str]]] = {}
    for row in triples:
        right = is_right(row["doc_id"], row["object"])
        triple = [row["subject"], row["predicate"], row["object"]]
        said.setdefault(row["doc_id"], []).extend([triple] if right else [])
    file = bench.folder / "gold.jsonl"
    lines = [json.dumps({"id": doc_id, "triples": facts}, ensure_ascii=False) for doc_id, facts in said.items()]
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return file


def by_sheet(bench: Bench, sheet: Path) -> Calibrated:
    return calibrate(str(bench.output), Judgement(sheet, review=read_review(sheet)))


def facts(spark: SparkSession, bench: Bench) -> list[Any]:
    register(Store(spark, str(bench.output)))
    return spark.table("facts").collect()


@pytest.mark.infra
def test_from_a_sample_to_facts_of_a_precision(bench: Bench, spark: SparkSession) -> None:
    bench.backend.logprob = logprob
    file = bench.corpus(corpus())
    bench.extract(file, corpus__id_column="id", run__sample=JUDGED)
    assert f"triplelake calibrate --output {bench.output} --review" in bench.said
    assert "Sure:" not in bench.said
    assert {row["confidence"] for row in bench.lake.view("current_triples")} == {None}
    stored = bench.lake.rows("attempts")
    assert all(sum(row["token_chars"]) == len(row["completion"]) for row in stored)
    assert {round(value, 2) for row in stored for value in row["token_logprobs"]} == {-0.05, -0.9, -0.01}

    sheet = judge(bench.output / "review.csv")
    made = by_sheet(bench, sheet)
    assert (made.file.triples, made.unknown) == (len(read_review(sheet).verdicts), 0)
    assert made.file.auc > 0.8
    assert made.file.ece < 0.15  # some 240 triples in ten bins
    calibration = bench.folder / "calibration.yaml"
    write_calibration(calibration, made.file, overwrite=False)

    # What is new gets its confidence as it is published, and what was there by --republish; nothing is asked for it.
    chosen: dict[str, Any] = {"corpus__id_column": "id", "run__calibration": str(calibration)}
    bench.extract(file, **chosen)
    assert f"fitted on {made.file.triples} triples of" in bench.said
    null = [row["confidence"] is None for row in bench.lake.view("current_triples")]
    assert 0 < sum(null) < len(null)
    bench.server.forget()
    bench.republish(file, **chosen)
    assert bench.server.asked == []
    triples = bench.lake.view("current_triples")
    assert len(triples) == len(null)
    for row in triples:
        assert row["confidence"] == pytest.approx(math.exp(sum(map(logprob, row["object"]))), abs=0.2)

    # Whoever reads the answers once more still knows whose they are.
    bench.republish(file, **chosen)
    again = by_sheet(bench, sheet).file
    assert (again.model, again.form, again.auc) == (made.file.model, made.file.form, made.file.auc)

    everything = facts(spark, bench)
    bench.extract(file, **chosen, run__precision=0.8)
    assert "Facts:    those with a confidence of at least" in bench.said
    kept = facts(spark, bench)
    assert 0 < len(kept) < len(everything)
    assert {row["fact_id"] for row in kept} < {row["fact_id"] for row in everything}
    # A fact is right where one of its texts is. Their errors are independent here, as a noisy-or takes them to be.
    truth: dict[str, bool] = {}
    for row in triples:
        truth[row["fact_id"]] = truth.get(row["fact_id"], False) or is_right(row["doc_id"], row["object"])
    found = sum(truth[row["fact_id"]] for row in kept) / len(kept)
    assert found == pytest.approx(0.8, abs=0.1)
    assert found > sum(truth.values()) / len(truth) + 0.1
    mean = sum(row["confidence"] for row in everything) / len(everything)
    assert mean == pytest.approx(sum(truth.values()) / len(truth), abs=0.08)
    least = min(row["confidence"] for row in kept)
    assert (
        f">= {Store(spark, str(bench.output)).min_confidence()!r}" in (bench.output / "sql" / "duckdb.sql").read_text()
    )
    assert least >= Store(spark, str(bench.output)).min_confidence()

    report = evaluate(AgainstGold(str(bench.output), gold_of(bench, triples), "jsonl"))
    assert report.confidence is not None
    assert (report.confidence.triples, [*report.confidence.kept]) == (len(triples), [10, 25, 50, 75, 100])
    assert report.confidence.auc is not None and report.confidence.auc > 0.8
    assert report.confidence.kept[25].value > report.confidence.kept[100].value
    shown = io.StringIO()
    show(report, Console(file=shown, width=200))
    assert f"Confidence of {len(triples)} triples: AUC 0." in shown.getvalue()


@pytest.mark.infra
def test_gold_judges_as_a_sheet_does_and_both_must_fit(bench: Bench) -> None:
    bench.backend.logprob = logprob
    documents = corpus()
    everything: dict[str, Any] = {"run__sample": JUDGED, "run__sheet_rows": None}
    bench.extract(bench.corpus(documents), corpus__id_column="id", **everything)
    gold = gold_of(bench, bench.lake.view("current_triples"))
    by_gold = calibrate(str(bench.output), Judgement(gold, "jsonl"))
    sheet = judge(bench.output / "review.csv")
    found = by_sheet(bench, sheet)
    assert by_gold.file.model_dump(exclude={"judged_by", "thresholds"}) == found.file.model_dump(
        exclude={"judged_by", "thresholds"}
    )
    assert by_gold.quality.best is not None

    few = gold.with_name("few.jsonl")
    few.write_text("".join(gold.read_text("utf-8").splitlines(keepends=True)[:3]), "utf-8")
    with pytest.raises(InputError, match="confidence needs 50"):
        calibrate(str(bench.output), Judgement(few, "jsonl"))
    with pytest.raises(UsageError, match="needs a calibration"):
        bench.extract(bench.corpus(documents), corpus__id_column="id", run__precision=0.9)


@pytest.mark.infra
def test_a_sheet_smaller_than_its_sample_tells_of_all_of_it(bench: Bench, spark: SparkSession) -> None:
    bench.backend.logprob = logprob
    file = bench.corpus(corpus())
    # Without a calibration no triple is surer than another: each stands for as many.
    bench.extract(file, corpus__id_column="id", run__sample=JUDGED, run__sheet_rows=100)
    everything = bench.lake.view("current_triples")
    assert f"Review:   100 triples, drawn from {len(everything)} (run.sheet_rows), to judge" in bench.said
    plain = judge(bench.output / "review.csv")
    verdicts = read_review(plain).verdicts
    [weight] = {each.weight for each in verdicts}
    assert weight == pytest.approx(len(everything) / 100)
    calibration = bench.folder / "calibration.yaml"
    write_calibration(calibration, by_sheet(bench, plain).file, overwrite=False)
    chosen: dict[str, Any] = {"corpus__id_column": "id", "run__calibration": str(calibration)}
    bench.republish(file, **chosen)

    bench.extract(file, **chosen, run__sample=160, run__sheet_rows=90)
    everything = bench.lake.view("current_triples")
    sheet = judge(bench.output / "review-2.csv")
    with sheet.open(encoding=ENCODING, newline="") as lines:
        rows = list(csv.DictReader(lines))
    # Row by row in the order of the documents.
    place = {row["triple_id"]: (row["doc_id"], row["subject_start"], row["object_start"]) for row in everything}
    assert [place[row["triple_id"]] for row in rows] == sorted(place[row["triple_id"]] for row in rows)
    weights = {row["triple_id"]: float(row["weight"]) for row in rows}
    assert len(weights) == 90
    assert sum(weights.values()) == pytest.approx(len(everything))
    doubts = {row["triple_id"]: abs(row["confidence"] - 0.5) for row in everything}
    by_doubt = [weights[each] for each in sorted(weights, key=doubts.__getitem__)]
    assert sum(by_doubt[:45]) < sum(by_doubt[45:]), "more rows where the confidence is nearer to 0.5"

    truth = sum(is_right(row["doc_id"], row["object"]) for row in everything) / len(everything)
    report = judge_review(read_review(sheet), sheet.name)
    found = report.groups["all"].precision
    assert found is not None and found.low < truth < found.high
    assert found.value != pytest.approx(report.groups["all"].right / 90)
    made = by_sheet(bench, sheet)
    assert (made.file.triples, made.unknown) == (90, 0)
    assert sum(each.weight for each in made.quality.bins) == pytest.approx(len(everything))
    assert made.quality.kept[-1].precision.value == pytest.approx(found.value)

    write_calibration(calibration, made.file, overwrite=True)
    bench.republish(file, **chosen)
    again = bench.lake.view("current_triples")
    assert sum(row["confidence"] for row in again) / len(again) == pytest.approx(truth, abs=0.1)
    before = facts(spark, bench)
    bench.extract(file, **chosen, run__precision=0.8)
    kept = facts(spark, bench)
    assert 0 < len(kept) < len(before)
    assert sum(row["confidence"] for row in kept) / len(kept) == pytest.approx(0.8, abs=0.05)


def look(prompt: str) -> float:
    """Of the “yes” to a statement: the model knows by which probability the object is right."""
    (obj,) = re.findall(r"陈述：甲乙的.+是(..)。\n", prompt)
    return sum(map(logprob, obj))


@pytest.mark.infra
def test_a_second_look_tells_what_an_answer_does_not(bench: Bench) -> None:
    bench.backend.look = look  # and the answer's own probabilities are all alike
    profile = bench.folder / "chat.yaml"
    profile.write_text('name: chat-of-the-test\ntemplate: text\nprefix: "User: "\n', "utf-8")
    file = bench.corpus(corpus())
    chosen: dict[str, Any] = {"corpus__id_column": "id", "profile": str(profile)}
    bench.extract(file, **chosen, asking__second_look="yes_no", run__sample=JUDGED)
    stored = {row["request_id"]: row for row in bench.lake.rows("attempts")}
    assert len(stored) == JUDGED
    for row in stored.values():
        expected = [sum(map(logprob, triple["object"])) for triple in row["triples"]]
        assert row["looks"] == pytest.approx(expected)
        assert row["completion_tokens"] == 5 * (1 + len(expected))

    made = by_sheet(bench, judge(bench.output / "review.csv"))
    assert (made.file.calibration.needs_look, made.unlooked) == (True, 0)
    assert made.file.auc > 0.75
    calibration = bench.folder / "calibration.yaml"
    write_calibration(calibration, made.file, overwrite=False)

    # What is asked without a look has no confidence, and is told; what has one gets it without being asked again.
    chosen |= {"run__calibration": str(calibration)}
    bench.extract(file, **chosen)
    assert "It weighs second looks: set asking.second_look=yes_no" in bench.said
    bench.server.forget()
    bench.republish(file, **chosen)
    assert bench.server.asked == []
    triples = bench.lake.view("current_triples")
    without = [row for row in triples if row["request_id"] not in stored]
    assert 0 < len(without) < len(triples)
    assert f"{len(without):,} triples have no confidence" in bench.said
    assert {row["confidence"] for row in without} == {None}
    for row in triples:
        if row["request_id"] in stored:
            assert row["confidence"] == pytest.approx(math.exp(look_of(row)), abs=0.2)

    # Where only some have a look, a fit has no use for it.
    mixed = calibrate(str(bench.output), Judgement(gold_of(bench, triples), "jsonl"))
    assert (mixed.file.calibration.needs_look, mixed.unlooked) == (False, len(without))


def look_of(row: Mapping[str, Any]) -> float:
    return sum(map(logprob, row["object"]))


def test_answers_without_probabilities_have_no_confidence(bench: Bench) -> None:
    bench.extract(bench.corpus(corpus()[:3]), corpus__id_column="id", asking__probabilities=False)
    assert {row["token_logprobs"] for row in bench.lake.rows("attempts")} == {None}
    assert {row["confidence"] for row in bench.lake.view("facts")} == {None}
