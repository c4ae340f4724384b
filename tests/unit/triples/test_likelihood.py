"""Which tokens of an answer spell which part of a triple."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triplelake.prompt.answer_form import FORMS, AnswerForm
from triplelake.triples.likelihood import likelihoods
from triplelake.triples.parse import parse_answer

NAMES = st.text("甲乙丙ab ", min_size=1, max_size=5)
TRIPLES = st.lists(st.tuples(NAMES, st.sampled_from(["r", "作者"]), NAMES), min_size=1, max_size=4)


def test_each_part_has_its_own_tokens() -> None:
    answer = '[["甲乙","作者","丙"],["丁","作者","戊"]]'
    tokens = ['[["', "甲", "乙", '","', "作者", '","', "丙", '"],', '["', "丁", '","', "作者", '","', "戊", '"]]']
    logprobs = [-(2.0**-place) for place in range(len(tokens))]
    found = likelihoods(parse_answer(answer, truncated=False).places, logprobs, [*map(len, tokens)])
    assert found is not None
    first, second = found
    assert (first.onward, first.subject) == (logprobs[0], logprobs[1] + logprobs[2])
    assert (first.predicate, first.object) == (logprobs[4], logprobs[6])
    assert second.onward == pytest.approx(logprobs[7] + logprobs[8])
    assert (second.subject, second.predicate, second.object) == (logprobs[9], logprobs[11], logprobs[13])


def test_triples_of_a_group_share_what_is_said_once() -> None:
    answer = '{"甲":{"r":["乙","丙"]},"丁":{"r":["戊"]}}'
    tokens = ['{"', "甲", '":{"', "r", '":["', "乙", '","', "丙", '"]},"', "丁", '":{"', "r", '":["', "戊", '"]}}']
    logprobs = [-float(place) for place in range(len(tokens))]
    found = likelihoods(parse_answer(answer, truncated=False).places, logprobs, [*map(len, tokens)]) or []
    assert [(each.subject, each.predicate, each.object) for each in found] == [
        (-1, -3, -5),
        (-1, -3, -7),
        (-9, -11, -13),
    ]
    assert [each.onward for each in found] == [0, -6, -8]


def test_in_lines_the_line_break_tells_whether_there_is_another_triple() -> None:
    answer = "甲|r|乙\n甲|r|丙"
    tokens = ["甲", "|", "r", "|", "乙", "\n", "甲|", "r|", "丙"]
    logprobs = [-(2.0**-place) for place in range(len(tokens))]
    found = likelihoods(parse_answer(answer, truncated=False).places, logprobs, [*map(len, tokens)])
    assert found is not None
    first, second = found
    assert (first.onward, first.subject, first.predicate, first.object) == (0, logprobs[0], logprobs[2], logprobs[4])
    assert second.onward == pytest.approx(logprobs[5])
    assert (second.subject, second.predicate, second.object) == (logprobs[6], logprobs[7], logprobs[8])


def test_a_token_may_spell_more_than_one_part_and_a_character_take_two() -> None:
    # The second entry ends a character that the first began: it begins none.
    answer = '[["晨雾","r","b"]]'
    chars = [len('[["晨'), 0, len('雾","r"'), len(',"b"]]')]
    found = likelihoods(parse_answer(answer, truncated=False).places, [-1.0, -2.0, -4.0, -8.0], chars)
    assert found is not None
    (only,) = found
    assert (only.subject, only.predicate, only.object) == (-7, -4, -8)


def test_tokens_that_end_too_early_tell_nothing() -> None:
    places = parse_answer('[["a","r","b"]]', truncated=False).places
    assert likelihoods(places, [-1.0], [5]) is None
    assert likelihoods(places, [], []) is None
    assert likelihoods((), [], []) == []


@given(TRIPLES, st.sampled_from([*FORMS.values()]), st.data())
def test_one_character_tokens_give_the_sum_over_each_string(
    triples: list[tuple[str, str, str]], form: AnswerForm, data: st.DataObject
) -> None:
    answer = form.write(triples, ["r", "作者"])
    logprobs = data.draw(st.lists(st.integers(-9, 0), min_size=len(answer), max_size=len(answer)))
    parsed = parse_answer(answer, truncated=False)
    sums = [0, *accumulate(logprobs)]
    found = likelihoods(parsed.places, logprobs, [1] * len(answer))
    assert found is not None
    for likelihood, strings in zip(found, parsed.places, strict=True):
        said = (likelihood.subject, likelihood.predicate, likelihood.object)
        assert said == tuple(sums[end] - sums[start] for start, end in strings)
        assert likelihood.onward <= 0
