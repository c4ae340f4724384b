"""Where ids repeat: which columns a sample says would tell the records apart."""

from __future__ import annotations

from typing import Any

import pytest

from triplelake.corpus.columns import Columns
from triplelake.corpus.ids import better_id

PAGES = [
    {"doc": "report-7", "page": 1, "at": "10:01", "lang": "zh", "text": "甲。"},
    {"doc": "report-7", "page": 2, "at": "10:02", "lang": "zh", "text": "乙。"},
    {"doc": "report-8", "page": 1, "at": "10:03", "lang": "zh", "text": "丙。"},
]
ONE = Columns("text", id=("doc",))


@pytest.mark.parametrize(
    ("records", "better"),
    [
        (PAGES, ("doc", "page")),
        ([{**each, "page": None} for each in PAGES], ("at",)),
        ([{"doc": each["doc"], "text": each["text"], "lang": "zh"} for each in PAGES], None),
        (PAGES[1:], None),
        ([*PAGES, {"text": "an id is missing here"}], None),
        ([], None),
    ],
    ids=["page", "a column of its own", "no column", "no repeat", "a gap", "nothing"],
)
def test_the_column_that_tells_records_apart(records: list[dict[str, Any]], better: tuple[str, ...] | None) -> None:
    assert better_id(records, ONE) == better


def test_a_second_column_is_joined_by_a_third() -> None:
    records = [{**each, "part": part} for each in PAGES for part in ("a", "b")]
    assert better_id(records, Columns("text", id=("doc", "page"))) == ("doc", "page", "part")
