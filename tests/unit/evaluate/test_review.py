"""A reviewed sheet: what is read, what is refused, and the precision with its interval."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import opencc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triplelake.errors import InputError
from triplelake.evaluate.bootstrap import Interval
from triplelake.evaluate.judge import judge_review
from triplelake.evaluate.review import COLUMNS, ENCODING, Verdict, read_review
from triplelake.evaluate.wilson import newcombe, wilson


def sheet(
    path: Path,
    *verdicts: tuple[str, str, str],
    separator: str = ",",
    encoding: str = ENCODING,
    more: Sequence[str] = (),
) -> Path:
    """A sheet with triple id, predicate and verdict as given."""
    with path.open("w", encoding=encoding, newline="") as out:
        writer = csv.writer(out, delimiter=separator)
        writer.writerow([*COLUMNS, *more])
        for triple_id, predicate, verdict in verdicts:
            writer.writerow([triple_id, "林知远", predicate, "云州", "他说：\n“生于云州”，", verdict, *more])
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
    assert found.verdicts[0] == Verdict("a", "born_in", True, "lang")


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


@settings(deadline=None)  # arithmetic, on a machine that may be busy
@given(st.integers(1, 60).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_laws_of_the_score_interval(counted: tuple[int, int]) -> None:
    right, of = counted
    found, mirrored = wilson(right, of), wilson(of - right, of)
    assert found and mirrored
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high
    assert (1 - found.high, 1 - found.low) == pytest.approx((mirrored.low, mirrored.high))
    tenfold = wilson(10 * right, 10 * of)
    assert tenfold and tenfold.high - tenfold.low < found.high - found.low


def test_nothing_judged_has_no_precision() -> None:
    assert wilson(0, 0) is None


def test_a_difference_as_newcombe_published_it() -> None:
    # Newcombe 1998, case (a), method 10: 56/70 against 48/80 gives 0.2000, 0.0524 to 0.3339.
    one, other = wilson(56, 70), wilson(48, 80)
    assert one and other
    found = newcombe(one, other)
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)
    assert newcombe(one, one).low < 0 < newcombe(one, one).high
    assert isinstance(found, Interval)
