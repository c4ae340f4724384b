from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from triplelake.config import CorpusFormat
from triplelake.corpus.columns import Columns
from triplelake.corpus.detect import Unclear, detect_encoding
from triplelake.corpus.encodings import CODECS, Encoding
from triplelake.corpus.readers import raw, read_split
from triplelake.corpus.splits import Split
from triplelake.types import Record

SIMPLIFIED = ["林若兰生于临川城，在云梦书院教书。", "她的父亲是林远山，后来去了北岭。"]
# 許, 功 and 蓋 end in a backslash in Big5, 珮 in a brace.
TRADITIONAL = [
    "許功蓋生於臨川城，在雲夢書院教書。",
    "他的母親是陳珮，後來去了北嶺。",
    "Edda Lund was born in Harrow.",
    "城北有河。",
]


def written(text: str, encoding: Encoding, *, marked: bool = True) -> bytes:
    codec = CODECS[encoding]
    return (codec.bom if marked else b"") + text.encode(codec.python)


def jsonl(texts: Sequence[str]) -> str:
    return "".join(json.dumps({"text": text}, ensure_ascii=False) + "\r\n" for text in texts)


def json_array(texts: Sequence[str]) -> str:
    return json.dumps([{"text": text} for text in texts], ensure_ascii=False)


def delimited(delimiter: str) -> Callable[[Sequence[str]], str]:
    def write(texts: Sequence[str]) -> str:
        out = io.StringIO()
        csv.writer(out, delimiter=delimiter).writerows([["n", "text"], *enumerate(texts)])
        return out.getvalue()

    return write


FORMATS: dict[CorpusFormat, Callable[[Sequence[str]], str]] = {
    "jsonl": jsonl,
    "json": json_array,
    "csv": delimited(","),
    "tsv": delimited("\t"),
    "lines": "\n".join,
    "text": "\n".join,
}


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_file_gives_the_same_texts_in_every_encoding(tmp_path: Path, fmt: CorpusFormat) -> None:
    content = FORMATS[fmt](TRADITIONAL)
    expected = ["\n".join(TRADITIONAL)] if fmt == "text" else TRADITIONAL
    for encoding in CODECS:
        path = tmp_path / encoding
        path.write_bytes(written(content, encoding))
        detected = detect_encoding(path.read_bytes())
        assert detected == encoding
        found = list(read_split(Split(str(path), "", fmt, encoding=detected), Columns("text")))
        assert [item.text if isinstance(item, Record) else item.reason for item in found] == expected


@pytest.mark.parametrize("encoding", CODECS)
def test_an_encoding_is_told_without_a_mark(encoding: Encoding) -> None:
    sample = written(jsonl(TRADITIONAL), encoding, marked=False)
    if encoding.startswith("utf-16"):
        with pytest.raises(Unclear) as caught:
            detect_encoding(sample)
        assert list(caught.value.readings) == ["utf-16"]
        assert "許功蓋" in caught.value.readings["utf-16"]
        assert detect_encoding(sample, "utf-16") == encoding
    else:
        assert detect_encoding(sample) == encoding


def test_simplified_and_traditional_text_in_gb18030() -> None:
    for text in SIMPLIFIED + [text for text in TRADITIONAL[:2]]:
        assert detect_encoding(text.encode("gb18030")) == "gb18030"
        assert detect_encoding(text.encode()) == "utf-8"
    for text in TRADITIONAL[:2]:
        assert detect_encoding(text.encode("cp950")) == "big5"


def test_a_sample_may_end_inside_a_character() -> None:
    for encoding in ("utf-8", "gb18030"):
        sample = "".join(SIMPLIFIED).encode(encoding)
        assert {detect_encoding(sample[:end]) for end in range(len(sample) - 8, len(sample))} == {encoding}


def test_a_mark_decides_against_the_settings() -> None:
    assert detect_encoding(b"\xef\xbb\xbfx", "big5") == "utf-8"
    assert detect_encoding(b"\xfe\xff\0x", "utf-8") == "utf-16-be"
    assert detect_encoding("的".encode(), "big5") == "big5"
    assert detect_encoding(b"") == "utf-8"


def test_some_damage_changes_nothing() -> None:
    text = "\n".join(SIMPLIFIED * 5)
    for encoding in ("utf-8", "gb18030"):
        raw_text = bytearray(text.encode(encoding))
        for place in range(10, len(raw_text), 97):
            raw_text[place] = 0xFF
        assert detect_encoding(bytes(raw_text)) == encoding
    # A few lines of Latin-1 in English are rejected; a file of them is not read at all.
    assert detect_encoding(b"plain line\n" * 40 + b"caf\xe9 here\n") == "utf-8"


@pytest.mark.parametrize(
    "sample",
    ["Le café était fermé à midi.\nIl a été rouvert là-bas.\n".encode("latin-1"), "龘靐".encode("gb18030")],
)
def test_what_is_unclear_shows_how_it_would_read(sample: bytes) -> None:
    with pytest.raises(Unclear) as caught:
        detect_encoding(sample)
    assert list(caught.value.readings) == ["utf-8", "gb18030", "big5"]
    assert len(set(caught.value.readings.values())) == 3


