"""Scores by group: every gold document counts, in its group and in all."""

from __future__ import annotations

from pathlib import Path

import pytest

from triplelake.errors import InputError
from triplelake.evaluate.gold import read_facts
from triplelake.evaluate.metrics import Counts
from triplelake.evaluate.scores import scores

A, B = ("鲁迅", "born_in", "绍兴"), ("Ada", "born_in", "London")
WRONG_RELATION = ("鲁迅", "died_in", "绍兴")


def test_groups_and_all() -> None:
    gold = {"zh": [A], "en": [B], "empty": []}
    predicted = {"zh": [WRONG_RELATION], "en": [B], "not gold": [A]}
    found = {(s.group, s.match): s for s in scores(gold, predicted, {"zh": "zh-Hans", "en": "en", "empty": "en"})}
    assert list(found) == [(group, match) for group in ("all", "en", "zh-Hans") for match in ("strict", "pair")]
    assert found["all", "strict"].counts == Counts(correct=1, predicted=2, gold=2)
    assert found["all", "pair"].counts == Counts(correct=2, predicted=2, gold=2)
    assert found["zh-Hans", "strict"].counts == Counts(correct=0, predicted=1, gold=1)
    assert (found["en", "strict"].documents, found["en", "strict"].f1.value) == (2, 1.0)


def test_a_document_that_was_never_answered_lowers_recall() -> None:
    (strict, _) = scores({"a": [A], "b": [B]}, {"a": [A]}, {})
    assert (strict.counts.precision, strict.counts.recall) == (1.0, 0.5)
    assert strict.f1.low < strict.f1.value < strict.f1.high


def test_facts_are_read_by_document(tmp_path: Path) -> None:
    file = tmp_path / "gold.jsonl"
    file.write_text('{"id": "1", "triples": [["a", "r", "b"], ["a", "r", "b"]]}\n{"id": "2", "triples": []}\n')
    assert read_facts(file) == {"1": (("a", "r", "b"),), "2": ()}
    file.write_text('{"id": "1", "triples": []}\n{"id": "1", "triples": []}\n')
    with pytest.raises(InputError, match="occurs twice"):
        read_facts(file)
