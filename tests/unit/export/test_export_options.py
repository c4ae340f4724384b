"""Which form an export has, and what each form says of itself."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from triplelake.export.choice import FORMS, chosen_form
from triplelake.export.form import FormKind, FormOptions
from triplelake.export.iris import Names

DOCS = Path(__file__).resolve().parents[3] / "docs"

each_form = pytest.mark.parametrize("kind", FORMS.values(), ids=FORMS)


@pytest.mark.parametrize("kind", [kind for kind in FORMS.values() if kind.ending], ids=lambda kind: kind.name)
def test_the_ending_tells_the_form(kind: FormKind) -> None:
    assert chosen_form(None, f"a/kg{kind.ending}") is kind
    assert chosen_form(None, f"s3://a/kg{kind.ending}.gz") is kind
    assert chosen_form(kind.name, str(Path("kg.txt"))) is kind


@each_form
def test_a_form_makes_the_files_that_it_says(kind: FormKind) -> None:
    files = kind.make(FormOptions(Names("urn:triplelake:"))).files(pa.schema([("fact_id", pa.string())]))
    assert sorted(file.name for file in files) == (sorted(kind.folder) or [""])


@each_form
def test_a_form_makes_a_file_that_its_ending_tells_or_a_folder_for_a_tool(kind: FormKind) -> None:
    assert bool(kind.ending) != bool(kind.folder) == bool(kind.tool)


@pytest.mark.parametrize("page", ["export.md", "export.zh-CN.md"])
@each_form
def test_the_guide_has_every_form(kind: FormKind, page: str) -> None:
    assert f"\n| `{kind.ending or f'--format {kind.name}'}` |" in (DOCS / page).read_text("utf-8")
