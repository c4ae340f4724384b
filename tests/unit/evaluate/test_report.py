"""A report survives its file, is shown whole, and says what changed since another."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from triplelake.commands.evaluate_messages import show
from triplelake.errors import InputError, OutputError, UsageError
from triplelake.evaluate.answers import Answered, PublishedTriple
from triplelake.evaluate.bootstrap import Interval
from triplelake.evaluate.compare import compared
from triplelake.evaluate.gold import GoldDocument
from triplelake.evaluate.judge import judge, judge_review
from triplelake.evaluate.report import GoldReport, Run, read_report, write_report
from triplelake.evaluate.review import Review, Verdict

NAMES = "甲乙丙丁戊己庚辛壬癸"


def gold(name: str) -> GoldDocument:
    return GoldDocument(name, f"{name}生于云州", ((name, "born_in", "云州"),))


def report(right: str, names: str = NAMES, *, model: str = "one") -> GoldReport:
    """Of each name one fact is said: the right one of those in `right`."""

    def answered(name: str) -> Answered:
        relation = "born_in" if name in right else "died_in"
        return Answered(
            name, f"{name}生于云州", "", "zh-Hans", (PublishedTriple((name, relation, "云州"), True, (), ()),), ()
        )

    documents = [(gold(name), answered(name)) for name in names]
    run = Run(output="kg", model=model, settings={"answer": {"max_tokens": 200}, "ontology": "none"})
    return judge(documents, None, run=run, gold="gold.jsonl", format="text2kgbench", notes=("model one",))


def review(right: int, of: int, *, first: int = 0) -> Review:
    return Review(tuple(Verdict(f"t{first + rank}", "born_in", rank < right, "", f"{rank}") for rank in range(of)), 2)


def shown(what: object) -> str:
    console = Console(file=io.StringIO(), width=160)
    show(what, console)  # type: ignore[arg-type]
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_report_survives_its_file(tmp_path: Path) -> None:
    for made in (report("甲乙"), judge_review(review(3, 5), "review.csv")):
        write_report(compared(made, made, "same.json"), tmp_path / "report.json")
        assert read_report(tmp_path / "report.json") == compared(made, made, "same.json")


def test_another_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_report(tmp_path / "none.json")
    for text in ("no json", "[]", '{"kind": "gold"}', '{"kind": "other"}'):
        (tmp_path / "other.json").write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=r"is no report of this version of `triplelake evaluate`"):
            read_report(tmp_path / "other.json")
    with pytest.raises(OutputError):
        write_report(report("甲"), tmp_path / "no folder" / "report.json")


def test_a_paired_comparison_by_hand() -> None:
    found = compared(report("甲乙丙丁戊己庚", model="two"), report("甲乙丙"), "before.json").comparison
    assert found is not None
    assert (found.paired, found.only_here, found.only_there) == (10, 0, 0)
    assert found.settings == {"model": ("one", "two")}
    f1 = found.figures["f1"]
    assert (f1.before, f1.after) == (0.3, 0.7)
    assert f1.difference is not None
    # Four of ten documents gained: by their exact binomial interval 0.12 to 0.74 of all do.
    assert (f1.difference.value, f1.difference.low, f1.difference.high) == pytest.approx((0.4, 0.03, 0.65), abs=0.05)
    assert found.figures["pair_f1"].difference == Interval(0.0, 0.0, 0.0)
    assert found.figures["failed"].difference is None
    # 7 of 7 against 3 of 3 of those said with it, of 10: F1 2·7/17 and 2·3/13.
    assert found.relations["born_in"].after == pytest.approx(14 / 17)
    assert found.relations["born_in"].before == pytest.approx(6 / 13)


def test_only_documents_that_both_have_are_paired() -> None:
    found = compared(report("甲乙丙丁", "甲乙丙丁"), report("戊", "丙丁戊"), "before.json").comparison
    assert found is not None
    assert (found.paired, found.only_here, found.only_there) == (2, 2, 1)
    assert (found.figures["f1"].before, found.figures["f1"].after) == (0.0, 1.0)
    apart = compared(report("甲", "甲"), report("乙", "乙"), "before.json").comparison
    assert apart is not None
    assert (apart.paired, apart.figures) == (0, {})


def test_reviews_are_compared_as_two_samples() -> None:
    here = judge_review(review(56, 70), "now.csv")
    there = judge_review(review(48, 80, first=60), "before.csv")
    found = compared(here, there, "before.json").comparison
    assert found is not None
    assert (found.paired, found.only_here, found.only_there) == (10, 60, 70)
    change = found.figures["precision"]
    assert (change.before, change.after) == (0.6, 0.8)
    assert change.difference is not None and change.difference.low > 0


def test_a_review_is_not_compared_with_gold() -> None:
    with pytest.raises(UsageError, match=r"is of review, this is of gold"):
        compared(report("甲"), judge_review(review(1, 2), "review.csv"), "review.json")


def test_a_sheet_that_nobody_filled_in_is_told() -> None:
    text = shown(judge_review(review(0, 0), "review.csv"))
    assert "2 without a verdict" in text and "Fill in `verdict`" in text and "precision" not in text


def test_all_is_shown() -> None:
    text = shown(compared(report("甲乙丙丁戊己庚", model="two"), report("甲乙丙"), "before.json"))
    for words in (
        "10 documents, 10 gold facts, 10 said, 7 right",
        "model one",
        "strict: subject, relation and object agree",
        "dictionary",
        "born_in",
        "The scorer of Text2KGBench gives",
        "Since before.json: 10 in both, 0 new, 0 gone",
        "model: one → two",
        "+0.400",
    ):
        assert words in text, words
    [line] = [line for line in text.splitlines() if "+0.400" in line and line.startswith("f1 ")]
    assert line.rstrip().endswith("*")
    text = shown(judge_review(review(7, 10), "review.csv"))
    assert "10 triples judged, 7 right; 0 unclear, 2 without a verdict" in text
    assert "0.397 – 0.892" in text
