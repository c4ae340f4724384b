"""Nothing that documents, models or paths hold can steer the terminal."""

from __future__ import annotations

import ast
import io
import logging
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

import triplelake
from triplelake.cli import guard
from triplelake.console import say, terminal, visible
from triplelake.errors import InputError, TriplelakeError

ESCAPE, CSI, OVERRIDE = "\x1b]0;owned\x07\x1b[2J", "\x9b2J", "\u202e"
HOSTILE = f"张三{ESCAPE}{CSI}{OVERRIDE}"
LIB = Path(triplelake.__file__).parent


def harmless(printed: str) -> bool:
    steering = [char for char in printed if unicodedata.category(char) == "Cc" and char not in "\n\t"]
    return not steering and OVERRIDE not in printed and "张三" in printed


@pytest.mark.parametrize("markup", [True, False])
def test_no_way_to_print_lets_a_control_character_through(markup: bool) -> None:
    console = terminal(file=io.StringIO(), width=200)
    say(console, HOSTILE)
    console.print(HOSTILE, markup=markup)
    console.print(Text(HOSTILE, style="bold red"), soft_wrap=True)
    grid = Table(HOSTILE)
    grid.add_row(HOSTILE)
    console.print(grid, markup=markup)
    assert isinstance(console.file, io.StringIO)
    assert harmless(console.file.getvalue())


def test_colons_stay_what_they_are() -> None:
    console = terminal(file=io.StringIO(), width=200)
    say(console, "Written:  out/:cat:/facts.csv")
    grid = Table.grid()
    grid.add_row("a:heart:b")
    console.print(grid)
    assert isinstance(console.file, io.StringIO)
    assert [line.strip() for line in console.file.getvalue().splitlines()] == [
        "Written:  out/:cat:/facts.csv",
        "a:heart:b",
    ]


def test_an_error_names_its_subject_without_its_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    def command(console: object) -> None:
        raise InputError(HOSTILE, f"holds {HOSTILE}", f"Rename {HOSTILE}.")

    assert guard.guarded(command) == InputError.exit_code
    printed = capsys.readouterr().err
    assert harmless(printed) and printed.count("␛]0;owned␇␛[2J") == 3


def test_a_warning_is_made_visible_too(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])

    def command(console: object) -> None:
        logging.getLogger("triplelake.test").warning("a server said %s", HOSTILE)
        raise TriplelakeError("x", "y")

    guard.guarded(command)
    assert harmless(capsys.readouterr().err)


@given(st.text())
def test_what_is_shown_keeps_its_width_in_characters_and_every_other_one(text: str) -> None:
    text = text.replace("\r", "")
    shown = visible(text)
    assert len(shown) == len(text)
    assert visible(shown) == shown
    assert shown.encode().decode() == shown
    changed = {unicodedata.category(before) for before, after in zip(text, shown, strict=True) if before != after}
    assert changed <= {"Cc", "Cf", "Cs", "Zl", "Zp"}


def test_a_line_end_of_windows_is_a_line_end() -> None:
    assert visible("a\r\nb\rc") == "a\nb␍c"


def test_consoles_are_made_in_one_place_and_nothing_prints_past_them() -> None:
    """What a command prints goes through `console.py`.

    The answer of the embedded server's process is no terminal, and of a command that is stopped while it is loaded
    there is one fixed line.
    """
    calls = [
        (file.relative_to(LIB).as_posix(), node.func.id)
        for file in LIB.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("print", "Console")
    ]
    assert sorted(calls) == [("pool/embedded_main.py", "print"), ("start.py", "print")]


def test_in_a_notebook_what_is_meant_for_a_file_goes_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert terminal().is_jupyter
    file = io.StringIO()
    say(terminal(file=file), "3 documents")
    assert file.getvalue() == "3 documents\n"
