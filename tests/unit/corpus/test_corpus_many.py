"""A text file that plainly holds many documents is told, with what makes many of it."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from triplelake.corpus.files import CorpusFile
from triplelake.corpus.many import many_documents, notes_on

ZH = "陶行知创办了晓庄学校，蔡元培担任北京大学校长。"
EN = "The Meridian Star was built at Harrow Quay by a company of the town."
WRAPPED = (
    "The Meridian Star was built at Harrow Quay by a company of the\n"
    "town, and Captain Edda Lund commanded the ship until it was sold\n"
    "to the river company.\n"
)


def told(text: str | None, size: int = 1000) -> str | None:
    return many_documents(CorpusFile("/data/a.txt", size, 0.0, "a.txt"), text)


@pytest.mark.parametrize("sentence", [ZH, EN])
def test_a_document_per_line_is_told(sentence: str) -> None:
    assert told(f"{sentence}\n" * 2000) is not None
    assert told(f"{sentence}\n" * 150) == (
        "a.txt holds 150 lines, and is read as one document. If each line is one: --format lines"
    )


@pytest.mark.parametrize("text", [ZH * 2 + "\n" + ZH + "\n", WRAPPED, EN + "\n"], ids=["zh", "wrapped", "en"])
def test_texts_between_blank_lines_are_told(text: str) -> None:
    found = told(f"{text}\n" * 150)
    assert found is not None and "150 texts between blank lines" in found and "jq -cRs" in found


@pytest.mark.parametrize(
    "text", [f"{ZH}\n" * 40, WRAPPED * 40, f"{ZH}\n\n" * 40, f"{ZH}{EN}" * 2000, "", "\n" * 500, None]
)
def test_an_article_is_one_document(text: str | None) -> None:
    assert told(text) is None


def test_a_huge_file_is_told_before_it_is_read() -> None:
    assert told(None, 120 << 20) == "a.txt is one document of 120 MiB. If each of its lines is one: --format lines"


def test_the_first_file_is_told_and_how_many_more_there_are() -> None:
    files = [CorpusFile(f"/data/{name}", 1000, 0.0, name) for name in ("a.txt", "b.txt", "c.txt", "page.html")]
    texts = {file.path: f"{ZH}\n" * (200 if file.relative != "a.txt" else 2) for file in files}
    assert notes_on(files, {}) == ()
    first, others = notes_on(files, texts)
    assert first.startswith("b.txt holds 200 lines") and others.startswith("So does 1 more")


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_the_command_that_is_told_does_it(tmp_path: Path) -> None:
    text = f"{ZH}\n{EN}\n\n" * 150
    (tmp_path / "FILE").write_text(text, encoding="utf-8")
    command = (told(text) or "").partition("If each is one: ")[2].partition(" >")[0]
    done = subprocess.run(shlex.split(command), cwd=tmp_path, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 150
