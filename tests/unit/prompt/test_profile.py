from __future__ import annotations

from pathlib import Path

import pytest

from triplelake.errors import InputError, PoolError, UsageError
from triplelake.prompt.profile import (
    MARKER,
    ModelProfile,
    find_profile,
    load_profile,
    profile_lines,
    split_template,
)

CONF = Path(__file__).parents[3] / "conf"


@pytest.fixture(autouse=True)
def shipped_conf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPLELAKE_CONF", str(CONF))


def test_every_shipped_profile_loads_under_its_own_name() -> None:
    files = sorted((CONF / "models").glob("*.yaml"))
    assert {file.stem for file in files} >= {"atom-7b-chat", "base", "chat", "gemma-3-270m"}
    for file in files:
        assert load_profile(file).name == file.stem == find_profile(file.stem, "whatever").name


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("atom-7b-chat@9f2c", "atom-7b-chat"),
        ("/srv/models/Atom-7B-Chat.Q8_0.gguf", "atom-7b-chat"),
        ("/opt/gemma-3-270m-q4_k_m.gguf", "gemma-3-270m"),
        ("gemma-3-270m@12ab", "gemma-3-270m"),
    ],
)
def test_auto_goes_by_the_servers_alias(alias: str, name: str) -> None:
    assert find_profile("auto", alias).name == name


@pytest.mark.parametrize("alias", ["gemma-3-270m-it", "qwen2.5-7b-instruct", "chat", "base", ""])
def test_auto_never_guesses(alias: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_profile("auto", alias)
    assert caught.value.subject == f"model {alias}"
    assert "profile: chat" in caught.value.remedy
    assert "atom-7b-chat" in caught.value.remedy


def test_auto_refuses_two_that_match(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    for name in ("one", "two"):
        text = f"name: {name}\ntemplate: plain\nmatch: [atom]\n"
        (tmp_path / "models" / f"{name}.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setenv("TRIPLELAKE_CONF", str(tmp_path))
    with pytest.raises(UsageError, match="several model profiles: one, two"):
        find_profile("auto", "Atom-13B")


def test_atom_is_asked_in_its_own_form() -> None:
    """The published form is `<s>Human: …\\n</s><s>Assistant:`; the server adds the first `<s>`."""
    atom = find_profile("atom-7b-chat", "")
    assert (atom.template, atom.prefix, atom.suffix) == ("text", "Human: ", "\n</s><s>Assistant:")
    assert atom.stop == ("</s>",)
    assert (atom.examples, atom.next) == ("turns", "\n</s><s>" + atom.prefix)


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\ntemplate: server\nstop: ['<end>']\n", encoding="utf-8")
    assert find_profile(str(file), "x") == ModelProfile("mine", "server", stop=("<end>",))


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(UsageError, match="no such model profile") as caught:
        find_profile("atom", "x")
    assert "atom-7b-chat.yaml" in caught.value.remedy


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name: x\ntemplate: chatml\n", "`template`"),
        ("name: x\n", "`template`: field required"),
        ("name: x\ntemplate: plain\nstops: []\n", "unknown key `stops`"),
        ("name: x\ntemplate: plain\nprefix: 'Human: '\n", "say nothing with `template: plain`"),
        ("name: x\ntemplate: text\n", "needs `prefix` or `suffix`"),
        ("name: x\ntemplate: plain\nmatch: ['(']\n", "no regular expression"),
        ("name: x\ntemplate: plain\nexamples: turns\n", "needs a chat template"),
        ("name: x\ntemplate: text\nprefix: 'Q'\nexamples: turns\n", "go together"),
        ("name: x\ntemplate: server\nnext: 'Q'\n", "go together"),
        ("name: x\ntemplate: server\nanswer: xml\n", "`answer`"),
    ],
)
def test_bad_profiles(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_profile(file)
    assert caught.value.subject == str(file)
    assert reason in caught.value.reason


def test_a_servers_template_is_split_around_the_message() -> None:
    assert split_template(f"<u>\n{MARKER}<end>\n<a>\n") == ("<u>\n", "<end>\n<a>\n")


@pytest.mark.parametrize("rendered", ["<u><a>", f"{MARKER} {MARKER}"])
def test_a_template_that_loses_or_repeats_the_message_is_refused(rendered: str) -> None:
    with pytest.raises(PoolError, match="chat template"):
        split_template(rendered)


def test_a_tuned_model_is_shown_no_example(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("name: own\ntemplate: server\ninstructions: line\n", encoding="utf-8")
    own = load_profile(file)
    assert own.is_tuned
    assert profile_lines(own) == ['name: "own"', 'template: "server"', 'instructions: "line"']
    for key in ("examples: turns", "empty: told"):
        file.write_text(f"name: own\ntemplate: server\ninstructions: relations\n{key}\n", encoding="utf-8")
        with pytest.raises(InputError, match="say nothing with `instructions: relations`"):
            load_profile(file)
