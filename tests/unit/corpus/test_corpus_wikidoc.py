"""Many articles in a file, `<doc …>` around each."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triplelake.config import load_settings
from triplelake.corpus.columns import Columns
from triplelake.corpus.encodings import Encoding
from triplelake.corpus.files import CorpusFile
from triplelake.corpus.inputs import FoundInput, find_input
from triplelake.corpus.looks import Look
from triplelake.corpus.readers import read_fields, read_split
from triplelake.corpus.readers.raw import RawRecord
from triplelake.corpus.splits import Split
from triplelake.corpus.splitting import plan_splits
from triplelake.corpus.wikidoc import attributes
from triplelake.errors import InputError
from triplelake.types import Record, Rejected

TWO = """\
<doc id="11" url="https://zh.example.org/?curid=11" title="陶行知">
陶行知

陶行知创办了晓庄学校。

他生于歙县。
</doc>
<doc id="12" url="https://zh.example.org/?curid=12" title="AT&amp;T &quot;Lab&quot;">
AT&amp;T "Lab"

It made x &lt; y &copy it, and AT&amp;T.
</doc>
"""


def _find(path: Path, **chosen: object) -> FoundInput:
    return find_input(load_settings(None, {"input": (str(path),), **chosen}, {}))


def _whole(file: Path, **chosen: Any) -> list[RawRecord | Rejected]:
    return list(read_fields(Split(str(file), file.name, "wikidoc", **chosen)))


def test_articles_are_documents_and_their_attributes_columns(tmp_path: Path) -> None:
    file = tmp_path / "wiki_00"
    file.write_text(TWO, encoding="utf-8")
    first, second = _whole(file)
    assert first == RawRecord(
        "byte 0",
        {
            "id": "11",
            "url": "https://zh.example.org/?curid=11",
            "title": "陶行知",
            "text": "陶行知创办了晓庄学校。\n\n他生于歙县。",
        },
    )
    assert isinstance(second, RawRecord)
    # Of an ampersand only what the extractor has escaped is taken back.
    assert second.fields["title"] == 'AT&T "Lab"'
    assert second.fields["text"] == "It made x < y &copy it, and AT&T."
    assert second.place == f"byte {TWO.encode().index(b'<doc', 5)}"


@pytest.mark.parametrize("name", ["AA/wiki_00", "wiki_00.txt", "wiki.00", "wiki_00.gz"])
def test_such_files_are_known_by_their_first_line(name: str, tmp_path: Path) -> None:
    file = tmp_path / "wiki" / name
    file.parent.mkdir(parents=True)
    raw = TWO.encode()
    file.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    found = _find(tmp_path / "wiki", **{"corpus.keep_columns": ("url",)})
    assert (found.format, found.columns) == ("wikidoc", Columns("text", "title", ("id",), ("url",)))
    [split] = found.splits
    assert found.columns is not None
    assert [type(each) for each in read_split(split, found.columns)] == [Record, Record]
    # Who names other columns, or the format, gets these.
    named = _find(tmp_path / "wiki", **{"corpus.id_column": "url", "corpus.format": "wikidoc"})
    assert named.columns == Columns("text", "title", ("url",))
    assert _find(tmp_path / "wiki", **{"corpus.format": "text"}).columns == Columns("text")


def test_beside_plain_texts_the_formats_are_several(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TWO, encoding="utf-8")
    (tmp_path / "b.txt").write_text("<document> is a word here.", encoding="utf-8")
    with pytest.raises(InputError, match="several formats: text, wikidoc"):
        _find(tmp_path)
    (tmp_path / "a.txt").unlink()
    assert _find(tmp_path).format == "text"


def test_what_is_not_closed_or_stands_outside_is_rejected_with_its_lines(tmp_path: Path) -> None:
    file = tmp_path / "wiki_00"
    file.write_bytes(
        b'noise\n\n<doc id="1" title="a">\nopen\n\n<doc id="2" title="b">\nb\n\ngood\n</doc>\nstray\n</doc>\n'
        b'<doc id="3" title="c">\nbad \xff byte\n</doc>\n<doc id="4" title="d">\nd\n</doc>\n<doc id="5" title="e">\nx'
    )
    source = str(file)
    assert _whole(file) == [
        Rejected(source, "line 1", "stands outside of <doc …> and </doc>", 1),
        Rejected(source, "lines 3 to 5", "has no </doc>", 3),
        RawRecord("byte 36", {"id": "2", "title": "b", "text": "good"}),
        Rejected(source, "lines 11 to 12", "stands outside of <doc …> and </doc>", 2),
        Rejected(source, "lines 13 to 15", "is not UTF-8: byte 0xFF at byte 114", 3),
        RawRecord("byte 128", {"id": "4", "title": "d", "text": ""}),
        Rejected(source, "lines 19 to 20", "has no </doc>", 2),
    ]
    # A later split counts its lines from the start of the file.
    assert _whole(file, start=37) == _whole(file)[4:]


def test_a_gzip_that_is_cut_gives_what_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "wiki_00.gz"
    file.write_bytes(gzip.compress(TWO.encode() * 200)[:-30])
    *_, last, end = _whole(file)
    assert isinstance(end, Rejected)
    assert end.cut
    assert "reading stopped" in end.reason
    assert isinstance(last, RawRecord) or last.reason == "has no </doc>"


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('<doc id="1" title="The "Lab" of x">\n', {"id": "1", "title": 'The "Lab" of x'}),
        ('<doc id="1" revid="7" url="" title="a > b">\n', {"id": "1", "revid": "7", "url": "", "title": "a > b"}),
        ('<doc type="x">\n', None),
        ("<document>\n", None),
        (' <doc id="1">\n', None),
        ('<doc id="1" and more text\n', None),
    ],
)
def test_of_a_line_that_may_begin_an_article(line: str, named: dict[str, str] | None) -> None:
    found = attributes(line)
    assert (found and found[0]) == named


PARTS = st.lists(
    st.sampled_from(
        [
            '<doc id="1" title="甲">\n甲\n\n陶行知创办了晓庄学校。\n</doc>\n',
            '<doc id="2" title="乙">\r\n正文&amp;\r\n</doc>\r\n',
            '<doc id="3" title="丙">\n没有结尾\n',
            "外面的一行\n",
            "\n",
            "</doc>\n",
            '<doc id="4" title="丁">text</doc>\n',
        ]
    ),
    max_size=8,
)


@given(PARTS, st.integers(1, 200), st.sampled_from(["utf-8", "gb18030", "utf-16-le"]))
def test_however_a_file_is_cut_each_article_is_read_once(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str], size: int, encoding: Encoding
) -> None:
    file = tmp_path_factory.getbasetemp() / "wiki_cut"
    raw = "".join(parts).encode(encoding)
    file.write_bytes(raw)
    whole = _whole(file, encoding=encoding)
    look = Look(CorpusFile(str(file), len(raw), 0.0, file.name), "wikidoc", encoding)
    cut = [each for split in plan_splits([look], size) for each in read_fields(split)]
    assert cut == whole
    read = sum(isinstance(each, RawRecord) for each in whole)
    assert read >= sum("</doc>" in part and "<doc" in part for part in parts)
