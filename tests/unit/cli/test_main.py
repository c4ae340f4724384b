"""The command `triplelake`: which commands there are, how each is found and told, what completes them."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import triplelake
from triplelake.cli import sql
from triplelake.cli.main import COMMANDS, command_parsers, load
from triplelake.cli.parsing import Parser
from triplelake.start import start

JOBS = Path(__file__).resolve().parents[3] / "jobs"
PARSERS = command_parsers()
each_command = pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS)


def examples(parser: Parser) -> list[str]:
    shown = parser.format_help().partition("\nexamples:\n")[2].partition("\nexit codes:\n")[0]
    return re.findall(r"^  (triplelake .*)$", shown, re.MULTILINE)


def test_every_job_is_a_command_and_every_command_a_job() -> None:
    assert {file.stem.replace("_", "-") for file in JOBS.glob("*.py")} == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_job_starts_its_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []

    def record(*words: str) -> int:
        started.extend(words)
        return 5

    monkeypatch.setattr("triplelake.start.start", record)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(JOBS / f"{name.replace('-', '_')}.py"), run_name="__main__")
    assert (started, ended.value.code) == ([name], 5)


def test_the_first_word_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[list[str]] = []

    def record(words: Sequence[str]) -> int:
        told.append([*words])
        return 6

    monkeypatch.setattr(sql, "sql_command", record)
    monkeypatch.setenv("SPARK_HOME", "of the test")
    monkeypatch.setattr(sys, "argv", ["triplelake", "sql", "--output", "kg"])
    assert start() == 6
    monkeypatch.setattr(sys, "argv", ["sql.py", "--output", "kg"])
    assert start("sql") == 6
    assert told == [["--output", "kg"]] * 2


def test_no_other_commands_modules_are_loaded() -> None:
    program = "import sys; from triplelake.cli.main import load; load(['sql']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "triplelake.cli.sql" in loaded
    assert not {"pyspark", "triplelake.evaluate", "triplelake.cli.extract"} & loaded


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert load(["--version"])() == 0
    assert capsys.readouterr().out == f"triplelake {triplelake.__version__}\n"


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        load(["--help"])()
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for name, summary in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(summary)}$", shown, re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "error: triplelake: is told no command"),
        (["extrakt", "--limit", "3"], "error: extrakt: no such command\nDid you mean extract?"),
        (["tune_prompt"], "Did you mean tune-prompt?"),
        (["--verison"], "error: --verison: unknown option\nDid you mean --version?"),
        (["--print-completion", "csh"], "invalid choice: 'csh'"),
        (["https://me:secret@gpu-1"], "error: https://***@gpu-1: no such command"),
    ],
)
def test_what_is_no_command_is_told_and_ends_with_2(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert load(words)() == 2
    assert told in capsys.readouterr().err


@each_command
def test_options_are_grouped_in_words(parser: Parser) -> None:
    loose, *groups = (group for group in parser._action_groups if group._group_actions)
    assert [action.option_strings for action in loose._group_actions] == [["-h", "--help"]]
    assert groups
    for group in groups:
        assert group.title and f"\n{group.title}:\n" in parser.format_help()


@each_command
def test_help_shows_three_examples_that_are_right(parser: Parser) -> None:
    lines = examples(parser)
    assert len(lines) == 3
    for line in lines:
        words = shlex.split(line)
        assert " ".join(words[:2]) == parser.prog
        parser.parse(words[2:])


@each_command
def test_usage_names_what_cannot_be_left_out(parser: Parser) -> None:
    required = [action.option_strings[0] for action in parser._actions if action.required]
    assert re.findall(r"--[\w-]+", parser.format_usage()) == required


@pytest.mark.parametrize("name", ["command.md", "command.zh-CN.md"])
def test_the_guide_has_every_command_and_its_lines_are_right(name: str) -> None:
    text = (JOBS.parent / "docs" / name).read_text(encoding="utf-8")
    assert set(COMMANDS) <= set(re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE))
    [block] = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    for line in block.splitlines():
        _, command, *words = shlex.split(line)
        PARSERS[command].parse(words)


def completed(script: str, *words: str) -> list[str]:
    """What bash offers for the last of the words."""
    line = f"COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}"
    told = "\n".join((script, line, "_shtab_triplelake", "printf '%s\\n' \"${COMPREPLY[@]}\""))
    done = subprocess.run(["bash", "--norc", "-c", told], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_bash_completes_commands_options_choices_and_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert load(["--print-completion", "bash"])() == 0
    script = capsys.readouterr().out
    (tmp_path / "news.jsonl").touch()
    monkeypatch.chdir(tmp_path)
    assert completed(script, "triplelake", "ex") == ["extract", "export"]
    assert completed(script, "triplelake", "maintain", "--re") == ["--retain-days"]
    assert completed(script, "triplelake", "report", "--lang", "z") == ["zh"]
    assert completed(script, "triplelake", "extract", "--input", "ne") == ["news.jsonl"]


@pytest.mark.parametrize("shell", ["zsh", "fish", "tcsh"])
def test_other_shells_have_a_script_that_knows_the_options(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert load(["--print-completion", shell])() == 0
    assert "retain-days" in capsys.readouterr().out


def test_completion_names_the_extra_that_it_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert load(["--print-completion", "bash"])() == 7
    assert "pip install 'triplelake[completion]'" in capsys.readouterr().err
