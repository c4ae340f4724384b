"""What is wrong with a command line of `triplelake export` is told before Spark is started."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from triplelake.cli.export import export_command


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """A command takes SIGTERM for itself."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("words", "code", "reason", "remedy"),
    [
        (["--to", "kg.csv"], 2, "--output", "--help"),
        (["--output", "kg", "--to", "kg.xlsx"], 2, "has no ending that tells the form", ".graphml"),
        (["--output", "kg", "--to", "s3://a/kg", "--format", "neo4j"], 2, "cannot be a folder", "this machine"),
        (["--output", "kg", "--to", "kg", "--format", "messages"], 2, "is a form of training data", "graphml"),
        (["--output", "kg", "--to", "kg.nq", "--base-iri", "kg"], 2, "--base-iri kg: ", "urn:triplelake:"),
        (["--output", "kg", "--to", "kg.nq", "--ontology", "no.yaml"], 2, "no such ontology", "ontologies"),
        (["--output", "kg", "--to", __file__, "--format", "csv"], 6, "exists already", "--overwrite"),
        (["--output", "kg", "--to", "kg.csv", "--over"], 2, "--over: unknown option", "Did you mean --overwrite?"),
    ],
)
def test_bad_usage(
    words: list[str],
    code: int,
    reason: str,
    remedy: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    assert export_command(words) == code
    told = capsys.readouterr().err
    assert reason in told
    assert remedy in told
