"""README and the guides in docs/: both languages say the same, their commands are ones, and no link leads nowhere."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from triplelake.cli.main import command_parsers
from triplelake.errors import UsageError
from triplelake.tables.schemas import SCHEMA_VERSION

ROOT = Path(__file__).resolve().parents[3]
GUIDES = sorted(path for path in (ROOT / "docs").glob("*.md") if path.with_suffix(".zh-CN.md").exists())
PAIRED = [ROOT / "README.md", ROOT / "infra" / "README.md", *GUIDES]
"""Pages with a twin in Chinese."""
PAGES = [*PAIRED, *(page.with_suffix(".zh-CN.md") for page in PAIRED)]
LINKING = [
    *PAGES,
    *(ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs/errors.md", "docs/measured.md")),
]
PARSERS = command_parsers()
TYPED = re.compile(r"(?:^|[ /])(?:triplelake ([a-z][a-z-]*)|(?:spark-submit|--) jobs/(\w+)\.py)(?: (.*))?$")
"""A command of ours in a line of a block, and its words."""


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def fences(page: Path) -> list[tuple[str, str]]:
    """Language and text of each block; a text may be indented, as in a list."""
    return re.findall(r"^ *```(\w*)\n(.*?)^ *```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def without_comments(block: str) -> list[str]:
    """The lines of a block without what only people read; that is in their language."""
    return [line for each in block.splitlines() if (line := re.sub(r"(?:^|\s+)(?:#|--) .*$", "", each).rstrip())]


def commands(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Each command of ours that the page has somebody type: its name and its words."""
    for _, block in fences(page):
        for line in block.replace("\\\n", " ").splitlines():
            if found := TYPED.search(line.strip()):
                yield found[1] or found[2].replace("_", "-"), shlex.split(found[3] or "", comments=True)


def anchors(page: Path) -> set[str]:
    """What `#…` may be behind a link to the page: its headings, as GitHub names them."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    heads = [re.sub(r"[^\w\- ]", "", head.lower()) for head in re.findall(r"^#+ (.+)$", text, re.MULTILINE)]
    return {head.strip().replace(" ", "-") for head in heads}


def test_all_guides_are_here() -> None:
    assert [path.name for path in GUIDES] == [
        "architecture.md",
        "command.md",
        "confidence.md",
        "error-codes.md",
        "evaluating.md",
        "export.md",
        "first-hour.md",
        "input.md",
        "models.md",
        "ontology.md",
        "own-model.md",
        "pool.md",
        "python.md",
        "running.md",
        "scaling.md",
        "tables.md",
    ]


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_readme_is_short_and_leads_to_every_guide(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert len(text.splitlines()) <= 160
    of_its_language = [path.with_suffix(".zh-CN.md") if "zh-CN" in name else path for path in GUIDES]
    missing = [path.name for path in of_its_language if f"](docs/{path.name})" not in text]
    assert missing == []


@pytest.mark.parametrize(("name", "picture"), [("README.md", "report.png"), ("README.zh-CN.md", "report.zh-CN.png")])
def test_readme_begins_with_a_picture_that_loads_quickly(name: str, picture: str) -> None:
    head = (ROOT / name).read_text("utf-8").partition("\n## ")[0]
    assert re.search(rf"^!\[[^\]]+\]\(docs/{re.escape(picture)}\)$", head, re.MULTILINE)
    # `make pictures` draws it anew, and what it shows may have grown by then.
    assert (ROOT / "docs" / picture).stat().st_size < 250_000


@pytest.mark.parametrize("guide", PAIRED, ids=named)
def test_the_chinese_page_has_the_same_commands_and_sections(guide: Path) -> None:
    twin = guide.with_suffix(".zh-CN.md")
    ours, theirs = fences(guide), fences(twin)
    if guide.parent == ROOT / "docs":
        # A block of docs/ that names its language is the same to the byte. Elsewhere comments are translated.
        assert [block for language, block in ours if language] == [block for language, block in theirs if language]
    assert [without_comments(block) for _, block in ours] == [without_comments(block) for _, block in theirs]
    texts = [path.read_text("utf-8") for path in (guide, twin)]
    heads, rows = ([len(re.findall(form, text, re.MULTILINE)) for text in texts] for form in (r"^#+ ", r"^\|"))
    assert heads[0] == heads[1] and rows[0] == rows[1]


@pytest.mark.parametrize("page", LINKING, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", page.read_text("utf-8")):
        if target.startswith("https://"):
            continue
        file = page.parent / target if target else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_are_ones(page: Path) -> None:
    for name, words in commands(page):
        assert name in PARSERS, name
        try:
            PARSERS[name].parse(words)
        except UsageError as error:
            pytest.fail(f"{name} {shlex.join(words)}: {error}")


def test_the_changelog_is_in_its_form_and_knows_every_schema_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= {
        *("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"),
    }
    told = re.findall(r"^\| (\d+) \|", text.partition("## Schema versions")[2], re.MULTILINE)
    assert told == [str(version) for version in range(SCHEMA_VERSION, 0, -1)]


def test_readme_shows_the_main_commands() -> None:
    shown = {name for name, _ in commands(ROOT / "README.md")}
    assert shown == {"demo", "evaluate", "export", "extract", "report", "sql"}


def test_readme_shows_how_to_set_up_run_and_test() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for page in PAGES:
        blocks = "\n".join(block for _, block in fences(page))
        assert set(re.findall(r"^make ([\w-]+)", blocks, re.MULTILINE)) <= targets
    shown = "\n".join(block for _, block in fences(ROOT / "README.md"))
    assert re.findall(r"^make ([\w-]+)", shown, re.MULTILINE)[:3] == ["setup", "demo", "test"]
