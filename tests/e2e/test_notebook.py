"""The example notebook, run by Jupyter's own client with the model of the demo."""

from __future__ import annotations

from typing import Any

import nbformat
import pytest
from harness.jobs import ROOT
from nbclient import NotebookClient

pytestmark = [pytest.mark.spark, pytest.mark.model, pytest.mark.infra]


def test_the_example_runs_from_its_first_cell_to_its_last() -> None:
    notebook = nbformat.read(ROOT / "examples" / "notebook.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    assert not any(cell.get("outputs") for cell in notebook.cells), "it is kept without outputs"
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    shown = [said(cell) for cell in notebook.cells if cell.cell_type == "code"]
    assert "3/3 answered" in shown[1] and "RunCounts(documents=3, rejected=0" in shown[1]
    assert "subject" in shown[2]
    assert shown[3] == "(3, 1)", "of four texts three were asked before"
    assert "'precision'" in shown[5]
    assert "run.limitt: unknown setting" in shown[7] and "Did you mean `run.limit`?" in shown[7]


def said(cell: Any) -> str:
    """What a cell has shown."""
    texts = (output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs)
    return "".join(texts)
