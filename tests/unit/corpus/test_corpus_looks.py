from __future__ import annotations

import gzip
import io
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from triplelake.config import CorpusEncoding, CorpusFormat
from triplelake.corpus import looks
from triplelake.corpus.files import list_files
from triplelake.corpus.looks import Look, describe, look_at
from triplelake.errors import InputError

Looking = Callable[..., list[Look]]


@pytest.fixture
def look(tmp_path: Path) -> Looking:
    """Writes files and looks at them."""

    def looking(files: dict[str, bytes], fmt: CorpusFormat = "text", encoding: CorpusEncoding = "auto") -> list[Look]:
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
        return look_at(list_files([str(tmp_path)]), fmt, encoding)

    return looking


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, "<x/>")
    return out.getvalue()


BINARY = {
    "a PDF": (b"%PDF-1.7\n%\xe2\xe3", "pdftotext -enc UTF-8 -nopgbrk {} "),
    "Excel workbook (.xlsx)": (zipped("[Content_Types].xml", "_rels/.rels", "xl/workbook.xml"), "libreoffice"),
    "Word document (.docx)": (zipped("[Content_Types].xml", "word/document.xml"), "pandoc --to plain"),
    "PowerPoint": (zipped("ppt/presentation.xml"), "libreoffice"),
    "a ZIP archive": (zipped("a.txt"), "unzip {}"),
    "(.doc)": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(40), "libreoffice"),
    "an RTF": (b"{\\rtf1\\ansi x}", "pandoc"),
    "compressed with gzip": (gzip.compress(b"text"), "mv {} {}.gz"),
    "compressed with bzip2": (b"BZh91AY&SY\0\0", "bunzip2 --keep {}"),
    "Parquet": (b"PAR1\x15\0", "mv {} "),
    "UTF-32": ("上".encode("utf-32"), "iconv -f UTF-32 -t UTF-8"),
    "is binary": (random.Random(7).randbytes(4000), "file {}"),
}


@pytest.mark.parametrize("what", BINARY)
def test_what_is_no_text_is_refused_with_the_command_that_converts_it(look: Looking, what: str, tmp_path: Path) -> None:
    content, command = BINARY[what]
    with pytest.raises(InputError, match="not plain text") as caught:
        look({"my file.txt": content})
    path = str(tmp_path / "my file.txt")
    assert caught.value.subject == path
    assert what in caught.value.reason
    assert command.replace("{}", f"'{path}'") in caught.value.remedy
    assert len(caught.value.remedy.splitlines()) == 2


def test_text_that_begins_like_something_else_is_text(look: Looking) -> None:
    assert [found.encoding for found in look({"a.txt": b"BZhou is a name.", "b.txt": b"PDF- and NUL \0 here"})] == [
        "utf-8",
        "utf-8",
    ]


def test_the_lines_say_which_files(look: Looking) -> None:
    names = {f"{number}.txt": "林若兰生于临川城，在书院教书。".encode() for number in range(5)}
    found = look({**names, "x.txt": "他生於臨川城，在雲夢書院教書。".encode("big5")})
    assert list(describe(found)) == ["UTF-8 in 0.txt, 1.txt, 2.txt and 2 more", "Big5 in x.txt"]


def test_an_unclear_file_names_the_options(look: Looking, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="its encoding is unclear") as caught:
        look({"a.txt": "龘靐".encode("gb18030")})
    assert caught.value.subject == str(tmp_path / "a.txt")
    assert "--encoding gb18030  龘靐" in caught.value.remedy
    assert len(caught.value.remedy.splitlines()) == 5
    assert look({}, encoding="gb18030")[0].encoding == "gb18030"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"text": "a"}\n{"text": "b"}\n', "jsonl"),
        ('\ufeff\n{"text": "a"}\r\n\r\n{bad\r\n{"text": "b"}', "jsonl"),
        ('{"text": "a"}', "json"),
        ('[{"text": "a"},\n{"text": "b"}]', "json"),
        ('{\n  "text": "a"\n}\n{\n  "text": "b"\n}\n', "json"),
        ("", "json"),
        ("[" * 100_000 + "\n" + "[" * 100_000, "json"),
    ],
)
def test_json_that_holds_json_lines_is_recognised(look: Looking, content: str, expected: str) -> None:
    (found,) = look({"a.json": content.encode()}, "json")
    assert (found.format, found.renamed) == (expected, expected == "jsonl")
    (found,) = look({"a.json": content.lstrip("\ufeff").encode("utf-16")}, "json")
    assert (found.format, found.encoding) == (expected, "utf-16-le")
    assert list(describe([found])) == [f"UTF-16{', jsonl' * (expected == 'jsonl')} in a.json"]


def test_a_large_file_is_looked_at_further_on_too(look: Looking) -> None:
    plain, chinese = b"nothing but letters\n" * 12_000, "她的父亲是林远山，后来去了北岭。\n".encode("gb18030") * 2_000
    assert 4 * len(chinese) > len(plain) > 3 * looks.HEAD_BYTES
    (found,) = look({"a.txt": plain + chinese}, "lines")
    assert found.encoding == "gb18030"


def test_what_cannot_be_opened_is_left_to_its_reader(look: Looking) -> None:
    (found,) = look({"a.txt.gz": b"not a gzip"})
    assert found.encoding == "utf-8"
