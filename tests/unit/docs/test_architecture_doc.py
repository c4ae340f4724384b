"""The pictures of docs/architecture.md show what the code has, and say so where they cannot."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from triplelake.codes import CODES
from triplelake.tables.schemas import TABLES
from triplelake.tables.views import VIEWS

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def pictured(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "infra"))
    monkeypatch.delitem(sys.modules, "architecture_doc", raising=False)
    import architecture_doc

    return architecture_doc


def test_both_pages_show_every_picture(pictured: ModuleType) -> None:
    for name in pictured.PAGES:
        text = (ROOT / "docs" / name).read_text("utf-8")
        marks = re.findall(r"^<!-- (\w+) -->$", text, re.MULTILINE)
        assert sorted(marks) == sorted(pictured.pictures(lambda words: words.en))
        assert re.findall(r"^<!-- /(\w+) -->$", text, re.MULTILINE) == marks


def test_what_stands_between_the_marks_is_made_anew(pictured: ModuleType) -> None:
    page = "Before.\n<!-- settings -->\nstale\n<!-- /settings -->\nBehind.\n"
    text = pictured.fill(page, "en")
    assert text.startswith("Before.\n<!-- settings -->\n| setting | default |\n") and text.endswith("Behind.\n")
    assert "stale" not in text and "| `run.bucket_size` | 500 |" in text
    assert pictured.fill(text, "en") == text


def test_a_mark_that_nobody_makes_is_an_error(pictured: ModuleType) -> None:
    with pytest.raises(KeyError, match="nothing"):
        pictured.fill("<!-- nothing -->\n<!-- /nothing -->", "en")


def test_tables_views_and_codes_are_all_there(pictured: ModuleType) -> None:
    made = pictured.pictures(lambda words: words.zh)
    for table in TABLES:
        assert all(re.search(rf"^    \w+ {name}( [PF]K)?$", made["tables"], re.MULTILINE) for name in table.names)
    assert set(re.findall(r"--> (\w+)", made["views"])) == set(VIEWS)
    assert {code.value for code in CODES} <= set(re.findall(r"`(\w+)`", made["codes"]))


def test_a_state_without_words_stops_the_making(pictured: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    short = {**pictured._STATES, "attempts.status": {"ok": pictured._STATES["attempts.status"]["ok"]}}
    monkeypatch.setattr(pictured, "_STATES", short)
    with pytest.raises(AssertionError, match="a value without words"):
        pictured.pictures(lambda words: words.en)


def test_rooms_are_drawn_from_their_imports(
    pictured: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, text in {
        "__init__.py": "from triplelake.top.a import x",
        "errors.py": "",
        "low/a.py": "from triplelake.errors import y",
        "mid/a.py": "from triplelake.low.a import z\nfrom triplelake import errors",
        "top/a.py": "def f():\n    from triplelake.mid import a\n    from triplelake.low import a\n    import os",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    monkeypatch.setattr(pictured, "LIBRARY", tmp_path)
    assert list(pictured._rooms()) == ['beside["errors"]', "low --> beside", "mid --> low", "top --> mid"]
    (tmp_path / "errors.py").write_text("from triplelake.top import a", "utf-8")
    with pytest.raises(AssertionError, match="circle"):
        list(pictured._rooms())
