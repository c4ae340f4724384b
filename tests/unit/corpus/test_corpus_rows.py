"""Rows of CSV whose quotation marks went wrong: what is good among them is read, and what is lost has its lines."""

from __future__ import annotations

import csv
import io
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from triplelake.corpus.columns import Columns
from triplelake.corpus.readers import raw, read_fields, read_split, rows
from triplelake.corpus.readers.raw import RawRecord
from triplelake.corpus.splits import Split
from triplelake.types import Record, Rejected

Found = list[Record | Rejected]


def read(folder: Path, text: str, fmt: str = "csv") -> Found:
    path = folder / "in.csv"
    path.write_bytes(text.encode())
    return list(read_split(Split(str(path), path.name, fmt), Columns("text")))  # type: ignore[arg-type]


def good(found: Found) -> list[str]:
    return [each.text for each in found if isinstance(each, Record)]


def bad(found: Found) -> list[tuple[str, str]]:
    return [(each.place, each.reason) for each in found if isinstance(each, Rejected)]


def visits(count: int, quoted: dict[int, str]) -> str:
    lines = [
        quoted.get(number, f"{number},陶行知第{number}次访问晓庄学校，记录者是蔡元培") for number in range(1, count + 1)
    ]
    return "\n".join(["id,text", *lines]) + "\n"


def test_a_stray_quotation_mark_costs_its_line_and_no_other(tmp_path: Path) -> None:
    found = read(tmp_path, visits(2000, {10: '10,"陶行知第10次访问晓庄学校，记录者是蔡元培'}))
    assert len(good(found)) == 1999
    assert bad(found) == [
        (
            "line 11",
            "is not a row: unexpected end of data; lines 11 to 2001 were read as one row, then one by one",
        )
    ]


def test_a_quotation_mark_that_the_next_one_does_not_close(tmp_path: Path) -> None:
    text = (
        'id,text\n1,"他说：我毕业于清华大学\n2,蔡元培担任北京大学校长\n3,梁思成毕业于宾夕法尼亚大学\n'
        '4,茅以升设计了钱塘江大桥，"这是他最得意的作品\n5,詹天佑主持修建京张铁路\n'
    )
    found = read(tmp_path, text)
    assert good(found) == [
        "蔡元培担任北京大学校长",
        "梁思成毕业于宾夕法尼亚大学",
        '茅以升设计了钱塘江大桥，"这是他最得意的作品',
        "詹天佑主持修建京张铁路",
    ]
    [(place, reason)] = bad(found)
    assert place == "line 2"
    assert "lines 2 to 5" in reason


def test_a_quotation_mark_that_another_closes_lines_later(tmp_path: Path) -> None:
    found = read(tmp_path, visits(40, {10: '10,"陶行知到访', 20: '20,他说"', 30: '30,"合上的"'}))
    assert bad(found) == [
        (
            "line 11",
            "its quotation mark closes lines later, and those lines are rows; "
            "lines 11 to 21 were read as one row, then one by one",
        )
    ]
    assert len(good(found)) == 39
    assert {'他说"', "合上的"} <= set(good(found))


@pytest.mark.parametrize(
    "cell",
    [
        "春眠不觉晓,\n处处闻啼鸟,\n夜来风雨声,\n花落知多少",
        "Roses are red,\nviolets are blue,\nsugar is sweet,\nand so are you",
        "名单：\n1,甲\n2,乙\n3,丙\n4,丁",
        "第一行\r\n\r\n\r\n\r\n最后",
        'a "quoted" word\n' * 300,
    ],
)
def test_a_cell_of_many_lines_stays_one(tmp_path: Path, cell: str) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows([["id", "text"], [56, "x"], [57, cell], [58, "y"]])
    found = read(tmp_path, out.getvalue())
    assert bad(found) == []
    assert good(found) == ["x", cell, "y"]


def test_pieces_of_a_broken_cell_are_no_records_where_rows_have_a_key(tmp_path: Path) -> None:
    text = 'id,text\n1,a\n2,b\n3,c\n4,"one\ntwo, and more\nthree "x" four",y\n5,d\n'
    found = read(tmp_path, text)
    assert good(found) == ["a", "b", "c", "d"]
    [(place, reason)] = bad(found)
    assert place == "lines 5 to 7"
    assert "lines 5 to 7" in reason


def test_after_a_stray_quotation_mark_cells_of_several_lines_are_still_read(tmp_path: Path) -> None:
    found = read(tmp_path, 'id,text\n1,"stray\n2,"two\nlines"\n3,b\n')
    assert good(found) == ["two\nlines", "b"]
    assert [place for place, _ in bad(found)] == ["line 2"]


