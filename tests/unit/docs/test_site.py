"""`make site`: both languages, each page beside its twin, and a link that leads nowhere ends it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGES = {"index.html": "en", "zh/index.html": "zh", "docs/tables/index.html": "en", "zh/docs/tables/index.html": "zh"}

pytestmark = pytest.mark.slow


def build(root: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of a checkout into its `build/site`, as `make site` does."""
    command = [sys.executable, "-m", "mkdocs", "build"]
    # Without --quiet, under which mkdocs does not count its warnings.
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files that a site is made of, in a folder of their own."""
    for folder in ("docs", "conf", "examples", "infra"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in (ROOT / "mkdocs.yml", ROOT / "LICENSE", *ROOT.glob("*.md")):
        shutil.copy(file, tmp_path)
    return tmp_path


def test_both_languages_and_every_page(checkout: Path) -> None:
    done = build(checkout)
    assert done.returncode == 0, done.stderr
    site = checkout / "build" / "site"
    for guide in (checkout / "docs").glob("*.md"):
        name = guide.name.removesuffix(".md")
        place = f"zh/docs/{name.removesuffix('.zh-CN')}" if name.endswith(".zh-CN") else f"docs/{name}"
        assert (site / place / "index.html").is_file(), guide
    for page, language in PAGES.items():
        text = (site / page).read_text("utf-8")
        assert f'<html lang="{language}"' in text
        menu = dict(re.findall(r'<a href="([^"]*)" hreflang="(\w+)" class="md-select__link"', text))
        assert {target: (site / page).parent.joinpath(target, "index.html").is_file() for target in menu} == {
            target: True for target in menu
        }
        assert set(menu.values()) == {"en", "zh"}
        loaded = re.findall(r'(?:src|<link[^>]* href)="([^"]*)"', text)
        assert loaded and not [each for each in loaded if each.startswith(("http:", "https:", "//"))]
    for page, picture in (("index.html", "report.png"), ("zh/index.html", "report.zh-CN.png")):
        [source] = re.findall(r'<img [^>]*src="([^"]*report[^"]*)"', (site / page).read_text("utf-8"))
        assert (site / page).parent.joinpath(source).read_bytes() == (ROOT / "docs" / picture).read_bytes()
    assert (site / "conf" / "extract.yaml").read_bytes() == (ROOT / "conf" / "extract.yaml").read_bytes()


def test_chinese_is_searched_by_words(checkout: Path) -> None:
    assert build(checkout).returncode == 0
    index = json.loads((checkout / "build" / "site" / "search" / "search_index.json").read_text("utf-8"))
    [title] = {each["title"] for each in index["docs"] if each["location"] == "zh/docs/input/"}
    assert title.split("\u200b") == ["读入", "语料"]


@pytest.mark.parametrize("link", ["[a](none.md)", "[a](tables.md#none)", "[a](../conf/none.yaml)"])
def test_a_dead_link_ends_it(link: str, checkout: Path) -> None:
    with (checkout / "docs" / "export.md").open("a", encoding="utf-8") as page:
        page.write(f"\n{link}\n")
    done = build(checkout)
    assert done.returncode != 0 and "docs/export.md" in done.stderr and link[4:-1].split("/")[-1] in done.stderr
