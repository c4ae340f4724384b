"""What is found of an input before Spark is started."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from triplelake.cli.extract import extract_parser
from triplelake.cli.parsing import read_settings
from triplelake.config import load_settings
from triplelake.corpus.inputs import FoundInput, find_input
from triplelake.errors import InputError

SIMPLIFIED = "林若兰生于临川城，在云梦书院教书。她的父亲是林远山，后来去了北岭。"
TRADITIONAL = "陳若蘭生於臨川城，在雲夢書院教書。他的父親是陳遠山，後來去了北嶺。"


def find(path: Path, **chosen: Any) -> FoundInput:
    given = {f"corpus.{name}": value for name, value in chosen.items()}
    return find_input(load_settings(None, {"input": (str(path),), **given}, {}))


@pytest.mark.parametrize(("option", "value"), [([], None), (["--html-to-text"], True), (["--no-html-to-text"], False)])
def test_the_options_are_the_settings(option: list[str], value: bool | None) -> None:
    arguments = vars(extract_parser().parse(["--encoding", "utf-16", *option]))
    for name in ("dry_run", "republish", "init", "lang", "show_request", "probe"):
        del arguments[name]
    corpus = read_settings(arguments).corpus
    assert (corpus.encoding, corpus.html_to_text) == ("utf-16", value)


def lines(*texts: str) -> str:
    return "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)


def test_each_file_has_its_own_encoding_and_every_split_carries_it(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines(SIMPLIFIED).encode("gb18030"))
    (tmp_path / "b.jsonl").write_bytes(lines(TRADITIONAL).encode("big5"))
    (tmp_path / "c.jsonl").write_bytes(lines(SIMPLIFIED).encode("utf-16"))
    (tmp_path / "d.jsonl").write_bytes(lines(*[SIMPLIFIED] * 12_000).encode())
    found = find(tmp_path, split_mb=1)
    assert found.encodings == ("GB18030 in a.jsonl", "Big5 in b.jsonl", "UTF-16 in c.jsonl", "UTF-8 in d.jsonl")
    assert [split.encoding for split in found.splits] == ["gb18030", "big5", "utf-16-le", "utf-8", "utf-8"]


def test_json_lines_under_the_name_of_json_are_read_as_such(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(lines(SIMPLIFIED, TRADITIONAL) + "{broken\n", encoding="utf-8")
    found = find(tmp_path)
    assert [split.format for split in found.splits] == ["jsonl"]
    assert found.encodings == ("UTF-8, jsonl in a.json",)


def test_an_unclear_encoding_stops_and_the_named_one_goes_on(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("龘靐".encode("gb18030"))
    with pytest.raises(InputError, match="its encoding is unclear") as caught:
        find(tmp_path)
    assert caught.value.subject == str(tmp_path / "a.txt")
    assert "--encoding gb18030  龘靐" in caught.value.remedy
    assert find(tmp_path, encoding="gb18030").encodings == ("GB18030 in a.txt",)


def test_an_office_file_is_refused_by_what_it_is_not_by_its_ending(tmp_path: Path) -> None:
    file = tmp_path / "report.pdf"
    file.write_bytes(b"%PDF-1.7")
    with pytest.raises(InputError, match="is a PDF") as caught:
        find(tmp_path)
    assert f"pdftotext -enc UTF-8 -nopgbrk {file} {tmp_path}/report.txt" in caught.value.remedy
    file.write_bytes(b"plain text")
    with pytest.raises(InputError, match="names no known format"):
        find(tmp_path)


def test_records_that_stand_in_a_list_of_one_object_are_told_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "wrapped.json").write_text('{"total": 2, "data": [{"text": "a"}, {"text": "b"}]}')
    with pytest.raises(InputError, match="none of the columns") as caught:
        find(tmp_path)
    assert "The text lies in a list, `data`. A line for each of its items:\n  jq -c '.data[]' " in caught.value.remedy
    assert "Columns: total, data." in caught.value.remedy


def test_html_stops_until_somebody_says_what_to_do_with_it(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(f"<html><body><p>{SIMPLIFIED}</p></body></html>", encoding="utf-8")
    with pytest.raises(InputError, match="looks like HTML"):
        find(tmp_path)
    for answer in (True, False):
        columns = find(tmp_path, html_to_text=answer).columns
        assert columns is not None
        assert columns.html is answer