def test_a_header_that_cannot_be_read_makes_no_row_the_header(tmp_path: Path) -> None:
    found = read(tmp_path, 'id,"text\n1,a\n2,b\n')
    [(place, reason)] = bad(found)
    assert place == "lines 1 to 3"
    assert reason.startswith("cannot be read as a header")
    assert good(found) == []


def test_a_line_that_names_the_separator_is_no_header(tmp_path: Path) -> None:
    for first in ("sep=;", "SEP=;\r", '"sep=;"', "\ufeffsep=;"):
        found = read(tmp_path, f'{first}\nid;text\n1;"a, b"\n2;c\n')
        assert good(found) == ["a, b", "c"]
        assert [each.place for each in found] == ["line 3", "line 4"]
    assert good(read(tmp_path, "sep=|\nid|text\n1|a\n")) == ["a"]


def names(folder: Path, header: str, fmt: str = "csv") -> list[str]:
    path = folder / "in.csv"
    path.write_text(f"{header}\n1,2,3\n" if fmt == "csv" else f"{header}\n1\t2\t3\n", encoding="utf-8")
    [record] = read_fields(Split(str(path), path.name, fmt))  # type: ignore[arg-type]
    assert isinstance(record, RawRecord)
    assert list(record.fields.values()) == ["1", "2", "3"]
    return list(record.fields)


def test_no_column_of_a_header_hides_another(tmp_path: Path) -> None:
    assert names(tmp_path, "id,text,text") == ["id", "text#1", "text#2"]
    assert names(tmp_path, ' id ,"\ufeff正文\u3000",') == ["id", "正文", "column 3"]
    assert names(tmp_path, "a\ta \t", "tsv") == ["a#1", "a#2", "column 3"]


@pytest.mark.slow
def test_lines_that_are_read_again_are_held_in_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MAX_RECORD_BYTES", 100_000)
    monkeypatch.setattr(raw, "_BLOCK", 1 << 14)
    text = visits(30_000, {10: '10,"一', 20_000: '20000,"二'})
    path = tmp_path / "in.csv"
    path.write_text(text, encoding="utf-8")
    tracemalloc.start()
    count = sum(isinstance(each, Record) for each in read_split(Split(str(path), path.name, "csv"), Columns("text")))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 29_998
    assert peak < 5_000_000


def test_a_file_made_for_it_does_not_cost_the_square_of_its_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = 0
    take = rows.Lines._take

    def counted(self: rows.Lines) -> str:
        nonlocal taken
        taken += 1
        return take(self)

    monkeypatch.setattr(rows.Lines, "_take", counted)
    lines = 3_000
    read(tmp_path, 'id,text\n1,"a\n' + 'x",y,"z\n' * lines)
    assert taken < 110 * lines


_CELLS = st.text(st.sampled_from('ab,"\n 上；'), max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(table=st.lists(st.tuples(_CELLS, _CELLS), min_size=1, max_size=8), ends=st.sampled_from(["\n", "\r\n"]))
def test_what_a_writer_of_csv_wrote_is_read_as_it_was(tmp_path: Path, table: list[tuple[str, str]], ends: str) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator=ends, quoting=csv.QUOTE_ALL).writerows([("key", "text"), *table])
    path = tmp_path / "in.csv"
    path.write_bytes(out.getvalue().encode())
    found = list(read_fields(Split(str(path), path.name, "csv")))
    assert [tuple(each.fields.values()) for each in found if isinstance(each, RawRecord)] == table


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(lines=st.lists(st.text(st.sampled_from('1a,"'), max_size=8), max_size=12))
def test_every_line_is_a_record_or_lies_in_what_is_rejected(tmp_path: Path, lines: list[str]) -> None:
    path = tmp_path / "in.csv"
    path.write_text("\n".join(["id,text", *lines]), encoding="utf-8")
    told: set[int] = set()
    last = 1
    for each in read_fields(Split(str(path), path.name, "csv")):
        numbers = [int(word) for word in each.place.split() if word.isdigit()]
        assert numbers[0] > last, "in file order, none twice"
        last = numbers[-1]
        height = sum(str(value).count("\n") for value in each.fields.values()) if isinstance(each, RawRecord) else 0
        told.update(range(numbers[0], numbers[-1] + 1 + height))
        last += height
    assert told >= {number for number, line in enumerate(lines, 2) if line}
