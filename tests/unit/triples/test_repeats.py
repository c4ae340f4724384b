"""An answer that begins to repeat itself is over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triplelake.prompt.answer_form import ARRAYS, FORMS, LINES, AnswerForm
from triplelake.triples.parse import parse_answer
from triplelake.triples.repeats import Repeats

Triple = tuple[str, str, str]
TRIPLES = st.lists(st.tuples(*[st.sampled_from(['"', "\\", "甲|", "乙\n", "😀"])] * 3), min_size=1, max_size=6)


def watched(answer: str, bounds: set[int]) -> tuple[str, int] | None:
    """What the watch makes of an answer that comes in pieces, and how much of it had come by then."""
    watch = Repeats()
    for end in sorted(bounds | {len(answer)}):
        if (finished := watch(answer[:end])) is not None:
            assert finished.text.startswith(answer[: finished.said])
            assert finished.said <= len(finished.text)
            return finished.text, end
    return None


@given(TRIPLES, st.sampled_from([*FORMS.values()]), st.data())
def test_what_comes_before_the_first_repetition_is_kept(
    triples: list[Triple], form: AnswerForm, data: st.DataObject
) -> None:
    answer = form.write(triples, sorted({relation for _, relation, _ in triples}))
    if form == LINES:
        # Its last line is over where another one begins.
        answer += form.separator
    said = parse_answer(answer, truncated=False).items
    first = next((number for number, each in enumerate(said) if each in said[:number]), None)
    bounds = data.draw(st.sets(st.integers(0, len(answer))))
    found = watched(answer, bounds)
    if first is None:
        assert found is None
    else:
        assert found is not None
        kept = parse_answer(found[0], truncated=False)
        assert kept.complete
        assert kept.items == said[:first]


@given(st.text(max_size=13), st.sets(st.integers(0, 13)))
def test_what_is_no_answer_is_let_go_on(text: str, bounds: set[int]) -> None:
    # No text so short holds a triple twice.
    assert watched(text, bounds) is None


def test_a_round_is_ended_within_its_first_repetition() -> None:
    round_ = [("甲", "写", "乙"), ("丙", "写", "丁")]
    answer = ARRAYS.write([*round_, *round_ * 5])
    found = watched(answer, {*range(len(answer))})
    assert found == (ARRAYS.write(round_), len(ARRAYS.write([*round_, round_[0]])) - 1)


def test_a_line_is_said_again_when_it_is_over() -> None:
    once = LINES.write([("甲", "写", "乙"), ("甲", "写", "丙")])
    again = f"{once}\n甲|写|乙"
    assert watched(again, {*range(len(again))}) is None
    # Its beginning may be that of a longer one.
    assert watched(f"{again}丁\n", {*range(len(again))}) is None
    assert watched(f"{again}\n甲", {*range(len(again) + 2)}) == (once, len(again) + 1)


@pytest.mark.parametrize("space", [" ", "\n\t "])
def test_space_that_comes_later_is_no_matter(space: str) -> None:
    answer = f'[{space}["甲","写","乙"]{space},{space}["甲","写","乙"]{space}]'
    found = watched(answer, {*range(len(answer))})
    assert found is not None
    assert parse_answer(found[0], truncated=False).items == (("甲", "写", "乙"),)


def test_half_a_surrogate_pair_is_told_by_the_reading_of_the_whole() -> None:
    assert watched('[["\\ud800","a","b"],["\\ud800","a","b"]]', {*range(40)}) is None
