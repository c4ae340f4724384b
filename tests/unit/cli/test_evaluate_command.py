"""The command line of `triplelake evaluate`, as far as it needs no Spark."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from triplelake.cli.evaluate import evaluate_command
from triplelake.evaluate.review import COLUMNS, ENCODING


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """A command takes SIGTERM for itself."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two reviewed sheets, a gold file and a file that is neither, in the folder where the command runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    for name, right in (("first", 2), ("second", 6)):
        rows = [f"t{rank},甲,born_in,乙,甲生于乙。,{'对' if rank < right else '错'}" for rank in range(8)]
        (tmp_path / f"{name}.csv").write_text("\n".join([",".join(COLUMNS), *rows]), encoding=ENCODING)
    (tmp_path / "gold.jsonl").write_text('{"id": "1", "triples": [["甲", "作者", "乙"]]}\n', encoding="utf-8")
    (tmp_path / "corpus.jsonl").write_text('{"id": "1", "text": "甲"}\n', encoding="utf-8")
    return tmp_path


def test_a_review_and_what_changed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate_command(["--review", "first.csv", "--json", "first.json"]) == 0
    assert "8 triples judged, 2 right" in capsys.readouterr().out
    assert evaluate_command(["--review", "second.csv", "--compare", "first.json", "--json", "second.json"]) == 0
    assert "Since first.json: 8 in both" in capsys.readouterr().out
    written = json.loads((folder / "second.json").read_text(encoding="utf-8"))
    assert written["groups"]["all"]["right"] == 6
    assert written["comparison"]["figures"]["precision"]["before"] == 0.25


def test_the_relations_of_gold_are_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate_command(["--gold", "gold.jsonl", "--write-ontology", "relations.csv"]) == 0
    assert "relations.csv: 1 relations" in capsys.readouterr().out
    assert "作者" in (folder / "relations.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        ([], 2, "--gold, --review: one of them is needed"),
        (["--gold", "gold.jsonl", "--review", "first.csv"], 2, "and not both"),
        (["--gold", "gold.jsonl"], 2, "--output: is missing"),
        (["--gold", "gold.jsonl", "--gold-format", "xml"], 2, "invalid choice"),
        (["--gold", "corpus.jsonl", "--output", "kg"], 3, "is no gold file"),
        (["--gold", "none.jsonl", "--output", "kg"], 3, "No such file"),
        (["--gold", "gold.jsonl", "--output", "kg", "--compare", "gold.jsonl"], 3, "is no report of this version"),
        (["--review", "gold.jsonl"], 3, "lacks the columns"),
        (["--review", "first.csv", "--card", "card.json"], 2, "--card, --seen: go with --gold only"),
        (["--review", "first.csv", "--seen", "allow"], 2, "--card, --seen: go with --gold only"),
        (["--gold", "gold.jsonl", "--seen", "yes"], 2, "invalid choice"),
        (["--review", "first.csv", "--write-ontology", "o.csv"], 2, "goes with --gold only"),
        (["--review", "first.csv", "--json", "no folder/report.json"], 6, "No such file"),
        (["--reviews", "first.csv", "--gold", "gold.jsonl"], 2, "--reviews: unknown option"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_bad_usage(words: list[str], code: int, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate_command(words) == code
    assert reason in capsys.readouterr().err


def test_a_tilde_that_the_shell_left_is_the_home(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder))
    assert evaluate_command(["--gold=~/gold.jsonl", "--write-ontology=~/relations.csv"]) == 0
    assert "作者" in (folder / "relations.csv").read_text(encoding="utf-8-sig")
    assert evaluate_command(["--review=~/first.csv", "--json=~/first.json"]) == 0
    assert evaluate_command(["--review=~/second.csv", "--compare=~/first.json"]) == 0
    assert "8 in both" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--gold", "--review", "--card", "--json", "--compare", "--write-ontology"])
def test_a_file_in_a_store_is_refused_without_its_key(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate_command([f"{option}=s3a://b/g.jsonl"]) == 2
    assert "s3a://b/g.jsonl: lies in a store" in capsys.readouterr().err
    assert evaluate_command([f"{option}=s3a://K:geheim@b/g.jsonl"]) == 2
    said = capsys.readouterr()
    assert "carries a user, a password or a key" in said.err and "geheim" not in said.err + said.out
