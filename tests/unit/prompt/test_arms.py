"""Which ways of asking are tried with a profile, and how a name becomes one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from triplelake.errors import OutputError, UsageError
from triplelake.prompt.arms import NAMES, arms_of, check_names, name_of, without_turns
from triplelake.prompt.profile import ModelProfile, find_profile, is_known, load_profile, write_profile

CHAT = ModelProfile("chat", "server", examples="turns")
BASE = ModelProfile("base", "plain", stop=("\n",))
TURNS = ModelProfile("mine", "text", prefix="Q: ", suffix="\nA:", next="\n", examples="turns", stop=("</s>",))
ONE_MESSAGE = ModelProfile("one", "text", prefix="Q: ", suffix="\nA:", answer="objects", empty="untold")


def names(*bases: ModelProfile) -> list[str]:
    return [arm.name for arm in arms_of(bases)]


def test_without_names_it_is_what_is_worth_trying_and_can_be() -> None:
    assert names(BASE) == ["plain-arrays-example", "plain-arrays-told", "plain-relations-example"]
    assert names(CHAT)[0] == "turns-arrays-example"
    assert all(not name.startswith("plain-") for name in names(CHAT))
    assert names(CHAT, BASE) == [*names(CHAT)[:1], *names(BASE)[:1], *names(CHAT)[1:], *names(BASE)[1:]]
    assert "turns-lines-example" in names(CHAT)
    assert not any("lines" in name for name in names(BASE))
    # What is used now is always among them, for a comparison.
    assert names(ONE_MESSAGE)[:2] == ["text-objects-untold", "text-arrays-example"]
    # Without gold their agreement chooses, which needs three.
    assert all(len(names(base)) >= 3 for base in (BASE, CHAT, TURNS, ONE_MESSAGE))


def test_an_arm_keeps_what_stands_around_messages() -> None:
    [arm] = arms_of([TURNS], ["text-relations-told"])
    assert arm.profile == replace(TURNS, examples="text", next="", answer="relations", empty="told")
    [arm] = arms_of([replace(TURNS, examples="text")], ["turns-subjects-untold"])
    assert arm.profile == replace(TURNS, answer="subjects", empty="untold")
    [arm] = arms_of([CHAT, BASE], ["plain-objects-told"])
    assert arm.profile == replace(BASE, answer="objects", empty="told")


def test_every_arm_is_named_after_its_profile() -> None:
    found = arms_of([CHAT, BASE], ["all"])
    assert [arm.name for arm in found] == list(NAMES)
    assert all(name_of(arm.profile) == arm.name for arm in found)
    assert (
        len({(each.template, each.examples, each.answer, each.empty) for each in (arm.profile for arm in found)}) == 45
    )
    assert len(arms_of([ONE_MESSAGE], ["all"])) == 15


def test_a_template_that_knows_no_turns() -> None:
    [arm] = arms_of([CHAT], ["turns-relations-told"])
    twin = without_turns(arm)
    assert (twin.name, name_of(twin.profile)) == ("text-relations-told", "text-relations-told")


@pytest.mark.parametrize(
    ("given", "base", "subject", "remedy"),
    [
        (["turns-array-told"], CHAT, "--arms turns-array-told", "Did you mean `turns-arrays-told`?"),
        (["turns-arrays-told"], BASE, "--arms turns-arrays-told", "need a chat template"),
        (["text-arrays-told", "plain-arrays-told"], CHAT, "--arms plain-arrays-told", "`plain` a base model"),
        (["turns-arrays-told"], ONE_MESSAGE, "--arms turns-arrays-told", "turns with `next`"),
    ],
)
def test_what_cannot_be_asked(given: list[str], base: ModelProfile, subject: str, remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        arms_of([base], given)
    assert caught.value.subject == subject
    assert remedy in caught.value.remedy


def test_names_are_checked_alone() -> None:
    check_names(["all", "plain-arrays-told"])
    with pytest.raises(UsageError, match="EXAMPLES-ANSWER-EMPTY"):
        check_names(["chat"])


@pytest.mark.parametrize("profile", [CHAT, BASE, TURNS, ONE_MESSAGE, replace(CHAT, match=("^a\\.b$",), empty="told")])
def test_what_is_written_is_read_again(tmp_path: Path, profile: ModelProfile) -> None:
    file = tmp_path / "mine.yaml"
    write_profile(file, profile, ["F1: 0.5", "", "Chosen: # 问法"], overwrite=False)
    assert load_profile(file) == profile
    text = file.read_text("utf-8")
    assert text.startswith("# F1: 0.5\n#\n# Chosen: # 问法\nname: ")
    assert all(f"\n{key}: " in text for key in ("examples", "answer", "empty"))


def test_a_profile_that_is_there_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    write_profile(file, CHAT, [], overwrite=False)
    with pytest.raises(OutputError, match="is there already"):
        write_profile(file, BASE, [], overwrite=False)
    write_profile(file, BASE, [], overwrite=True)
    assert load_profile(file) == BASE
    with pytest.raises(OutputError, match="No such file"):
        write_profile(tmp_path / "none" / "mine.yaml", BASE, [], overwrite=False)


def test_whether_an_alias_is_known() -> None:
    assert is_known("gemma-3-270m-q4_k_m@12ab")
    assert not is_known("somebody-7b")
    assert find_profile("auto", "gemma-3-270m").name == "gemma-3-270m"


def test_a_tuned_model_is_asked_in_its_own_way_only() -> None:
    with pytest.raises(UsageError, match="tuned to one way of asking"):
        arms_of([replace(BASE, instructions="line")])
