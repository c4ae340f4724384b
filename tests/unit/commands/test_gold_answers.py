"""What rows of the tables are to those who judge a run."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.sql import Row

from triplelake.commands.gold_answers import _mention, _reply, _squeezed, _with_text
from triplelake.evaluate.answers import Answered, Place
from triplelake.evaluate.gold import GoldDocument

TRIPLE: dict[str, Any] = {
    **{"subject": "甲", "predicate": "author", "object": "乙", "evidence": "甲写乙。"},
    **{"subject_start": 3, "subject_end": 4, "subject_from": "title"},
    **{"object_start": 12, "object_end": 13, "object_from": "context"},
    **{"evidence_start": 20, "evidence_end": 24},
    **{"grounding": "exact", "flags": ["pronoun_object"], "confidence": 0.75},
}
ANSWER: dict[str, Any] = {
    **{"status": "ok", "error_code": "truncated", "completion": '[["甲","author","乙"],["甲","au'},
    **{"completion_tokens": 7, "title": "题", "context": "", "text": "甲写乙。", "lang": "zh-Hans"},
}


def test_a_mention_says_where_each_part_stands() -> None:
    found = _mention(Row(**TRIPLE))
    assert found.fact == ("甲", "author", "乙")
    assert found.places == (
        Place("甲", True, 3, 4),
        Place("乙", False, 12, 13),
        Place("甲写乙。", False, 20, 24),
    )
    assert (found.grounded, found.flags, found.confidence) == (True, ("pronoun_object",), 0.75)


@pytest.mark.parametrize(("grounding", "grounded"), [("exact", True), ("normalised", True), ("none", False)])
def test_what_is_grounded(grounding: str, grounded: bool) -> None:
    assert _mention(Row(**TRIPLE | {"grounding": grounding, "flags": None})).grounded is grounded


def test_a_reply_is_read_as_it_was_shown_and_cut() -> None:
    found = _reply(Row(**ANSWER))
    assert found.shown == "题\n甲写乙。"
    assert found.truncated and found.decoded == (("甲", "author", "乙"),)
    assert (found.status, found.tokens, found.lang) == ("ok", 7, "zh-Hans")
    failed = _reply(Row(**ANSWER | {"status": "failed", "completion": None, "completion_tokens": None}))
    assert (failed.tokens, failed.decoded) == (0, ())


def test_gold_without_a_text_has_that_of_the_output() -> None:
    output = Answered("d", "甲写乙。", "", "zh-Hans", (), ())
    assert _with_text(GoldDocument("d", "", ()), output).text == "甲写乙。"
    assert _with_text(GoldDocument("d", "甲 写乙。", ()), output).text == "甲 写乙。"


def test_white_space_makes_no_other_text() -> None:
    assert _squeezed(" 甲\u3000写\n乙。 ") == "甲写乙。" != _squeezed("甲写丙。")
