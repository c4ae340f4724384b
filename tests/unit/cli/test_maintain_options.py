"""What is wrong with a command line of `triplelake maintain` is told before Spark is started."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from triplelake.cli.maintain import maintain_command


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """A command takes SIGTERM for itself."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("words", "reason", "remedy"),
    [
        ([], "--output: is missing", "Name the path"),
        (
            ["--output", "kg", "--retain-days", "6"],
            "--retain-days 6: is less than the 7 days",
            "--allow-short-retention",
        ),
        (["--output", "kg", "--set", "maintain.retain_days=-1"], "maintain.retain_days: ", "docs/options.md"),
        (["--output", "kg", "--retain-day", "9"], "--retain-day: unknown option", "Did you mean --retain-days?"),
    ],
)
def test_bad_usage(words: list[str], reason: str, remedy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert maintain_command(words) == 2
    told = capsys.readouterr().err
    assert f"error: {reason}" in told
    assert remedy in told
