"""The guides in docs/: both languages say the same commands, and no link leads nowhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
GUIDES = sorted(path for path in (ROOT / "docs").glob("*.md") if path.with_suffix(".zh-CN.md").exists())


def blocks(path: Path) -> list[str]:
    return re.findall(r"```\w+\n(.*?)```", path.read_text("utf-8"), re.DOTALL)


def test_all_guides_are_here() -> None:
    assert [path.name for path in GUIDES] == [
        "command.md",
        "confidence.md",
        "error-codes.md",
        "first-hour.md",
        "models.md",
        "ontology.md",
        "own-model.md",
        "pool.md",
        "tables.md",
    ]


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_the_chinese_guide_has_the_same_commands_and_sections(guide: Path) -> None:
    twin = guide.with_suffix(".zh-CN.md")
    assert blocks(twin) == blocks(guide)
    texts = [path.read_text("utf-8") for path in (guide, twin)]
    heads, rows = ([len(re.findall(form, text, re.MULTILINE)) for text in texts] for form in (r"^#+ ", r"^\|"))
    assert heads[0] == heads[1] and rows[0] == rows[1]


@pytest.mark.parametrize(
    "page", [*GUIDES, *(guide.with_suffix(".zh-CN.md") for guide in GUIDES)], ids=lambda path: path.name
)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target
