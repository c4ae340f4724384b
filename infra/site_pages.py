"""The pages of `make site`: every file of the repository that links lead to from README.md, each in its own place.

Mkdocs calls the functions here (`hooks` in mkdocs.yml). A link leads to the same file in the repository and in the
site, and a build (`strict` in mkdocs.yml) fails at one that leads nowhere.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Navigation
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
_CHINESE = ".zh-CN"
_NAMES = {"en": "English", "zh": "简体中文"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The theme's files, and those of the repository instead of `docs_dir`, which mkdocs wants below mkdocs.yml."""
    theme = [file for file in files if file.src_dir != config.docs_dir]
    return Files([*theme, *(_file(path, config) for path in sorted(linked(ROOT / "README.md")))])


def on_page_context(context: dict[str, Any], page: Page, config: MkDocsConfig, nav: Navigation) -> dict[str, Any]:
    """The words around a page are in its language, and the menu of languages leads to its twin."""
    places = {each.file.src_uri: each.url for each in nav.pages}
    english = page.file.src_uri.replace(_CHINESE, "")
    twins = {"en": english, "zh": str(PurePosixPath(english).with_suffix(f"{_CHINESE}.md"))}
    config.theme["language"] = "en" if page.file.src_uri == english else "zh"
    config.extra["alternate"] = [
        {"name": _NAMES[language], "lang": language, "link": places[twin]}
        for language, twin in twins.items()
        if twin in places
    ]
    return context


def linked(start: Path) -> set[Path]:
    """The file, and every file that a link in a Markdown page among them leads to."""
    found, todo = {start}, [start]
    while todo:
        page = todo.pop()
        text = page.read_text("utf-8") if page.suffix == ".md" else ""
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
            file = (page.parent / target).resolve()
            if file.is_file() and file not in found:
                found.add(file)
                todo.append(file)
    return found


def _file(path: Path, config: MkDocsConfig) -> File:
    source = path.relative_to(ROOT).as_posix()
    file = File(source, str(ROOT), config.site_dir, config.use_directory_urls)
    if _CHINESE in source:
        english = File(source.replace(_CHINESE, ""), str(ROOT), config.site_dir, config.use_directory_urls)
        file.dest_uri = f"zh/{english.dest_uri}"
    return file
