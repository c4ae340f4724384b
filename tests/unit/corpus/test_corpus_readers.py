from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from triplelake.config import CorpusFormat
from triplelake.corpus.columns import Columns, first_records, names_of
from triplelake.corpus.readers import READERS, raw, read_split
from triplelake.corpus.splits import Split
from triplelake.types import Record, Rejected

Found = list[tuple[str, str]]
Read = Callable[..., Found]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads bytes in a format; gives (place, text) of records and (place, `!` + reason) of the rejected."""

    def reading(fmt: CorpusFormat, content: bytes, columns: Columns | None = None, name: str = "corpus") -> Found:
        path = tmp_path / name
        path.write_bytes(content)
        found = list(read_split(Split(str(path), name, fmt), columns or Columns("text")))
        assert {item.source for item in found} <= {str(path)}
        return [(item.place, item.text if isinstance(item, Record) else f"!{item.reason}") for item in found]

    return reading


def test_json_array(read: Read) -> None:
    items = [
        '{"text": "林岚住在杭州。"}',
        '{"text":"陳雅文住在臺北。\\ud83d\\ude00"}',
        '{"text":"Nora lives in Leeds."}',
    ]
    assert read("json", f"\ufeff [ {' ,'.join(items)}\n]\n".encode()) == [
        ("item 1", "林岚住在杭州。"),
        ("item 2", "陳雅文住在臺北。😀"),
        ("item 3", "Nora lives in Leeds."),
    ]


def test_items_of_json_may_be_texts(read: Read) -> None:
    assert read("json", '["甲", {"text": "乙"}, ["丙"]]'.encode()) == [
        ("item 1", "甲"),
        ("item 2", "乙"),
        ("item 3", "!is a list, not an object"),
    ]
    assert read("jsonl", b'"a"\n{"text": "b"}\n') == [("byte 0", "a"), ("byte 4", "b")]


def test_json_objects_without_an_array(read: Read) -> None:
    assert read("json", b'{"text": "a"}\n{"text": "b"} {"text"') == [
        ("item 1", "a"),
        ("item 2", "b"),
        ("item 3", "!is not JSON: Expecting ':' delimiter (byte 35); nothing from line 2 on is read"),
    ]


@pytest.mark.parametrize("block", [1, 2, 3, 7, 1 << 20])
def test_json_is_the_same_in_blocks_of_any_size(read: Read, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(raw, "_BLOCK", block)
    first = {"text": '上海😀 \\ " ] , }', "n": 1.5, "big": 10**30}
    items = [first, {"text": "甲" * 50}, {"x": [1, {"y": 2}]}, 12, None]
    content = b"\xef\xbb\xbf" + json.dumps(items, ensure_ascii=False).encode()
    assert read("json", content) == [
        ("item 1", '上海😀 \\ " ] , }'),
        ("item 2", "甲" * 50),
        ("item 3", "!has no column `text`"),
        ("item 4", "!is a number, not an object"),
        ("item 5", "!is null, not an object"),
    ]


@pytest.mark.parametrize(
    ("tail", "place", "reason"),
    [
        (b', {"text": "b', "item 2", "Unterminated string"),
        (b', {"text": x}, {"texts": "c"}]', "item 2", "Expecting value (byte 25)"),
        (b"", "item 2", "expected a comma or the end"),
        (b",]", "item 2", "Expecting value"),
        (b"] x", "item 2", "something follows"),
        (b", " + b"[" * 100_000, "item 2", "nested too deeply"),
    ],
)
def test_a_broken_array_gives_what_precedes_the_fault(read: Read, tail: bytes, place: str, reason: str) -> None:
    first, fault = read("json", b'[{"text": "a"}' + tail)
    assert first == ("item 1", "a")
    assert fault[0] == place
    assert reason in fault[1]


@pytest.mark.parametrize("content", [b"", b" \n", b"\xef\xbb\xbf"])
def test_an_empty_json_file_is_rejected(read: Read, content: bytes) -> None:
    assert read("json", content) == [("item 1", "!is empty")]


def test_an_empty_array_holds_nothing(read: Read) -> None:
    assert read("json", b" [ ] ") == []


def test_bad_bytes_cost_only_their_item(read: Read) -> None:
    content = '[{"text": "上'.encode() + b"\xff" + '"}, {"text": "海"}, {"text": "\\udcff"}]'.encode()
    assert read("json", content) == [
        ("item 1", "!is not UTF-8: byte 0xFF at byte 14"),
        ("item 2", "海"),
        ("item 3", "!column `text` holds a lone surrogate (U+DCFF) at character 0"),
    ]


@pytest.mark.slow
def test_a_large_array_is_read_in_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "_BLOCK", 1 << 16)
    path = tmp_path / "big.json"
    sentence = '{{"sentence": "第{}句话，写得不长也不短，只为占一点地方。"}}'
    path.write_text(f"[{','.join(map(sentence.format, range(30_000)))}]", encoding="utf-8")
    assert path.stat().st_size > 2_400_000
    tracemalloc.start()
    count = sum(isinstance(found, Record) for found in read_split(Split(str(path), "", "json"), Columns("sentence")))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 30_000
    assert peak < 1_000_000


def test_json_lines(read: Read) -> None:
    lines = [
        b'\xef\xbb\xbf{"text": "\xe4\xb8\x8a"}\r\n',
        b"\n",
        b"{bad}\n",
        b'{"text": "\xff"}\n',
        b"[1]\n",
        b"null\n",
        b'{"text": "\\ud800"}\n',
        b"[" * 100_000 + b"\n",
        b'{"text": "last", "n": ' + b"9" * 5000 + b"}",
    ]
    offsets = [sum(map(len, lines[:index])) for index in range(len(lines))]
    assert read("jsonl", b"".join(lines)) == [
        ("byte 3", "上"),
        (f"byte {offsets[2]}", "!is not JSON: Expecting property name enclosed in double quotes at character 1"),
        (
            f"byte {offsets[3]}",
            f"!is not UTF-8: byte 0xFF at byte {offsets[3] + 10}",
        ),
        (f"byte {offsets[4]}", "!is a list, not an object"),
        (f"byte {offsets[5]}", "!is null, not an object"),
        (f"byte {offsets[6]}", "!column `text` holds a lone surrogate (U+D800) at character 0"),
        (f"byte {offsets[7]}", "!is nested too deeply"),
        (f"byte {offsets[8]}", "last"),
    ]


def test_csv(read: Read) -> None:
    content = (
        '\ufefftext,id\r\n"他说：""你好，世界。""\n第二行",1\r\nonly one\r\n\r\nNUL \0 inside,2\r\n'
        '"closed" badly,3\r\nplain,4'
    )
    assert read("csv", content.encode()) == [
        ("line 2", '他说："你好，世界。"\n第二行'),
        ("line 4", "!has 1 fields where the header has 2"),
        ("line 6", "NUL \0 inside"),
        ("line 7", "!is not a row: ',' expected after '\"'"),
        ("line 8", "plain"),
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_header_of_csv_tells_the_separator(read: Read, separator: str) -> None:
    rows = [["text", "n"], ["a, b; c", "1"], ['say "d"\te', "2"]]
    content = "\n".join(separator.join(f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row) for row in rows)
    assert read("csv", content.encode()) == [("line 2", rows[1][0]), ("line 3", rows[2][0])]
    assert read("csv", b"text\na;b\nc\td\n") == [("line 2", "a;b"), ("line 3", "c\td")]


def test_csv_rejects_the_row_with_bad_bytes_and_no_other(read: Read) -> None:
    content = b'text,n\na,1\n"b\n\xff",2\nc\x81,3\nd,4\n'
    assert read("csv", content) == [
        ("line 2", "a"),
        ("lines 3 to 4", "!is not UTF-8: byte 0xFF at byte 14"),
        ("line 5", "!is not UTF-8: byte 0x81 at byte 20"),
        ("line 6", "d"),
    ]


def test_csv_takes_large_fields_old_line_ends_and_an_unclosed_quote(read: Read) -> None:
    assert read("csv", b"text\r" + b"x" * 300_000 + b"\ry\r") == [("line 2", "x" * 300_000), ("line 3", "y")]
    assert read("csv", b'text\na\n"never closed\nb\n') == [
        ("line 2", "a"),
        ("line 3", "!is not a row: unexpected end of data; lines 3 to 4 were read as one row, then one by one"),
        ("line 4", "b"),
    ]
    assert read("csv", "text\na\u2028b\n".encode()) == [("line 2", "a\u2028b")]
    assert read("csv", b"") == []


def test_tsv_keeps_quotation_marks(read: Read) -> None:
    content = 'id\ttext\n1\t"你好"，他說。\n2\t"unclosed\n3\ta\tb\n'
    assert read("tsv", content.encode()) == [
        ("line 2", '"你好"，他說。'),
        ("line 3", '"unclosed'),
        ("line 4", "!has 3 fields where the header has 2"),
    ]


def test_a_document_per_line(read: Read) -> None:
    content = "\ufeff第一行\r\n\r\n  \n second \nno end".encode() + b"\n\x80"
    assert read("lines", content) == [
        ("byte 3", "第一行"),
        ("byte 19", " second "),
        ("byte 28", "no end"),
        ("byte 35", "!is not UTF-8: byte 0x80 at byte 35"),
    ]


def test_a_document_per_file(read: Read) -> None:
    assert read("text", "\ufeff一\r\n\n二 \0".encode()) == [("", "一\r\n\n二 \0")]
    assert read("text", b"") == [("", "!column `text` is empty")]
    assert read("text", b" \n") == [("", "!column `text` is blank")]
    assert read("text", "中文".encode("gb18030"))[0][1].startswith("!is not UTF-8: byte 0xD6 at byte 0")


def test_what_is_too_long_is_rejected_and_passed_over(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("raw", "lines", "json_array", "delimited"):
        monkeypatch.setattr(f"triplelake.corpus.readers.{module}.MAX_RECORD_BYTES", 50, raising=False)
    monkeypatch.setattr(raw, "_BLOCK", 10)
    long = b"x" * 200
    assert [text for _, text in read("lines", b"a\n" + long + b"\nb\n")] == ["a", f"!{raw.TOO_LONG}", "b"]
    assert [text for _, text in read("csv", b"text\na\n" + long + b"\nb\n")] == ["a", f"!{raw.TOO_LONG}", "b"]
    assert raw.TOO_LONG in read("json", b'[{"text": "a"}, {"text": "' + long * 10 + b'"}]')[1][1]
    assert "`lines`" in read("text", long)[0][1]


@pytest.mark.parametrize("fmt", ["json", "jsonl", "csv", "lines"])
def test_a_damaged_gzip_gives_what_could_be_read(read: Read, fmt: CorpusFormat) -> None:
    texts = [f"第{number}句，{hash((number, 'salt')) & 0xFFFFFFFF}。" for number in range(8_000)]
    rows = {
        "json": json.dumps([{"text": text} for text in texts], ensure_ascii=False),
        "jsonl": "\n".join(json.dumps({"text": text}) for text in texts),
        "csv": "text\n" + "\n".join(texts),
        "lines": "\n".join(texts),
    }
    packed = gzip.compress(rows[fmt].encode())
    assert [text for _, text in read(fmt, packed, name="whole.gz")] == texts
    *good, (place, reason) = read(fmt, packed[: len(packed) // 2], name="cut.gz")
    assert 2_000 < len(good) < 8_000
    assert [text for _, text in good[:2_000]] == texts[:2_000]
    assert place
    assert "reading stopped" in reason
    assert "reading stopped" in read(fmt, packed[:-8] + bytes(8), name="sum.gz")[-1][1]
    assert "reading stopped" in read(fmt, b"not a gzip", name="none.gz")[0][1]


def test_a_file_that_is_gone_is_rejected(tmp_path: Path) -> None:
    (found,) = read_split(Split(str(tmp_path / "gone.json"), "gone.json", "json"), Columns("text"))
    assert isinstance(found, Rejected)
    assert "cannot be opened" in found.reason


_LINES = st.lists(st.sampled_from(["", "a", "上海", "\r", "😀" * 3, "x y"]), max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    lines=_LINES, ends=st.sampled_from(["\n", "\r\n"]), cuts=st.sets(st.integers(1, 80), max_size=6), bom=st.booleans()
)
def test_any_byte_ranges_give_the_records_of_one_split(
    tmp_path: Path, lines: list[str], ends: str, cuts: set[int], bom: bool
) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes((b"\xef\xbb\xbf" if bom else b"") + ends.join(lines).encode())
    whole = list(read_split(Split(str(path), "", "lines"), Columns("text")))
    bounds = [0, *sorted(cuts)]
    parts = [
        record
        for start, end in zip(bounds, [*bounds[1:], None], strict=True)
        for record in read_split(Split(str(path), "", "lines", start, end), Columns("text"))
    ]
    assert parts == whole


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(content=st.binary(max_size=200), fmt=st.sampled_from(list(READERS)))
def test_no_content_makes_a_reader_raise(tmp_path: Path, content: bytes, fmt: CorpusFormat) -> None:
    path = tmp_path / "any"
    path.write_bytes(content)
    for found in read_split(Split(str(path), "", fmt), Columns("text")):
        if isinstance(found, Record):
            assert "\ufffd" not in found.text or "\ufffd".encode() in content


def test_sample_names(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text('{"a": 1}\nbroken\n{"正文": 2, "a": 3}\n', encoding="utf-8")
    expected: dict[CorpusFormat, list[str]] = {"jsonl": ["a", "正文"], "lines": ["text"]}
    for fmt, names in expected.items():
        records = [each for each in first_records(Split(str(path), "", fmt)) if isinstance(each, raw.RawRecord)]
        assert names_of(records) == names
