"""What a chat template writes around a conversation, told from one rendering of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jinja2
import pytest

from triplelake.prompt.turns import Turns, conversation, read_turns

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)
GEMMA = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('no system message') }}{% endif %}"
    "{% for m in messages %}<start_of_turn>{{ 'model' if m.role == 'assistant' else 'user' }}\n{{ m.content | trim }}"
    "<end_of_turn>\n{% endfor %}<start_of_turn>model\n"
)
LLAMA_2 = (
    "{% if messages[0].role == 'system' %}{% set system = '<<SYS>>' + messages[0].content + '<</SYS>>' %}"
    "{% set rest = messages[1:] %}{% else %}{% set system = '' %}{% set rest = messages %}{% endif %}"
    "{% for m in rest %}{% if m.role == 'user' %}[INST] {{ system if loop.first }}{{ m.content }} [/INST]"
    "{% else %}{{ m.content }}</s>{% endif %}{% endfor %}"
)
# As some do with thoughts: what was said before the last question is written in another way.
FORGETS = "{% for m in messages %}<{{ m.role }}>{{ m.content if loop.revindex < 4 }}{% endfor %}<assistant>"
REPEATS = "{% for m in messages %}{{ messages[0].content if loop.last }}{{ m.content }}{% endfor %}"

ROLES = ("user", "assistant")


def render(template: str, messages: Sequence[Mapping[str, str]]) -> str:
    def refuse(reason: str) -> None:
        raise jinja2.TemplateError(reason)

    return (
        jinja2.Environment(keep_trailing_newline=True)
        .from_string(template)
        .render(messages=messages, raise_exception=refuse)
    )


@pytest.mark.parametrize(("template", "system"), [(CHATML, True), (CHATML, False), (GEMMA, False), (LLAMA_2, True)])
@pytest.mark.parametrize("examples", [(), (("q1", "a1"),), (("q1", "a1"), ("q2", "a2"), ("q3", "a3"))])
def test_any_conversation_is_written_as_the_template_does(
    template: str, system: bool, examples: Sequence[tuple[str, str]]
) -> None:
    turns = read_turns(render(template, conversation(system=system)))
    assert turns is not None
    opening = [{"role": "system", "content": "Do it."}] if system else []
    messages = [{"role": role, "content": text} for pair in examples for role, text in zip(ROLES, pair, strict=True)]
    messages.append({"role": "user", "content": "asked"})
    if not system:
        messages[0]["content"] = "Do it.\n\n" + messages[0]["content"]
    assert turns.prefix("Do it.", examples) + "asked" + turns.asked == render(template, [*opening, *messages])


@pytest.mark.parametrize("template", [FORGETS, REPEATS, "", "{{ messages[0].content }}"])
@pytest.mark.parametrize("system", [True, False])
def test_what_treats_turns_differently_is_not_believed(template: str, system: bool) -> None:
    assert read_turns(render(template, conversation(system=system))) is None


def test_a_template_may_refuse_a_system_message() -> None:
    with pytest.raises(jinja2.TemplateError):
        render(GEMMA, conversation(system=True))


def test_the_parts_of_chatml() -> None:
    assert read_turns(render(CHATML, conversation(system=True))) == Turns(
        opening="<|im_start|>system\n",
        to_question="<|im_end|>\n<|im_start|>user\n",
        to_answer="<|im_end|>\n<|im_start|>assistant\n",
        to_next="<|im_end|>\n<|im_start|>user\n",
        asked="<|im_end|>\n<|im_start|>assistant\n",
    )
