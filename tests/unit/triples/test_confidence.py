"""Confidence from features, without the library that fitted it."""

from __future__ import annotations

import math
import pickle
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triplelake.config import AnswerSettings
from triplelake.prompt.ontology import Ontology, Relation
from triplelake.triples.confidence import NAMES, Calibration, Features, features, least_confidence, log_odds
from triplelake.triples.derive import derive
from triplelake.types import Lang, Request

NAMED: dict[Lang, str] = {"zh-Hans": "作者", "zh-Hant": "作者", "en": "author"}
ONTOLOGY = Ontology("test", (Relation("author", NAMED, symmetric=False),))
REQUEST = Request("r", "林知远写了《晨雾》，又写了《暮雨》。", "", "", "zh-Hans")
ANSWER = '[["晨雾","作者","林知远"],["晨雾","作者","林知远"],["暮雨","作者","林知远"]]'
NOTHING = Features(*[0.0] * len(NAMES))


def told(logprobs: list[float], looks: Sequence[float | None] = ()) -> list[Features] | None:
    derived = derive(REQUEST, ANSWER, truncated=False, ontology=ONTOLOGY, answer=AnswerSettings())
    found = features(REQUEST, derived, logprobs, [1] * len(logprobs), looks)
    return None if found is None else list(found)


def test_features_are_those_of_the_triples_that_are_kept() -> None:
    found = told([-1.0] * len(ANSWER))
    assert found is not None
    first, second = found
    assert (first.subject, first.predicate, first.object) == (-2, -2, -3)
    assert (first.rank, second.rank, first.triples) == (0, 2, 3)  # the second of the answer says the first again
    assert (first.subject_chars, first.object_chars, first.chunk_chars) == (2, 3, len(REQUEST.text))
    assert (first.distance, second.distance) == (3, 11)
    assert first.is_ambiguous == first.is_flagged == 0


def test_without_probabilities_nothing_is_known() -> None:
    assert told([]) is None
    assert told([-1.0]) is None


def test_a_look_is_that_of_the_triple_as_the_answer_says_it() -> None:
    known = [-1.0] * len(ANSWER)
    half, quarter = math.log(1 / 2), math.log(1 / 4)
    for looks, expected in (
        ([half, None, quarter], [0, -math.log(3)]),
        ([half, None, None], [0, None]),
        ([], [None] * 2),
    ):
        found = told(known, looks)
        assert found is not None
        assert [each.look for each in found] == [each if each is None else pytest.approx(each) for each in expected]


@given(st.floats(-100, 0), st.floats(-100, 0))
def test_log_odds_are_finite_and_grow_with_the_probability(one: float, other: float) -> None:
    assert math.isfinite(log_odds(one))
    if one < other:
        assert log_odds(one) <= log_odds(other)
    if -100 < one < -0.01:
        assert 1 / (1 + math.exp(-log_odds(one))) == pytest.approx(math.exp(one))


def test_a_calibration_with_looks_says_nothing_of_a_triple_without_one() -> None:
    plain = Calibration(-1.0, {"object": 0.5}, {})
    looking = replace(plain, weights={"object": 0.5, "look": 2.0})
    seen, unseen = replace(NOTHING, look=-1.0), replace(NOTHING, look=None)
    assert (plain.needs_look, looking.needs_look) == (False, True)
    assert looking.confidence(seen, "author") == pytest.approx(1 / (1 + math.exp(1 + 2)))
    assert looking.confidence(unseen, "author") is None
    assert plain.confidence(seen, "author") == plain.confidence(unseen, "author") == pytest.approx(1 / (1 + math.e))
    assert plain.identity() != looking.identity()


def test_confidence_is_the_logistic_of_the_weighed_features() -> None:
    made = Calibration(-1.0, {"object": 0.5, "rank": -2.0}, {"author": 0.25})
    known = replace(NOTHING, object=-2.0, rank=1.0, subject=-99.0)
    assert made.confidence(known, "author") == pytest.approx(1 / (1 + math.exp(1 + 1 + 2 - 0.25)))
    assert made.confidence(known, "other") == pytest.approx(1 / (1 + math.exp(1 + 1 + 2)))
    least, most = (made.confidence(replace(known, rank=rank), "author") for rank in (1e6, -1e6))
    assert least is not None and most is not None
    assert 0 < least < most < 1
    assert pickle.loads(pickle.dumps(made)) == made


def test_its_identity_follows_what_changes_a_confidence() -> None:
    made = Calibration(-1.0, {"object": 0.5, "rank": 1.0}, {"author": 0.25})
    same = Calibration(-1.0, {"rank": 1.0, "object": 0.5}, {"author": 0.25})
    others = [replace(made, bias=0.0), replace(made, weights={"object": 0.5}), replace(made, relations={})]
    assert made.identity() == same.identity()
    assert len({each.identity() for each in (made, *others)}) == 4


def test_as_many_are_kept_as_the_precision_allows() -> None:
    groups = [(0.9, 2, 1.8), (0.5, 1, 0.5), (0.1, 10, 1.0)]
    assert least_confidence(0.95, groups) == 1.0
    assert least_confidence(0.9, groups) == 0.9
    assert least_confidence(0.76, groups) == 0.5
    assert least_confidence(0.25, groups) == 0.1
    assert least_confidence(0.5, []) == 1.0


@given(st.lists(st.integers(1, 998), max_size=40, unique=True), st.floats(0.05, 0.95))
def test_what_is_kept_has_the_precision_and_one_more_has_not(thousandths: list[int], precision: float) -> None:
    values = [each / 1000 + 0.0004 for each in thousandths]
    least = least_confidence(precision, [(value, 1, value) for value in values])
    kept = [value for value in values if value >= least]
    assert sum(kept) >= precision * len(kept) - 1e-9
    rest = sorted((value for value in values if value < least), reverse=True)
    if rest:
        assert sum(kept) + rest[0] < precision * (len(kept) + 1) + 1e-9
