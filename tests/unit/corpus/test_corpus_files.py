from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from triplelake.config import CorpusFormat
from triplelake.corpus.files import CorpusFile, fingerprint, list_files, open_file
from triplelake.corpus.formats import detect_format
from triplelake.corpus.looks import Look
from triplelake.corpus.splitting import plan_splits
from triplelake.errors import InputError


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    root = tmp_path / "语料 one"
    for name in ("b.jsonl", "a.json", "sub/深/c.txt", "sub/d.csv", "_tmp/e.json", ".hidden.json", "sub/_f.json"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
    return root


def relatives(*patterns: object) -> list[str]:
    return [file.relative for file in list_files([str(pattern) for pattern in patterns])]


def test_a_folder_is_everything_below_it_except_hidden_names(corpus: Path) -> None:
    assert relatives(corpus) == ["a.json", "b.jsonl", "sub/d.csv", "sub/深/c.txt"]


def test_a_folder_behind_a_uri_needs_no_percent_encoding(corpus: Path) -> None:
    files = list_files([f"file://{corpus}"])
    assert [file.path for file in files] == [f"file://{corpus}/{file.relative}" for file in files]
    assert len(files) == 4
    assert open_file(files[-1].path).read() == b"x"


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("*.json*", ["a.json", "b.jsonl"]),
        ("?.json", ["a.json"]),
        ("[b-c].jsonl", ["b.jsonl"]),
        ("s*", ["sub/d.csv", "sub/深/c.txt"]),
        ("*/*.csv", ["sub/d.csv"]),
        ("**/*.txt", ["sub/深/c.txt"]),
        ("**/*.json", ["a.json"]),
        ("**", ["a.json", "b.jsonl", "sub/d.csv", "sub/深/c.txt"]),
        ("_*/*.json", ["_tmp/e.json"]),
    ],
)
def test_globs(corpus: Path, glob: str, expected: list[str]) -> None:
    assert relatives(corpus / glob) == expected
    assert relatives(f"file://{corpus}/{glob}") == expected


def test_a_file_is_listed_once_with_size_and_time(corpus: Path) -> None:
    os.utime(corpus / "a.json", (1000.5, 1000.5))
    (file,) = list_files([str(corpus / "a.json"), str(corpus / "*.json")])
    assert file == CorpusFile(str(corpus / "a.json"), 1, 1000.5, "a.json")


def test_a_name_that_exists_is_not_a_glob(tmp_path: Path) -> None:
    (tmp_path / "x[1].json").write_text("1")
    (tmp_path / "x1.json").write_text("2")
    assert relatives(tmp_path / "x[1].json") == ["x[1].json"]


def test_links_are_followed_but_not_in_circles(corpus: Path, tmp_path: Path) -> None:
    (corpus / "sub" / "up").symlink_to(corpus)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "z.txt").write_text("z")
    (corpus / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(corpus / "sub")
    assert "linked/z.txt" in relatives(corpus)
    assert len(relatives(corpus / "**" / "*.txt")) < 10


def test_a_missing_file_names_its_neighbours(corpus: Path) -> None:
    with pytest.raises(InputError, match=r"no such file or folder\nNearest names in .*语料 one: b\.jsonl") as caught:
        list_files([str(corpus / "b.json1")])
    assert caught.value.subject == str(corpus / "b.json1")
    with pytest.raises(InputError, match=r"there are: a\.json, b\.jsonl, sub\."):
        list_files([str(corpus / "完全不同" / "x.json")])


def test_nothing_found_is_an_error(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no files found"):
        list_files([str(tmp_path / "empty")])
    with pytest.raises(InputError, match="matches no file"):
        list_files([str(corpus), str(corpus / "*.xml")])
    with pytest.raises(InputError, match="no such folder"):
        list_files([str(corpus / "absent" / "*.json")])


@pytest.mark.parametrize("path", ["dbfs:/data/x.json", "http://host/x.json", "nothing://host/x.json"])
def test_an_unknown_store_is_an_error(path: str) -> None:
    with pytest.raises(InputError) as caught:
        list_files([path])
    assert caught.value.subject == path
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("x.json", "json"),
        ("x.JSONL", "jsonl"),
        ("/a.b/x.ndjson.gz", "jsonl"),
        ("x.csv.GZ", "csv"),
        ("x.tsv", "tsv"),
        ("s3://bucket/语料/x.txt?region=cn-north-1", "text"),
        ("x.parquet", "parquet"),
        ("x.htm", "text"),
        ("x.html.gz", "text"),
    ],
)
def test_format_goes_by_the_ending(path: str, expected: str) -> None:
    assert detect_format(path) == expected


@pytest.mark.parametrize("path", ["README", "x.docx", "x.gz", "x.json.zip"])
def test_an_unknown_ending_names_the_setting(path: str) -> None:
    with pytest.raises(InputError, match="--format"):
        detect_format(path)


def test_fingerprint_is_of_path_size_and_time() -> None:
    one, two = CorpusFile("a", 1, 2.0, "a"), CorpusFile("b", 1, 2.0, "b")
    same = fingerprint([one, two])
    assert same == fingerprint([two, one])
    assert len(same) == 32
    others = [[one], [one, CorpusFile("b", 2, 2.0, "b")], [one, CorpusFile("b", 1, 2.5, "b")]]
    assert same not in [fingerprint(files) for files in others]


def test_open_file_decompresses(tmp_path: Path) -> None:
    path = tmp_path / "x.txt.gz"
    path.write_bytes(gzip.compress("上".encode()) + gzip.compress("海".encode()))
    with open_file(str(path), "gzip") as stream:
        assert stream.read().decode() == "上海"


def test_only_uncompressed_lines_are_split() -> None:
    def look(name: str, fmt: CorpusFormat, size: int = 25) -> Look:
        return Look(CorpusFile(name, size, 0.0, name), fmt, "utf-16-le")

    looks = [look("a.jsonl", "jsonl"), look("b.jsonl.gz", "jsonl"), look("c.json", "json"), look("d.csv", "csv")]
    splits = plan_splits(looks, 10)
    assert {split.encoding for split in splits} == {"utf-16-le"}
    assert [(split.path, split.start, split.end) for split in splits] == [
        ("a.jsonl", 0, 10),
        ("a.jsonl", 10, 20),
        ("a.jsonl", 20, None),
        ("b.jsonl.gz", 0, None),
        ("c.json", 0, None),
        ("d.csv", 0, None),
    ]
    assert [split.end for split in plan_splits([look("x", "lines", 20)], 10)] == [10, None]
    assert len(plan_splits([look("x", "lines", 0)], 10)) == 1
    with pytest.raises(ValueError, match="split_bytes"):
        plan_splits(looks, 0)
