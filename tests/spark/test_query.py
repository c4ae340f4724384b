"""Queries as `triplelake sql` runs them."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from triplelake.commands.sql import show_query
from triplelake.errors import UsageError
from triplelake.tables.store import Store

pytestmark = pytest.mark.spark


def test_a_wrong_column_is_told_once_with_what_there_is(store: Store, capfd: pytest.CaptureFixture[str]) -> None:
    said = io.StringIO()
    show_query(store.output, "SELECT count(*) AS n FROM facts", Console(file=said), rows=1)
    assert "│ 0 │" in said.getvalue()
    with pytest.raises(UsageError, match=r"Did you mean one of the following\? \[`subject`") as caught:
        show_query(store.output, "SELECT subj FROM facts", Console(file=said), rows=1)
    assert "There are: documents, chunks" in caught.value.remedy
    assert "UNRESOLVED_COLUMN" not in "".join(capfd.readouterr())
