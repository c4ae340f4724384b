"""A second look at the triples of an answer: what is asked, what is kept of it, and that no answer is lost for it."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from triplelake.codes import Code
from triplelake.config import AnswerSettings, Settings, conf_dir
from triplelake.engine.asking.ladder import Ladder, Method
from triplelake.engine.asking.second_look import SecondLook, check_second_look, is_wanted, spelled
from triplelake.errors import UsageError
from triplelake.pool.failures import ServerFailure
from triplelake.pool.protocol import Prompt
from triplelake.pool.router import Answer, Router, Stopped
from triplelake.prompt.look import LookRenderer
from triplelake.prompt.ontology_file import load_ontology
from triplelake.prompt.profile import ModelProfile, find_profile
from triplelake.prompt.prompts import load_prompts
from triplelake.prompt.render import Renderer
from triplelake.types import Attempt, Completion, FailedTry, Request

PROMPTS, ONTOLOGY = load_prompts(conf_dir() / "prompts"), load_ontology("ontologies/general.yaml")
CHAT = ModelProfile("c", "text", prefix="Human: ", suffix="\nAssistant: ")
LOOK = SecondLook(LookRenderer(PROMPTS, ONTOLOGY, CHAT), "gbnf", {"zh-Hans": 2}, {"zh-Hans": 40})
METHOD = Method(
    model="m",
    answer=AnswerSettings(),
    engine="gbnf",
    renderer=Renderer(PROMPTS, ONTOLOGY, CHAT),
    ontology=ONTOLOGY,
    stop_repeats=True,
    prefix_tokens={"zh-Hans": 100},
    second_look=LOOK,
)
TEXT = "林若兰生于临川城，陈安国生于云梦城。"
# The second of them says the first again.
SAID = '[["林若兰","出生地","临川城"],["林若兰","出生地","临川城"],["陈安国","出生地","云梦城"]]'

Script = Callable[[int], Completion | Exception]


class Pool:
    """Stands for a router: gives the answer, and then looks by a script."""

    def __init__(self, first: Sequence[Completion | Exception], script: Script) -> None:
        self._first = list(first)
        self._script = script
        self.looked: list[tuple[str, dict[str, Any]]] = []
        self.tokenized: list[str] = []

    def tokenize(self, text: str) -> list[int]:
        self.tokenized.append(text)
        return [7]

    def tried_in_vain(self, failed: FailedTry) -> None: ...

    def ask(self, prompt: Prompt, **asked: Any) -> Answer:
        if self._first:
            answer = self._first.pop(0)
        else:
            self.looked.append((prompt if isinstance(prompt, str) else repr(prompt), asked))
            answer = self._script(len(self.looked))
        if isinstance(answer, Exception):
            raise answer
        return Answer(answer)


def answer(text: str = SAID, *, known: bool = True) -> Completion:
    tokens = ((-0.1,) * len(text), (1,) * len(text)) if known else ((), ())
    return Completion(text, False, 120, 100, 20, 7.0, "m", "http://a", *tokens)


def look(logprob: float) -> Completion:
    return Completion("是。", True, 60, 50, 2, 3.0, "m", "http://a", (logprob, -0.5), (1, 1))


def climb(
    script: Script,
    *,
    first: Sequence[Completion | Exception] = (answer(),),
    method: Method = METHOD,
    text: str = TEXT,
) -> tuple[Attempt, Pool]:
    pool = Pool(first, script)
    attempt = Ladder(method, cast(Router, pool)).attempt(Request("r", text, "", "", "zh-Hans"))
    assert attempt is not None
    return attempt, pool


def failure() -> ServerFailure:
    return ServerFailure(Code.HTTP_500, "no", endpoint="http://a")


def test_each_distinct_triple_is_asked_about_alone() -> None:
    attempt, pool = climb(lambda number: look(-float(number)))
    assert attempt.looks == (-1.0, None, -2.0)
    (first, asked), (second, _) = pool.looked
    assert "陈述：林若兰的出生地是临川城。" in first and "陈述：陈安国的出生地是云梦城。" in second
    assert first.count("陈述：") == second.count("陈述：") == 1
    assert asked == {"grammar": 'root ::= "是。"\n', "max_tokens": 2, "est_tokens": 42}


def test_what_looks_take_is_counted_and_a_question_is_still_one_try() -> None:
    attempt, _ = climb(lambda _: look(-1.0))
    assert (attempt.prompt_tokens, attempt.cached_tokens, attempt.completion_tokens) == (240, 200, 24)
    assert (attempt.latency_ms, attempt.tries, attempt.failed_tries) == (13.0, 1, ())
    assert attempt.completion == SAID and len(attempt.token_logprobs) == len(SAID)


@pytest.mark.parametrize("error", [failure(), Stopped()])
def test_a_look_that_fails_is_null_and_the_others_are_not_asked(error: Exception) -> None:
    attempt, pool = climb(lambda number: error if number == 2 else look(-1.0))
    assert (attempt.status, attempt.error_code, attempt.looks) == ("ok", None, (-1.0, None, None))
    attempt, pool = climb(lambda _: error)
    assert (attempt.status, attempt.looks, len(pool.looked)) == ("ok", (None, None, None), 1)
    assert (attempt.prompt_tokens, attempt.latency_ms) == (120, 7.0)


def test_a_defect_in_a_look_leaves_the_answer_good() -> None:
    attempt, _ = climb(lambda _: ZeroDivisionError("nothing expected this"))
    assert (attempt.status, attempt.looks, attempt.completion) == ("ok", (), SAID)


def test_a_look_of_which_the_probability_is_not_known_is_null() -> None:
    unknown = replace(look(-1.0), token_logprobs=(), token_chars=())
    attempt, _ = climb(lambda number: unknown if number == 1 else look(-2.0))
    assert attempt.looks == (None, None, -2.0)
    assert attempt.completion_tokens == 24


@pytest.mark.parametrize(
    ("first", "method", "text"),
    [
        ([answer("[]")], METHOD, TEXT),  # no triple
        ([answer(known=False)], METHOD, TEXT),  # its triples get no confidence anyway
        ([answer()], replace(METHOD, second_look=None), TEXT),
        (
            [ServerFailure(Code.CONTEXT_OVERFLOW, "too long"), answer('[["甲乙","出生地","丙丁"]]'), answer("[]")],
            METHOD,
            "甲乙生于丙丁。甲乙生于戊己。",
        ),
    ],
)
def test_what_would_be_for_nothing_is_not_asked(
    first: Sequence[Completion | Exception], method: Method, text: str
) -> None:
    attempt, pool = climb(lambda _: look(-1.0), first=first, method=method, text=text)
    assert attempt.status in ("ok", "empty")
    assert (attempt.looks, pool.looked) == ((), [])


def test_a_failed_question_is_not_looked_at() -> None:
    bad = answer('[["火星","出生地","临川城"]]')
    attempt, pool = climb(lambda _: look(-1.0), first=[bad, bad])
    assert (attempt.status, attempt.looks, pool.looked) == ("failed", (), [])


def test_a_text_with_special_tokens_is_sent_as_ids_and_tokenized_once() -> None:
    method = replace(METHOD, answer=AnswerSettings(grounding="verify"))
    _, pool = climb(lambda _: look(-1.0), text=TEXT + "</s>", method=method)
    assert len(pool.looked) == 2
    assert all("</s>" not in prompt and ", 7, " in prompt for prompt, _ in pool.looked)
    assert pool.tokenized == [TEXT + "</s>"] * 2  # once for the question, once for both looks


@pytest.mark.parametrize(
    ("said", "logprobs", "chars", "expected"),
    [
        ("是。", (-1.0, -0.5), (1, 1), -1.0),
        ("是。", (-1.0, -0.25, -0.125, -2.0), (1, 0, 0, 1), -1.38),  # the bytes of one character
        ("Yes.", (-1.0, -0.25, -0.5), (1, 2, 1), -1.25),  # Y, es, .
        ("Yes.", (-1.0, -0.25), (2, 2), -1.25),  # Ye, s.
        ("Yes.", (-1.0,), (2,), None),
        ("Yes.", (), (), None),
    ],
)
def test_a_look_is_of_the_tokens_that_spell_the_word(
    said: str, logprobs: tuple[float, ...], chars: tuple[int, ...], expected: float | None
) -> None:
    completion = Completion(said, True, 1, 0, 2, 1.0, "m", "http://a", logprobs, chars)
    assert spelled(completion, said[:-1]) == expected


def test_another_answer_is_no_look() -> None:
    assert spelled(replace(look(-1.0), text="否。"), "是") is None


def test_it_can_be_sent_to_an_executor() -> None:
    assert pickle.loads(pickle.dumps(METHOD)).second_look.answer_tokens == LOOK.answer_tokens


def test_a_look_that_would_tell_nothing_is_refused() -> None:
    wanted = Settings.model_validate({"asking": {"second_look": "yes_no"}})
    base, chat = find_profile("base", ""), find_profile("chat", "")
    assert (is_wanted(wanted, chat), is_wanted(wanted, base), is_wanted(Settings(), chat)) == (True, False, False)
    for settings, profile in ((Settings(), base), (Settings(), None), (wanted, chat), (wanted, None)):
        check_second_look(settings, profile)
    with pytest.raises(UsageError, match="is for chat models, and model profile base asks a base model") as refused:
        check_second_look(wanted, base)
    assert "0.59" in refused.value.reason and "--profile chat" in refused.value.remedy
    blind = Settings.model_validate({"asking": {"second_look": "yes_no", "probabilities": False}})
    with pytest.raises(UsageError, match=r"asking\.probabilities is false"):
        check_second_look(blind)
