"""The sheet of a sample: what stands where, and that it can be read again."""

from __future__ import annotations

import csv
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triplelake.commands.review_sheet import marked, sheet
from triplelake.evaluate.review import COLUMNS, ENCODING, read_review
from triplelake.prompt.prompts import load_prompts

PROMPTS = load_prompts("prompts")
TEXT = "陶霁言于2009年创立岚砚科技。"


def triple(text: str, subject: tuple[int, int], object: tuple[int, int], **more: Any) -> dict[str, Any]:
    """A triple of a text that begins at code point 100 of its document."""
    spans = {
        f"{role}_{end}": place + 100
        for role, span in (("subject", subject), ("object", object))
        for end, place in zip(("start", "end"), span, strict=True)
    }
    surfaces = {"subject": text[slice(*subject)], "object": text[slice(*object)]}
    named: dict[str, Any] = {
        "triple_id": "t1",
        "predicate": "founded_by",
        "relation": "创始人",
        "lang": "zh-Hans",
        "doc_id": "d1",
    }
    named |= {"weight": 1.0, "confidence": None}
    from_text = {"subject_from": "chunk", "object_from": "chunk", "evidence": text, "evidence_start": 100}
    return {**named, **spans, **surfaces, **from_text, **more}


@pytest.mark.parametrize(
    ("subject", "object", "said"),
    [
        ((11, 15), (0, 3), "〖陶霁言〗于2009年创立【岚砚科技】。"),
        ((0, 3), (3, 4), "【陶霁言】〖于〗2009年创立岚砚科技。"),
        ((11, 15), (11, 13), "陶霁言于2009年创立【〖岚砚〗科技】。"),
        ((13, 15), (11, 15), "陶霁言于2009年创立〖岚砚【科技】〗。"),
    ],
)
def test_both_are_marked_where_they_stand(subject: tuple[int, int], object: tuple[int, int], said: str) -> None:
    assert marked(triple(TEXT, subject, object), PROMPTS) == said


def test_what_stands_elsewhere_is_told_before_the_text() -> None:
    found = triple(TEXT, (11, 15), (0, 3), subject_from="title")
    assert marked(found, PROMPTS) == "（标题：【岚砚科技】）〖陶霁言〗于2009年创立岚砚科技。"
    found = triple(TEXT, (11, 15), (0, 3), object_from="context", lang="zh-Hant")
    assert marked(found, PROMPTS) == "（上文：〖陶霁言〗）陶霁言于2009年创立【岚砚科技】。"
    # The place of a surface is not known where it is not grounded.
    assert marked({**found, "object_from": None, "object_start": None}, PROMPTS) == "陶霁言于2009年创立【岚砚科技】。"


@given(st.data())
def test_without_its_marks_it_is_the_text(data: st.DataObject) -> None:
    text = data.draw(st.text(st.characters(codec="utf-8", exclude_characters="【】〖〗"), min_size=2))
    ends = st.lists(st.integers(0, len(text)), min_size=2, max_size=2, unique=True)
    cuts = ends.map(lambda two: (min(two), max(two)))
    subject, object = data.draw(cuts), data.draw(cuts)
    said = marked(triple(text, subject, object), PROMPTS)
    assert said.translate(dict.fromkeys(map(ord, "【】〖〗"))) == text
    assert len(said) == len(text) + 4


def test_it_is_read_again_and_computes_nothing(tmp_path: Path) -> None:
    rows = [
        triple(TEXT, (11, 15), (0, 3), confidence=0.6249, weight=60 / 19),
        triple("=1+1 is a sum", (0, 4), (10, 13), triple_id="t2"),
    ]
    text = sheet(rows, PROMPTS)
    cells = list(csv.DictReader(StringIO(text)))
    assert set(COLUMNS) < set(cells[0])
    assert [cells[0][name] for name in ("subject", "relation", "verdict")] == ["岚砚科技", "创始人", ""]
    assert [row["confidence"] for row in cells] == ["0.62", ""]
    assert [row["weight"] for row in cells] == ["3.157894737", "1"]
    # Who judges reads neither of them first.
    assert [*cells[0]][-2:] == ["weight", "confidence"]
    assert cells[1]["subject"] == "'=1+1"
    file = tmp_path / "review.csv"
    file.write_text(text.replace(f"{TEXT},,", f"{TEXT},对,"), encoding=ENCODING)
    review = read_review(file)
    assert [(each.triple_id, each.right, each.weight) for each in review.verdicts] == [("t1", True, 3.157894737)]
    assert review.open == 1


def test_texts_in_which_nothing_was_found_come_last_and_without_a_triple(tmp_path: Path) -> None:
    silent = [{"evidence": "雨落在街上。", "lang": "zh-Hans", "doc_id": doc_id} for doc_id in ("d1", "d2")]
    text = sheet([triple(TEXT, (11, 15), (0, 3))], PROMPTS, silent)
    rows = list(csv.DictReader(StringIO(text)))
    assert [(row["triple_id"], row["evidence"], row["document"]) for row in rows] == [
        ("t1", TEXT, "1"),
        ("", "雨落在街上。", "1"),
        ("", "雨落在街上。", "2"),
    ]
    path = tmp_path / "review.csv"
    path.write_text(text, ENCODING)
    assert (read_review(path).open, read_review(path).silent) == (1, ())
    path.write_text(text.replace("雨落在街上。,,", "雨落在街上。,无,"), ENCODING)
    assert read_review(path).silent == (("document 1", "雨落在街上。"), ("document 2", "雨落在街上。"))


def test_the_sheet_says_which_triples_are_of_one_document(tmp_path: Path) -> None:
    ids = ["4100000000000001", "4100000000000002", "4100000000000001"]
    rows = [triple(TEXT, (11, 15), (0, 3), triple_id=f"t{rank}", doc_id=doc_id) for rank, doc_id in enumerate(ids)]
    # As Excel saves it, which keeps six digits of a long number.
    text = sheet(rows, PROMPTS).replace(",,", ",对,")
    for doc_id in set(ids):
        text = text.replace(f",{doc_id},", ",4.1E+15,")
    path = tmp_path / "review.csv"
    path.write_text(text, ENCODING)
    found = read_review(path)
    assert [verdict.document for verdict in found.verdicts] == ["document 1", "document 2", "document 1"]
    assert not found.notes
