"""Whoever looks for a format of the input finds it: in the guide, in the settings, and in what is read first."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from triplelake.config import FORMATS
from triplelake.corpus.readers import READERS, Reader

ROOT = Path(__file__).resolve().parents[3]
GUIDES = ("docs/input.md", "docs/input.zh-CN.md")
AT_A_GLANCE = ("README.md", "README.zh-CN.md", *(f"conf/init/{lang}/extract.yaml" for lang in ("en", "zh", "zh-Hant")))
"""Pages that name the main endings only, of `.html` and `.htm` the first."""

each_reader = pytest.mark.parametrize("reader", READERS.values(), ids=lambda reader: reader.format)


@each_reader
@pytest.mark.parametrize("page", GUIDES)
def test_the_table_of_the_guide_has_every_ending(page: str, reader: Reader) -> None:
    table = "\n".join(re.findall(r"^\|.*", (ROOT / page).read_text("utf-8"), re.MULTILINE))
    wanted = [f"`{ending}`" for ending in reader.endings] or [f"`--format {reader.format}`"]
    assert [each for each in wanted if each not in table] == [], f"{page}: its table of formats lacks these"


@each_reader
@pytest.mark.parametrize("page", AT_A_GLANCE)
def test_what_is_read_first_names_an_ending_of_each_format(page: str, reader: Reader) -> None:
    text = (ROOT / page).read_text("utf-8")
    found = [ending for ending in reader.endings if re.search(rf"{re.escape(ending)}\b", text)]
    assert found or not reader.endings, f"{page} names no ending of {reader.format}: {', '.join(reader.endings)}"


def test_the_comment_of_the_setting_names_every_format() -> None:
    comment, _, _ = (ROOT / "conf/extract.yaml").read_text("utf-8").partition("\n  format: auto\n")
    told = re.findall(r"\w+", comment.partition("\ncorpus:\n")[2])
    assert [form for form in FORMATS if form not in told] == [], "the comment on corpus.format lacks these"
