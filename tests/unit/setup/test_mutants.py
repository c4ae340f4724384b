"""How faults are put into a room: what mutmut is told, and what of its list is counted."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from subprocess import CompletedProcess

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "infra"))

import mutants

LISTED = """\
    triplelake.pool.limits.x_a__mutmut_1: killed
    triplelake.pool.limits.x_a__mutmut_2: survived
    triplelake.pool.limits.x_a__mutmut_3: timeout
    triplelake.pool.limits.x_b__mutmut_1: no tests
    triplelake.pool.limits.x_b__mutmut_2: not checked
"""


@pytest.mark.parametrize(
    ("file", "pattern"),
    [("triples", "src/triplelake/triples/*"), ("triples/ground.py", "src/triplelake/triples/ground.py")],
)
def test_a_room_or_a_file_of_it_is_told_to_mutmut(tmp_path: Path, file: str, pattern: str) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\ntestpaths = ["tests"]\n')
    mutants.configure(tmp_path, [Path(file)], ["tests/unit/triples"])
    settings = tomllib.loads((tmp_path / "pyproject.toml").read_text())["tool"]
    assert settings["mutmut"]["only_mutate"] == [pattern]
    assert settings["mutmut"]["pytest_add_cli_args_test_selection"] == ["tests/unit/triples"]
    assert settings["pytest"]["ini_options"]["testpaths"] == ["tests"]


def test_the_copy_has_the_code_where_mutmut_takes_it(tmp_path: Path) -> None:
    mutants.copy(tmp_path / "copy")
    assert (tmp_path / "copy" / "src" / "triplelake" / "triples" / "ground.py").is_file()
    assert (tmp_path / "copy" / "conf").is_dir() and not (tmp_path / "copy" / "lib").exists()


def told(monkeypatch: pytest.MonkeyPatch, listed: str) -> int:
    def mutmut(folder: Path, *command: str, capture: bool = False) -> CompletedProcess[str]:
        return CompletedProcess(command, 0, listed if command[0] == "results" else f"diff of {command[1]}")

    monkeypatch.setattr(mutants, "mutmut", mutmut)
    return mutants.tell(Path())


def test_what_was_let_pass_is_shown_and_the_share_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(monkeypatch, LISTED) == 0
    *shown, counted = capsys.readouterr().out.splitlines()
    assert [line for line in shown if line] == [
        "diff of triplelake.pool.limits.x_a__mutmut_2",
        "diff of triplelake.pool.limits.x_b__mutmut_1",
    ]
    # What was not tried is no part of the share.
    assert counted.startswith("2 of 4 faults noticed (50%): ") and "1 not checked" in counted


def test_where_nothing_was_tried_that_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, "") == 1


def test_a_room_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        mutants.main(["no_room"])
    assert "lib/triplelake/no_room is not there" in capsys.readouterr().err
