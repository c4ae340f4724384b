"""The ladder of one request: again elsewhere, with a larger limit, in halves, then failed; and what stands of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triplelake.codes import Code
from triplelake.config import AnswerSettings, conf_dir
from triplelake.engine.asking.ladder import Ladder, Method, halve, join_answers
from triplelake.pool.failures import ServerFailure
from triplelake.pool.protocol import Prompt
from triplelake.pool.router import Answer, Router, Stopped
from triplelake.prompt.ontology_file import load_ontology
from triplelake.prompt.profile import find_profile
from triplelake.prompt.prompts import load_prompts
from triplelake.prompt.render import Renderer
from triplelake.triples.parse import parse_answer
from triplelake.types import Completion, FailedTry, Request

A, B = "http://a", "http://b"
FIRST, SECOND = "林若兰生于临川城。", "陈安国生于云梦城。"
TEXT = FIRST + SECOND
ONTOLOGY = load_ontology("ontologies/general.yaml")
METHOD = Method(
    model="m",
    answer=AnswerSettings(),
    engine="gbnf",
    renderer=Renderer(load_prompts(conf_dir() / "prompts"), ONTOLOGY, find_profile("base", ""), None),
    ontology=ONTOLOGY,
    stop_repeats=True,
    prefix_tokens={"zh-Hans": 100},
)
BORN = {FIRST: '[["林若兰","出生地","临川城"]]', SECOND: '[["陈安国","出生地","云梦城"]]'}


class Pool:
    """Stands for a router: answers by script, and keeps what it was asked."""

    def __init__(self, script: Callable[[str, int], str | ServerFailure | Completion]) -> None:
        self._script = script
        self.asked: list[tuple[int, str | None]] = []

    def tokenize(self, text: str) -> list[int]:
        return []

    def tried_in_vain(self, failed: FailedTry) -> None: ...

    def ask(self, prompt: Prompt, *, max_tokens: int, avoid: str | None, **_: Any) -> Answer:
        self.asked.append((max_tokens, avoid))
        words = prompt if isinstance(prompt, str) else "".join(part for part in prompt if isinstance(part, str))
        # What is asked about stands last; the examples before it are others.
        answer = self._script(words[-200:], len(self.asked))
        if isinstance(answer, ServerFailure):
            answer.failed_tries = (FailedTry(A, answer.code),)
            raise answer
        return Answer(answer if isinstance(answer, Completion) else reply(answer), ())


def reply(text: str, *, truncated: bool = False, endpoint: str = A) -> Completion:
    return Completion(text, truncated, 120, 100, 20, 7.0, "m", endpoint)


def climb(script: Callable[[str, int], str | ServerFailure | Completion], text: str = TEXT) -> tuple[Any, Pool]:
    pool = Pool(script)
    return Ladder(METHOD, cast(Router, pool)).attempt(Request("r", text, "", "", "zh-Hans")), pool


def codes(tries: Sequence[FailedTry]) -> list[str]:
    return [each.code for each in tries]


def test_a_good_answer_is_one_try() -> None:
    attempt, pool = climb(lambda *_: BORN[FIRST])
    assert (attempt.status, attempt.tries, attempt.failed_tries, len(pool.asked)) == ("ok", 1, (), 1)


def test_a_bad_answer_is_asked_again_elsewhere_and_then_fails() -> None:
    attempt, pool = climb(lambda *_: '[["火星","出生地","临川城"]]')
    assert (attempt.status, attempt.error_code, attempt.tries) == ("failed", "ungrounded", 2)
    assert codes(attempt.failed_tries) == ["ungrounded", "ungrounded"]
    assert [avoid for _, avoid in pool.asked] == [None, A]
    assert attempt.completion_tokens == 40


def test_a_cut_answer_gets_twice_the_room_and_is_kept_if_it_is_cut_again() -> None:
    attempt, pool = climb(lambda *_: reply(BORN[FIRST][:-1] + ',["陈', truncated=True))
    assert (attempt.status, attempt.error_code, attempt.tries) == ("ok", "truncated", 2)
    assert codes(attempt.failed_tries) == ["truncated"]
    assert [limit for limit, _ in pool.asked] == [320, 640]


def test_what_does_not_fit_a_slot_is_asked_in_halves() -> None:
    def script(words: str, number: int) -> str | ServerFailure:
        if number == 1:
            return ServerFailure(Code.CONTEXT_OVERFLOW, "too long", endpoint=A)
        assert (FIRST in words) != (SECOND in words)
        return BORN[FIRST if FIRST in words else SECOND]

    attempt, pool = climb(script)
    assert (attempt.status, attempt.error_code, attempt.tries, len(pool.asked)) == ("ok", None, 3, 3)
    assert codes(attempt.failed_tries) == ["context_overflow"]
    # What is kept reads as the answer of the whole, so that it can be read again without asking.
    again = METHOD.read(Request("r", TEXT, "", "", "zh-Hans"), attempt.completion, truncated=False)
    assert again.triples == attempt.triples
    assert [(t.subject, t.object) for t in attempt.triples] == [("林若兰", "临川城"), ("陈安国", "云梦城")]


def test_what_never_fits_fails_after_a_few_questions() -> None:
    attempt, pool = climb(lambda *_: ServerFailure(Code.CONTEXT_OVERFLOW, "too long", endpoint=A))
    assert (attempt.status, attempt.error_code, attempt.endpoint) == ("failed", "context_overflow", A)
    assert 2 <= len(pool.asked) <= 4
    assert attempt.tries == len(pool.asked)


def test_a_half_that_fails_fails_the_request() -> None:
    def script(words: str, number: int) -> str | ServerFailure:
        if number == 1:
            return ServerFailure(Code.CONTEXT_OVERFLOW, "too long", endpoint=A)
        return BORN[FIRST] if FIRST in words else "no JSON"

    attempt, pool = climb(script)
    assert (attempt.status, attempt.error_code) == ("failed", "invalid_json")
    assert attempt.tries == len(pool.asked) == 4
    assert codes(attempt.failed_tries) == ["context_overflow", "invalid_json", "invalid_json"]


def test_a_defect_costs_its_own_row_alone() -> None:
    def broken(*_: object) -> str:
        raise ZeroDivisionError("nothing expected this")

    attempt, _ = climb(broken)
    assert (attempt.status, attempt.error_code) == ("failed", "internal")
    assert "ZeroDivisionError" in attempt.error_message


def test_a_stop_leaves_no_row() -> None:
    def stopped(*_: object) -> str:
        raise Stopped

    assert climb(stopped)[0] is None


@given(st.text(min_size=1, max_size=80), st.text(max_size=9))
def test_halves_are_the_chunk_and_shorter(text: str, context: str) -> None:
    halves = halve(Request("r", text, "t", context, "en"))
    if halves is None:
        return
    first, second = halves
    assert first.text + second.text == text
    assert first.text and second.text
    assert (first.title, first.context, second.title, second.context) == ("t", context, "t", "")


_ITEMS = st.lists(
    st.tuples(st.text(max_size=5), st.text(max_size=5), st.text(max_size=5)).filter(
        lambda item: not any("\ud800" <= char <= "\udfff" for part in item for char in part)
    ),
    max_size=3,
)


@given(st.lists(st.tuples(_ITEMS, st.booleans()), min_size=1, max_size=3))
def test_joined_answers_hold_the_items_of_all(parts: list[tuple[list[tuple[str, str, str]], bool]]) -> None:
    answers = []
    for items, cut in parts:
        text, _ = join_answers([(json.dumps(items), False)])
        answers.append((text[:-1] if cut else text, cut))
    text, truncated = join_answers(answers)
    parsed = parse_answer(text, truncated=truncated)
    assert list(parsed.items) == [item for items, _ in parts for item in items]
    assert parsed.complete == (not truncated) == (not any(cut for _, cut in parts))


@pytest.mark.parametrize("text", ["a", "汉", "é"])
def test_one_word_has_no_halves(text: str) -> None:
    assert halve(Request("r", text, "", "", "en")) is None
