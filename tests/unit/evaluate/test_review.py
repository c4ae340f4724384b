"""A reviewed sheet: what is read, what is refused, and the precision with its interval."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import opencc
import pytest
from rich.console import Console

from triplelake.commands.evaluate_messages import show
from triplelake.errors import InputError
from triplelake.evaluate.judge import judge_review
from triplelake.evaluate.review import COLUMNS, ENCODING, Verdict, read_review
from triplelake.evaluate.shares import wilson


def sheet(
    path: Path,
    *verdicts: tuple[str, str, str],
    separator: str = ",",
    encoding: str = ENCODING,
    more: Sequence[str] = (),
    documents: Sequence[object] = (),
) -> Path:
    """A sheet with triple id, predicate and verdict as given; each row has a document of its own if none is named."""
    with path.open("w", encoding=encoding, newline="") as out:
        writer = csv.writer(out, delimiter=separator)
        writer.writerow([*COLUMNS, "document", *more])
        for rank, (triple_id, predicate, verdict) in enumerate(verdicts):
            document = documents[rank] if documents else rank
            writer.writerow([triple_id, "林知远", predicate, "云州", "他说：\n“生于云州”，", verdict, document, *more])
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_what_spreadsheets_leave(tmp_path: Path, separator: str, encoding: str) -> None:
    words = [
        ("a", "对"),
        ("b", "錯"),
        ("c", " YES "),
        ("d", "no"),
        ("e", "１"),
        ("f", "0"),
        ("g", "？"),
        ("h", ""),
        ("i", "TRUE"),
    ]
    rows = [(id, "born_in", word) for id, word in words]
    found = read_review(sheet(tmp_path / "review.csv", *rows, separator=separator, encoding=encoding, more=["lang"]))
    said = {verdict.triple_id: verdict.right for verdict in found.verdicts}
    assert said == {"a": True, "b": False, "c": True, "d": False, "e": True, "f": False, "g": None, "i": True}
    assert found.open == 1
    assert found.verdicts[0] == Verdict("a", "born_in", True, "lang", "document 0")


def test_the_encoding_of_taiwan(tmp_path: Path) -> None:
    rows = [(str(rank), "出生地", word) for rank, word in enumerate(("對", "錯", "不確定"))]
    path = sheet(tmp_path / "review.csv", *rows)
    traditional = opencc.OpenCC("s2t").convert(path.read_text(ENCODING))
    path.write_bytes(traditional.encode("cp950"))
    assert [verdict.right for verdict in read_review(path).verdicts] == [True, False, None]


def test_a_row_that_was_copied_counts_once_and_one_that_contradicts_is_refused(tmp_path: Path) -> None:
    found = read_review(sheet(tmp_path / "twice.csv", ("a", "r", "yes"), ("a", "r", "对")))
    assert len(found.verdicts) == 1
    with pytest.raises(InputError, match="contradicts") as caught:
        read_review(sheet(tmp_path / "both.csv", ("a", "r", "yes"), ("a", "r", "no")))
    # Each row has two lines, since its evidence has.
    assert caught.value.subject.endswith("both.csv, line 4")


HEAD = "triple_id,subject,predicate,relation,object,evidence,verdict,doc_id\n"


def written(path: Path, *rows: str) -> Path:
    path.write_text(HEAD + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path


def test_a_fact_that_was_added_is_missing_and_no_part_of_a_precision(tmp_path: Path) -> None:
    path = written(
        tmp_path / "review.csv",
        "a,林知远,author,作者,星港,林知远在星港写了《海》。,no,d7",
        ",海,author,,林知远,林知远在星港写了《海》。,漏,",
        # A row that was copied has the id of the triple that it was copied of, and may have its relation by name only.
        "a,林知远,,地点,星港,林知远在星港写了《海》。,Missing,d7",
        "b,海,author,作者,林知远,《海》的作者是林知远。,yes,d8",
        ",甲,spouse,,乙,甲与乙成婚。,遺漏,",
    )
    found = read_review(path)
    assert [(each.triple_id, each.right) for each in found.verdicts] == [("a", False), ("b", True)]
    assert [(each.subject, each.predicate, each.document) for each in found.missing] == [
        ("海", "author", "doc_id d7"),
        ("林知远", "地点", "doc_id d7"),
        ("甲", "spouse", "sentence 甲与乙成婚。"),
    ]
    assert all(each.right for each in found.missing)
    report = judge_review(found, "sheet")
    assert (report.missing, report.groups["all"].judged, report.groups["all"].right) == (3, 2, 1)
    console = Console(record=True, width=120)
    show(report, console)
    assert "3 facts that were added" in console.export_text()


def test_a_sentence_that_states_nothing(tmp_path: Path) -> None:
    path = written(
        tmp_path / "review.csv",
        "a,雨,author,作者,街,雨落在街上。,无,d1",
        "b,雨,place,地点,街,雨落在街上。,no,d1",
        "c,海,author,作者,林知远,《海》的作者是林知远。,yes,d2",
        # Texts in which nothing was found have a row without a triple.
        ",,,,,风吹过街。,none,d3",
        ",,,,,没有人看过。,,d4",
        ",风,place,,街,风还在街上。,missing,d5",
    )
    found = read_review(path)
    assert [each.right for each in found.verdicts] == [False, False, True]
    assert found.silent == (("doc_id d1", "雨落在街上。"), ("doc_id d3", "风吹过街。"))
    assert found.open == 0
    report = judge_review(found, "sheet")
    assert (report.silent, report.missing, report.groups["all"].judged) == (2, 1, 3)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",林知远,,,星港,林知远在星港。,missing,d1", "its predicate is empty"),
        (",林知远,place,,,,missing,d1", "its object, evidence is empty"),
        ("b,林知远,place,,星港,林知远在星港。,none,d1", "states nothing by one verdict"),
        ("b,林知远,place,,星港,林知远在星港。他写书。,none,d1", "states nothing by one verdict"),
    ],
)
def test_what_was_added_must_be_whole_and_must_not_contradict(tmp_path: Path, row: str, reason: str) -> None:
    path = written(tmp_path / "review.csv", "a,林知远,place,地点,星港,林知远在星港。,yes,d1", row)
    with pytest.raises(InputError, match=reason):
        read_review(path)


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("", ", line 1", "lacks the columns triple_id"),
        ("triple_id,subject,predicate,object,evidence\n", ", line 1", "lacks the column verdict"),
        (",".join(COLUMNS) + "\na,s,p,o,e,maybe\n", ", line 2", "`maybe` is none"),
        (",".join(COLUMNS) + "\n,s,p,o,e,yes\n", ", line 2", "no triple_id"),
        (",".join(COLUMNS) + '\na,s,p,o,"e,yes\n', "", ""),
    ],
)
def test_what_is_no_review_is_refused(tmp_path: Path, text: str, place: str, reason: str) -> None:
    path = tmp_path / "review.csv"
    path.write_text(text, encoding="utf-8")
    if reason:
        with pytest.raises(InputError) as caught:
            read_review(path)
        assert caught.value.subject == f"{path}{place}"
        assert reason in caught.value.reason
    else:
        # An unclosed quote swallows the rest: the row has no verdict.
        assert read_review(path).open == 1


def test_what_cannot_be_decoded_is_told_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "review.csv"
    path.write_bytes((",".join(COLUMNS) + "\na,s,p,o,“quoted”,yes\n").encode("cp1252"))
    with pytest.raises(InputError, match="encoding that cannot be told") as caught:
        read_review(path)
    assert "CSV UTF-8" in caught.value.remedy
    path.write_bytes(b"PK\x03\x04" + b"xl/workbook.xml")
    with pytest.raises(InputError, match="is an Excel workbook"):
        read_review(path)
    good = sheet(path, ("a", "林", "对"), encoding="utf-8").read_bytes()
    path.write_bytes(good + b"b,\xff,,,,\n")
    with pytest.raises(InputError, match=f"is not UTF-8: byte 0xFF at byte {len(good) + 2}"):
        read_review(path)


def test_precision_by_hand(tmp_path: Path) -> None:
    rows = [(f"a{rank}", "born_in", "yes" if rank < 7 else "no") for rank in range(10)]
    path = sheet(tmp_path / "review.csv", *rows, ("b", "author", "no"), ("c", "author", "?"), ("d", "author", ""))
    report = judge_review(read_review(path), "review.csv")
    whole = report.groups["all"]
    assert (whole.right, whole.judged, report.unsure, report.open) == (7, 11, 1, 1)
    assert list(report.relations) == ["born_in", "author"]
    # Wilson for 7 of 10 with z = 1.96: middle (0.7 + 0.192073) / 1.384146, half of the width 0.247765.
    found = report.relations["born_in"].precision
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((0.7, 0.396774, 0.892208), abs=1e-4)
    assert report.verdicts["a0"] and not report.verdicts["b"] and "c" not in report.verdicts


def test_languages_are_groups_where_there_are_several(tmp_path: Path) -> None:
    head = ",".join((*COLUMNS, "lang"))
    path = tmp_path / "review.csv"
    path.write_text(f"{head}\na,s,p,o,e,yes,en\nb,s,p,o,e,no,zh-Hant\n", encoding="utf-8")
    report = judge_review(read_review(path), "review.csv")
    assert {name: each.right for name, each in report.groups.items()} == {"all": 1, "en": 1, "zh-Hant": 0}


def test_triples_of_one_document_are_not_cases_of_their_own(tmp_path: Path) -> None:
    rows = [(f"t{rank}", "born_in", "yes" if rank < 12 else "no") for rank in range(20)]
    apart = judge_review(read_review(sheet(tmp_path / "apart.csv", *rows)), "apart.csv").groups["all"]
    # In five documents of four triples each, three are right throughout and two are wrong.
    alike = judge_review(
        read_review(sheet(tmp_path / "alike.csv", *rows, documents=[rank // 4 for rank in range(20)])), "alike.csv"
    ).groups["all"]
    assert (apart.documents, alike.documents) == (20, 5)
    assert (apart.right, apart.judged) == (alike.right, alike.judged) == (12, 20)
    assert apart.precision == wilson(0.6, 20)
    assert alike.precision == wilson(0.6, 5)


def weighed(path: Path, *rows: tuple[str, str], separator: str = ",") -> Path:
    """A sheet with a weight and a verdict in each row, of relations and languages by turns."""
    with path.open("w", encoding=ENCODING, newline="") as out:
        writer = csv.writer(out, delimiter=separator)
        writer.writerow([*COLUMNS, "document", "lang", "weight", "confidence"])
        for rank, (weight, verdict) in enumerate(rows):
            relation, lang = (("born_in", "zh-Hans"), ("author", "en"))[rank % 2]
            writer.writerow([f"t{rank}", "s", relation, "o", "e", verdict, rank, lang, weight, ""])
    return path


def test_a_row_counts_by_how_many_triples_it_stands_for(tmp_path: Path) -> None:
    rows = [("1.5", "yes"), ("1.5", "yes"), ("6", "no"), ("4", "yes"), ("6", ""), ("1.5", "?")]
    report = judge_review(read_review(weighed(tmp_path / "review.csv", *rows)), "review.csv")
    values = {
        name: (each.right, each.judged, each.precision.value if each.precision else None)
        for name, each in {**report.groups, **report.relations}.items()
    }
    assert values == {
        "all": (3, 4, pytest.approx(7 / 13)),
        "zh-Hans": (1, 2, pytest.approx(1.5 / 7.5)),
        "en": (2, 2, 1.0),
        "born_in": (1, 2, pytest.approx(1.5 / 7.5)),
        "author": (2, 2, 1.0),
    }
    console = Console(file=io.StringIO(), width=400)
    show(report, console)
    assert isinstance(console.file, io.StringIO)
    assert "each row counting by its `weight`, and so not right / judged" in console.file.getvalue()
    # Where all stand for as many, precision is right / judged, with the same interval as ever.
    alike = judge_review(read_review(weighed(tmp_path / "alike.csv", *[("5", "yes")] * 6, *[("5", "no")] * 4)), "alike")
    assert not alike.notes
    plain = judge_review(read_review(weighed(tmp_path / "one.csv", *[("1", "yes")] * 6, *[("1", "no")] * 4)), "one")
    assert plain.groups["all"].precision == wilson(0.6, 10)
    assert alike.groups["all"].precision is not None and alike.groups["all"].precision.value == pytest.approx(0.6)


def test_weights_as_spreadsheets_leave_them_and_sheets_of_earlier(tmp_path: Path) -> None:
    # A spreadsheet of a country with decimal commas separates cells by semicolons.
    path = weighed(tmp_path / "review.csv", ("3,157894737", "yes"), (" ２ ", "no"), ("1", ""), separator=";")
    assert [each.weight for each in read_review(path).verdicts] == [3.157894737, 2.0]
    assert [each.weight for each in read_review(sheet(tmp_path / "old.csv", ("a", "r", "yes"))).verdicts] == [1.0]


@pytest.mark.parametrize(
    "cell", ["heavy", "0", "0.0", "-2", "nan", "inf", "1E+17", "3月2日", "1 000", "1.234,5", "12345678901"]
)
def test_a_damaged_weight_is_told_with_its_line(tmp_path: Path, cell: str) -> None:
    path = weighed(tmp_path / "review.csv", ("1.5", "yes"), (cell, "no"))
    with pytest.raises(InputError, match="which is no positive number") as caught:
        read_review(path)
    assert caught.value.subject == f"{path}, line 3"
    assert f"`{cell}`" in caught.value.reason and "Copy the column `weight`" in caught.value.remedy
    with pytest.raises(InputError, match="has lost its weight"):
        read_review(weighed(path, (" ", "yes")))
    # A row without a verdict counts nowhere.
    assert read_review(weighed(path, (cell, ""))).open == 1


def test_which_triples_are_of_one_document(tmp_path: Path) -> None:
    def read(head: str, *rows: str) -> tuple[list[str], tuple[str, ...]]:
        path = tmp_path / "review.csv"
        path.write_text("\n".join([f"triple_id,subject,predicate,object,evidence,verdict,{head}", *rows]), "utf-8")
        found = read_review(path)
        return [verdict.document for verdict in found.verdicts], found.notes

    assert read("doc_id", "a,s,p,o,e,yes,7", "b,s,p,o,f,no,7") == (["doc_id 7"] * 2, ())
    # Excel saves 4100000000000001 and 4100000000000002 alike, for which the number of the document is there.
    rounded = ["a,s,p,o,e,yes,4.1E+15,1", "b,s,p,o,f,no,4.1E+15,2"]
    assert read("doc_id,document", *rounded) == (["document 1", "document 2"], ())
    documents, notes = read("doc_id", *(row[:-2] for row in rounded))
    assert documents == ["sentence e", "sentence f"]
    assert len(notes) == 1
    documents, notes = read("lang", "a,s,p,o,e,yes,en", "b,s,p,o,e,no,en")
    assert documents == ["sentence e"] * 2
    console = Console(file=io.StringIO(), width=400)
    show(judge_review(read_review(tmp_path / "review.csv"), "review.csv"), console)
    assert isinstance(console.file, io.StringIO)
    assert "each sentence counts as one" in console.file.getvalue()
