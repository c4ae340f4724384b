"""Chat templates behind which no answer can begin are refused, with a profile that is right."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from triplelake.errors import PoolError
from triplelake.prompt.profile import MARKER, ModelProfile, load_profile
from triplelake.prompt.template import check_turns, read_template
from triplelake.prompt.turns import Turns

USER, END, OPEN = "<|im_start|>user\n", "<|im_end|>\n", "<|im_start|>assistant\n"
HISTORY = f"{USER}TRIPLELAKE-FIRST{END}{OPEN}TRIPLELAKE-SECOND{END}{USER}{MARKER}{END}{OPEN}"


def refused(tmp_path: Path, after: str, history: str | None = HISTORY, now: datetime | None = None) -> tuple[str, str]:
    """The reason, and the suffix of the profile that the remedy offers, once it is saved and read."""
    with pytest.raises(PoolError) as caught:
        read_template(f"{USER}{MARKER}{after}", history, now)
    said, *lines = caught.value.remedy.splitlines()
    assert "--profile mine.yaml" in said
    file = tmp_path / "mine.yaml"
    file.write_text("\n".join(lines), encoding="utf-8")
    profile = load_profile(file)
    assert profile.prefix == USER
    return caught.value.reason, profile.suffix


@pytest.mark.parametrize(
    "after",
    [END + OPEN, f"{END}{OPEN}<think>\n\n</think>\n\n", " [/INST]", "<end_of_turn>\n<start_of_turn>model\n"],
)
def test_what_an_answer_can_follow_is_taken_as_it_is(after: str) -> None:
    assert read_template(f"{USER}{MARKER}{after}", HISTORY) == (USER, after)
    assert read_template(f"{USER}{MARKER}{after}", None) == (USER, after)


def test_the_turn_of_atom_is_open() -> None:
    history = "Human: TRIPLELAKE-FIRST\n</s><s>Assistant: TRIPLELAKE-SECOND\n</s><s>Human: x\n</s><s>Assistant:"
    assert read_template(f"Human: {MARKER}\n</s><s>Assistant:", history)[1] == "\n</s><s>Assistant:"


@pytest.mark.parametrize(
    ("opens", "closes"),
    [
        ("<think>\n", "</think>"),
        ("<thinking>", "</thinking>"),
        ("<seed:think>", "</seed:think>"),
        ("[THINK]", "[/THINK]"),
        ("◁think▷", "◁/think▷"),
        ("<|START_THINKING|>", "<|END_THINKING|>"),
        ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
        ("<think>\n\n</think>\n<think>\n", "</think>"),
    ],
)
def test_an_open_block_of_thoughts_is_refused(tmp_path: Path, opens: str, closes: str) -> None:
    reason, suffix = refused(tmp_path, END + OPEN + opens)
    assert "thoughts" in reason
    assert suffix.startswith(END + OPEN)
    assert suffix.rstrip().endswith(closes)
    assert read_template(f"{USER}{MARKER}{suffix}", None) == (USER, suffix)


def test_a_model_that_names_its_channel_first_is_refused(tmp_path: Path) -> None:
    reason, suffix = refused(tmp_path, "<|end|><|start|>assistant", None)
    assert "channel" in reason
    assert suffix == "<|end|><|start|>assistant<|channel|>final<|message|>"


@pytest.mark.parametrize(
    ("after", "says"), [(END, "does not open"), (f"{END}{OPEN}{END}", "ends the assistant's turn")]
)
def test_a_turn_that_is_not_open_is_refused(tmp_path: Path, after: str, says: str) -> None:
    reason, suffix = refused(tmp_path, after)
    assert says in reason
    assert suffix == END + OPEN


@pytest.mark.parametrize("date", ["28 Nov 2026", "2026-11-28", "November 28, 2026", "2026年11月28日"])
def test_the_date_of_today_is_refused(tmp_path: Path, date: str) -> None:
    after = f"\n{date}{END}{OPEN}"
    reason, suffix = refused(tmp_path, after, None, datetime(2026, 11, 28))
    assert date in reason
    assert suffix == after
    assert read_template(f"{USER}{MARKER}{after}", None, datetime(2026, 11, 29)) == (USER, after)


SYSTEM = "<|im_start|>system\n"
CHATML = Turns(SYSTEM, END + USER, END + OPEN, END + USER, END + OPEN)
CHAT = ModelProfile("chat", "server", stop=("<|end|>",), examples="turns", answer="objects", empty="told")


def test_a_conversation_that_an_answer_can_follow() -> None:
    check_turns(CHATML, USER, profile=CHAT)
    check_turns(replace(CHATML, asked=f"{END}{OPEN}<think>\n\n</think>\n\n"), USER, profile=CHAT)


@pytest.mark.parametrize(
    ("turns", "says", "suffix"),
    [
        (replace(CHATML, asked=f"{END}{OPEN}<think>\n"), "thoughts", f"{END}{OPEN}<think>\n\n</think>\n\n"),
        (replace(CHATML, asked=END), "does not open", END + OPEN),
        (replace(CHATML, opening=f"{SYSTEM}Today: 2026-11-29\n"), "the date of today", END + OPEN),
        (replace(CHATML, to_question=f"\n29 Nov 2026{END}{USER}"), "the date of today", END + OPEN),
    ],
)
def test_a_conversation_is_checked_itself_and_its_profile_keeps_the_rest(
    tmp_path: Path, turns: Turns, says: str, suffix: str
) -> None:
    with pytest.raises(PoolError) as caught:
        check_turns(turns, USER, datetime(2026, 11, 29), CHAT)
    assert says in caught.value.reason
    file = tmp_path / "mine.yaml"
    file.write_text("\n".join(caught.value.remedy.splitlines()[1:]), encoding="utf-8")
    offered = replace(CHAT, name="mine", template="text", prefix=USER, suffix=suffix, next=END + USER)
    assert load_profile(file) == offered
