"""What is learnt of a text, and in which template it is asked."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[3] / "infra" / "train"))

from fake.little_course import write_course

from train_data import Course, read_course
from train_tokens import check_left, check_template, encode, encode_one, special_texts
from triplelake.errors import InputError
from triplelake.prompt.profile import ModelProfile

BOS, SPACE, EOS = 1, 2, 3


class ByCharacter:
    """A token for each character; as some tokenizers do, it puts BOS, a space or EOS around a whole text."""

    def __init__(self, *, bos: bool = False, space: bool = False, eos: bool = False) -> None:
        self._before = [BOS] * bos
        self._space = [SPACE] * space
        self._after = [EOS] * eos

    def __call__(self, text: str, *, add_special_tokens: bool) -> Mapping[str, Any]:
        ids = [*self._space, *(100 + ord(letter) for letter in text)]
        return {"input_ids": [*self._before, *ids, *self._after] if add_special_tokens else ids}


class Pairs:
    """Joins a line break with the letter behind it, so that prompt and answer are cut elsewhere when read together."""

    def __call__(self, text: str, *, add_special_tokens: bool) -> Mapping[str, Any]:
        ids, rest = [], text
        while rest:
            step = 2 if rest[0] == "\n" and len(rest) > 1 else 1
            ids.append(sum(ord(letter) for letter in rest[:step]) + 1000 * step)
            rest = rest[step:]
        return {"input_ids": ids}


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return read_course(write_course(tmp_path / "data"))


def letters(ids: Sequence[int]) -> str:
    return "".join(chr(each - 100) for each in ids if each >= 100)


@given(st.text(min_size=1), st.text(min_size=1), st.booleans(), st.booleans())
def test_the_answer_is_learnt_and_the_prompt_read(prompt: str, answer: str, bos: bool, space: bool) -> None:
    sample = encode_one(prompt, answer, ByCharacter(bos=bos, space=space))
    assert sample.prompt == (BOS,) * bos + (SPACE,) * space + tuple(100 + ord(each) for each in prompt)
    assert sample.answer == tuple(100 + ord(each) for each in answer)
    assert len(sample) == len(sample.prompt) + len(sample.answer)


def test_what_a_tokenizer_joins_across_the_cut_is_learnt_as_a_model_says_it() -> None:
    sample = encode_one("a\n", "[]", Pairs())
    assert sample.prompt == (1097, 1010)
    assert sample.answer == (1091, 1093)


def test_what_ends_an_answer_is_learnt(course: Course) -> None:
    found = encode(course.train[:2], ByCharacter(), course.end, max_tokens=500)
    assert [letters(each.answer) for each in found.samples] == [each.answer + "\n" for each in course.train[:2]]


def test_long_texts_and_those_with_special_tokens_are_counted(course: Course) -> None:
    odd = course.train[0].model_copy(update={"text": "a<|im_end|>b"})
    long = course.train[1].model_copy(update={"prompt": "很长" * 200})
    kept = course.train[2]
    found = encode([odd, long, kept], ByCharacter(), "\n", max_tokens=100, special=["<|im_end|>"])
    assert (len(found.samples), found.too_long, found.special) == (1, 1, 1)
    assert found.tokens == len(found.samples[0])
    with pytest.raises(InputError, match=r"leaves 1 of 60 texts: 1 are longer.*, 1 hold"):
        check_left(course, found, 20)


def test_a_line_break_that_ends_answers_is_not_looked_for_in_texts() -> None:
    profile = ModelProfile("x", "plain", stop=("\n", "###"))
    assert special_texts(profile, ["<s>", "<s>"]) == ("<s>", "###")


CHAT = ModelProfile("x", "text", prefix="<u>", suffix="</u><a>", stop=("</a>",))


def told(course: Course, profile: ModelProfile, template: str | None, *, allow: bool = False) -> str:
    def render(messages: Sequence[Any]) -> str:
        assert template is not None
        return template.replace("…", messages[0]["content"])

    return check_template(replace(course, profile=profile), render if template else None, allow=allow)


def test_the_models_own_template_is_right(course: Course) -> None:
    assert told(course, CHAT, "<u>…</u><a>") == ""


def test_what_the_template_puts_before_a_message_is_told(course: Course) -> None:
    assert "'<sys>be good</sys>' before a message" in told(course, CHAT, "<sys>be good</sys><u>…</u><a>")


def test_another_template_is_refused_with_both_shown(course: Course) -> None:
    with pytest.raises(InputError, match=r"<u>.*</u><a>.*\[INST\]") as refused:
        told(course, CHAT, "[INST]…[/INST]")
    assert "--allow-template" in refused.value.remedy
    assert "[INST]" in told(course, CHAT, "[INST]…[/INST]", allow=True)


def test_a_model_without_a_template_and_a_profile_without_one(course: Course) -> None:
    assert told(course, course.profile, None) == ""
    assert "goes without" in told(course, course.profile, "<u>…</u><a>")
    assert "no template of its own" in told(course, CHAT, None)


def test_the_servers_template_is_compared_with_the_prompts(course: Course) -> None:
    server = ModelProfile("x", "server", stop=("</a>",))
    with pytest.raises(InputError, match="抽取三元组"):
        told(course, server, "<u>…</u><a>")
    asked = tuple(each.model_copy(update={"prompt": f"<u>{each.prompt}</u><a>"}) for each in course.train)
    assert told(replace(course, train=asked), server, "<u>…</u><a>") == ""