def test_a_few_words_that_are_utf8_by_chance_are_unclear() -> None:
    words = "学校目前系统".encode("gb18030")
    assert words.decode() == "ѧУĿǰϵͳ"
    with pytest.raises(Unclear) as caught:
        detect_encoding(words)
    assert caught.value.readings == {"utf-8": "ѧУĿǰϵͳ", "gb18030": "学校目前系统"}
    for text in ("Лев Толстой родился в Ясной Поляне.", "Αθήνα είναι", "naïve café", "שלום עולם"):
        assert detect_encoding(text.encode()) == "utf-8"


@pytest.mark.parametrize(
    ("encoding", "line", "reason"),
    [
        ("utf-8", b"a\xed\xa0\x80", "is not UTF-8: byte 0xED at byte 7"),
        ("gb18030", b"\xb5\xc4\xff", "is not GB18030: byte 0xFF at byte 8"),
        ("gb18030", b"\xb5\xc4\x81", "is not GB18030: byte 0x81 at byte 8"),
        ("big5", b"\xaa\xba\x80", "is not Big5: byte 0x80 at byte 8"),
        ("utf-16-le", b"a\0\x00\xd8b\0", "is not UTF-16: lone surrogate U+D800 at byte 14"),
        ("utf-16-be", b"\0a\xdc\x01", "is not UTF-16: lone surrogate U+DC01 at byte 14"),
    ],
)
@pytest.mark.parametrize("fmt", ["lines", "jsonl", "csv", "json"])
def test_what_cannot_be_decoded_costs_its_record(
    tmp_path: Path, encoding: Encoding, line: bytes, reason: str, fmt: CorpusFormat
) -> None:
    python, newline = CODECS[encoding].python, CODECS[encoding].newline
    around = {"lines": ("", ""), "jsonl": ('{"text":"', '"}'), "csv": ("", ""), "json": ('{"text":"', '"}')}[fmt]
    before, after = (part.encode(python) for part in around)
    names = ["text"] if fmt == "csv" else []
    head = newline.join(name.encode(python) for name in [*names, ""])
    bad = before + line + after
    first = before + "good1".encode(python) + after  # five characters and a line feed precede what is bad
    path = tmp_path / "file"
    path.write_bytes(head + first + newline + bad + newline + before + "後來".encode(python) + after)
    found = list(read_split(Split(str(path), "", fmt, encoding=encoding), Columns("text")))
    texts = [item.text if isinstance(item, Record) else item.reason for item in found]
    what, _, offset = reason.rpartition(" ")
    shift = len(head) + 2 * len(before) + len(after)
    assert texts == ["good1", f"{what} {int(offset) + shift}", "後來"]


def test_half_a_unit_at_the_end_is_told(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes("好\n書".encode("utf-16-le") + b"\x01")
    found = list(read_split(Split(str(path), "", "lines", encoding="utf-16-le"), Columns("text")))
    assert [item.text if isinstance(item, Record) else item.reason for item in found] == [
        "好",
        "is not UTF-16: byte 0x01 at byte 6",
    ]


# Among them characters that hold the bytes of a line feed in UTF-16, alone (上 is U+4E0A) or across two of them.
_LINES = st.lists(st.sampled_from(["", "a", "上海", "\r", "許功蓋", "x y", "\u0a00一", "一\u0a0a"]), max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=120)
@given(
    lines=_LINES,
    cuts=st.sets(st.integers(1, 80), max_size=6),
    encoding=st.sampled_from(list(CODECS)),
    marked=st.booleans(),
    block=st.integers(1, 30),
)
def test_any_byte_ranges_give_the_records_of_one_split(
    tmp_path: Path, lines: list[str], cuts: set[int], encoding: Encoding, marked: bool, block: int
) -> None:
    if encoding == "big5":
        lines = [line.replace("\u0a00", "甲").replace("\u0a0a", "乙") for line in lines]  # it has no Gurmukhi
    path = tmp_path / "lines.txt"
    path.write_bytes(written("\n".join(lines), encoding, marked=marked))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raw, "_BLOCK", block)
        bounds = [0, *sorted(cuts)]
        parts = [
            record.text
            for start, end in zip(bounds, [*bounds[1:], None], strict=True)
            for record in read_split(Split(str(path), "", "lines", start, end, encoding), Columns("text"))
            if isinstance(record, Record)
        ]
    assert parts == [text for line in lines if (text := line.removesuffix("\r")).strip()]


@settings(max_examples=200)
@given(content=st.binary(max_size=60), encoding=st.sampled_from(list(CODECS)))
def test_a_lenient_reading_tells_how_many_bytes_it_took(content: bytes, encoding: Encoding) -> None:
    codec = CODECS[encoding]
    assert codec.size(codec.guess(content)) == len(content) - len(content) % codec.unit
