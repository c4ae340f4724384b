"""Options of `triplelake extract` that contradict one another are refused before anything is read."""

from __future__ import annotations

import pytest

from triplelake.cli.extract import extract_command


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--republish", "--dry-run"], "--republish: writes, and --dry-run says that nothing is to be written"),
        (["--probe", "5"], "--probe 5: goes with --dry-run"),
    ],
)
def test_options_that_contradict(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert extract_command([*words, "--input", "corpus.jsonl", "--output", "kg"]) == 2
    shown = capsys.readouterr()
    assert told in " ".join((shown.out + shown.err).split())
