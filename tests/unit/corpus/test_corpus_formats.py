"""What a format is stands in its `Reader` alone: a new one is found, looked at, cut and described by that value."""

from __future__ import annotations

import random
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

from triplelake.config import FORMATS, SPARK_READS, CorpusFormat, load_settings
from triplelake.corpus.columns import Columns
from triplelake.corpus.inputs import FoundInput, find_input
from triplelake.corpus.readers import READERS, Reader, read_split
from triplelake.corpus.readers.raw import RawRecord, Unreadable
from triplelake.corpus.splits import Split
from triplelake.errors import InputError
from triplelake.types import Record, Rejected

SENTENCES = {"one.txt": "林若兰生于临川城。", "two.txt": "Nora lives in Leeds."}


def find(path: Path, **chosen: Any) -> FoundInput:
    return find_input(load_settings(None, {"input": (str(path),), **chosen}, {}))


def test_the_formats_that_settings_know_are_those_with_a_reader_and_those_of_spark() -> None:
    assert sorted(FORMATS) == sorted(["auto", *READERS, *SPARK_READS])
    assert all(reader.format == name for name, reader in READERS.items())


def test_an_ending_is_of_one_format() -> None:
    endings = Counter(ending for reader in READERS.values() for ending in reader.endings)
    assert max(endings.values()) == 1
    assert all(ending.startswith(".") and ending == ending.lower() for ending in endings)


def test_a_file_that_is_one_document_is_not_cut_and_has_an_id() -> None:
    whole = [reader for reader in READERS.values() if reader.whole_file]
    assert whole
    assert not any(reader.splittable or reader.named_by_content for reader in whole)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a.txt", "text (each one document; --format lines makes one of each line)"),
        ("a.csv", "csv"),
        ("wiki_00", "wikidoc (each <doc …> one document)"),
    ],
)
def test_an_input_is_described_with_what_its_format_does_not_say(tmp_path: Path, name: str, told: str) -> None:
    content = {"a.csv": "text\nNora lives in Leeds.\n", "wiki_00": '<doc id="1" title="a">\nb\n</doc>\n'}
    (tmp_path / name).write_text(content.get(name, SENTENCES["one.txt"]), encoding="utf-8")
    assert find(tmp_path).description() == f"1 file, {told}"
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / name).write_bytes((tmp_path / name).read_bytes())
    assert find(tmp_path).description() == f"2 files, {told}"


def test_only_of_a_file_that_is_one_document_is_it_doubted(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(f"{SENTENCES['one.txt']}\n" * 150, encoding="utf-8")
    (note,) = find(tmp_path).notes()
    assert note.startswith("a.txt holds 150 lines")
    assert find(tmp_path, **{"corpus.html_to_text": True}).notes() == ()
    assert find(tmp_path, **{"corpus.format": "lines"}).notes() == ()


# What the library raises over damaged bytes; NotImplementedError where they name a compression that it lacks.
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, RuntimeError, ValueError)


def _read_members(stream: BinaryIO, split: Split) -> Iterator[RawRecord | Rejected]:
    try:
        archive = zipfile.ZipFile(stream)
    except _DAMAGED as error:
        raise Unreadable(f"is no ZIP archive: {error}") from None
    for member in archive.infolist():
        try:
            text = archive.read(member).decode("utf-8")
        except _DAMAGED as error:
            yield Rejected(split.path, member.filename, f"cannot be read: {error}")
            continue
        # Another file may have a member of the same name, which is another document.
        yield RawRecord(member.filename, {"member": f"{split.relative}/{member.filename}", "text": text})


BUNDLE = Reader(
    cast(CorpusFormat, "bundle"),
    _read_members,
    endings=(".tzip",),
    binary=True,
    id="member",
    recognises=lambda file: zipfile.is_zipfile(file.path),
    note="each member one document",
)
"""A format that nobody knows, and a model for the next binary one: texts in a ZIP archive."""


@pytest.fixture
def bundle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A file in that format, which is registered."""
    monkeypatch.setitem(cast(dict[CorpusFormat, Reader], READERS), BUNDLE.format, BUNDLE)
    path = tmp_path / "corpus" / "a.tzip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, text in SENTENCES.items():
            archive.writestr(member, text)
    return path


@pytest.mark.parametrize("name", ["a.tzip", "a.TZIP", "a", "a.unknown"])
def test_a_binary_format_that_is_registered_is_read(bundle: Path, name: str) -> None:
    bundle.rename(bundle.with_name(name))
    found = find(bundle.parent)
    assert (found.format, found.encodings, found.notes()) == (BUNDLE.format, (), ())
    assert found.description() == "1 file, bundle (each member one document)"
    assert found.columns is not None
    assert found.columns.id == ("member",)
    (split,) = found.splits
    records = [each for each in read_split(split, found.columns) if isinstance(each, Record)]
    assert {record.id: record.text for record in records} == {f"{name}/{key}": text for key, text in SENTENCES.items()}


def test_documents_of_two_files_have_ids_of_their_own(bundle: Path) -> None:
    (bundle.parent / "more").mkdir()
    (bundle.parent / "more" / bundle.name).write_bytes(bundle.read_bytes())
    found = find(bundle.parent)
    assert found.columns is not None
    ids = [each.id for split in found.splits for each in read_split(split, found.columns) if isinstance(each, Record)]
    assert sorted(ids, key=str) == ["a.tzip/one.txt", "a.tzip/two.txt", "more/a.tzip/one.txt", "more/a.tzip/two.txt"]


def test_a_damaged_file_of_a_binary_format_gives_what_is_whole_and_reasons(bundle: Path) -> None:
    """What `test_corpus_fuzz.py` does with text formats, which it can write itself."""
    good, columns, seen = bundle.read_bytes(), Columns("text", id=("member",)), Counter[type]()
    for number in range(300):
        dice = random.Random(number)
        start = dice.randrange(len(good))
        end = len(good) if dice.random() < 0.2 else start + dice.choice([1, 2, 5, 40])
        bundle.write_bytes(good[:start] + dice.randbytes(dice.choice([0, end - start, 9])) + good[end:])
        for each in read_split(Split(str(bundle), bundle.name, BUNDLE.format), columns):
            assert each.text in SENTENCES.values() if isinstance(each, Record) else each.reason, number
            seen[type(each)] += 1
    assert min(seen[Record], seen[Rejected]) > 50


def test_what_is_no_such_file_is_left_to_its_reader(bundle: Path) -> None:
    bundle.write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(InputError, match="none of its records can be read") as caught:
        find(bundle.parent)
    assert "is no ZIP archive" in caught.value.remedy


@pytest.mark.parametrize("name", ["a.tzip", "a.txt", "a.unknown"])
def test_as_another_format_it_is_refused_with_its_own_and_no_command_that_converts_it(bundle: Path, name: str) -> None:
    bundle.rename(bundle.with_name(name))
    with pytest.raises(InputError, match="is of the format bundle, not plain text") as caught:
        find(bundle.parent, **{"corpus.format": "jsonl"})
    assert caught.value.remedy == "Read it as that: --format bundle."


def test_its_ending_is_told_with_the_others(bundle: Path) -> None:
    (bundle.parent / "b.unknown").write_text(SENTENCES["two.txt"])
    with pytest.raises(InputError, match="names no known format") as caught:
        find(bundle.parent)
    assert ".tzip, .parquet, each also with .gz" in caught.value.remedy


def test_without_its_reader_such_a_file_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.txt", "w") as archive:
        archive.writestr("one.txt", "text")
    with pytest.raises(InputError, match="is a ZIP archive, not plain text"):
        find(tmp_path)
