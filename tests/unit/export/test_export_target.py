"""An export appears whole or not at all, and replaces nothing unasked."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from triplelake.errors import OutputError
from triplelake.export.target import Target

NAMES = frozenset({"nodes.csv", "relationships.csv"})


def broken() -> Iterator[str]:
    yield "half"
    raise KeyboardInterrupt


def test_a_file_is_there_when_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "new" / "知识.csv"
    with Target(str(file)).writing() as writer:
        writer.write("", iter(["知", "识"]))
        assert not file.exists()
        assert writer.bytes == 6
    assert file.read_text(encoding="utf-8") == "知识"
    assert [each.name for each in file.parent.iterdir()] == [file.name]


def test_what_ends_early_leaves_nothing_and_keeps_the_earlier(tmp_path: Path) -> None:
    file = tmp_path / "kg.jsonl"
    file.write_text("earlier")
    with pytest.raises(KeyboardInterrupt), Target(str(file), overwrite=True).writing() as writer:
        writer.write("", broken())
    with pytest.raises(KeyboardInterrupt), Target(str(tmp_path / "kg"), NAMES).writing() as writer:
        writer.write("nodes.csv", broken())
    assert [each.name for each in tmp_path.iterdir()] == ["kg.jsonl"]
    assert file.read_text() == "earlier"


def test_an_earlier_export_is_replaced_if_asked(tmp_path: Path) -> None:
    file, folder = tmp_path / "kg.nq", tmp_path / "kg"
    for text in ("one", "two"):
        with Target(str(file), overwrite=True).writing() as writer:
            writer.write("", iter([text]))
        with Target(str(folder), NAMES, overwrite=True).writing() as writer:
            for name in NAMES:
                writer.write(name, iter([text]))
    assert file.read_text() == "two"
    assert {each.name: each.read_text() for each in folder.iterdir()} == dict.fromkeys(NAMES, "two")
    assert len(list(tmp_path.iterdir())) == 2


def test_what_is_there_is_kept(tmp_path: Path) -> None:
    file, folder = tmp_path / "kg.csv", tmp_path / "own"
    file.write_text("mine")
    folder.mkdir()
    (folder / "own.txt").write_text("mine")
    for target, reason in (
        (Target(str(file)), "exists already"),
        (Target(str(file), NAMES, overwrite=True), "is a file already"),
        (Target(str(folder), overwrite=True), "is a folder already"),
        (Target(str(folder), NAMES, overwrite=True), r"holds other files .own\.txt"),
    ):
        with pytest.raises(OutputError, match=reason):
            target.check()
        with pytest.raises(OutputError, match=reason), target.writing():
            pass
    assert (file.read_text(), (folder / "own.txt").read_text()) == ("mine", "mine")


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OutputError, match="cannot be written") as caught,
        Target(str(tmp_path / "file/kg.csv")).writing(),
    ):
        pass
    assert caught.value.exit_code == 6


def test_a_file_ending_in_gz_is_compressed(tmp_path: Path) -> None:
    file = tmp_path / "kg.jsonl.gz"
    with Target(str(file)).writing() as writer:
        writer.write("", iter(["林", "若"]))
    assert gzip.decompress(file.read_bytes()).decode() == "林若"
