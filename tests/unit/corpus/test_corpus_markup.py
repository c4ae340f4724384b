from __future__ import annotations

import pytest

from triplelake.corpus.columns import Columns, record_from_fields, refuse_html
from triplelake.corpus.markup import NotConverted, first_html, html_to_text
from triplelake.errors import InputError
from triplelake.types import Record, Rejected

PAGE = """<?xml version="1.0" encoding="gbk"?>
<!DOCTYPE html><html><head><title>不在正文</title><style>p { color: red }</style></head>
<body><script>document.write("<p>not seen</p>")</script>
<h1>临川城</h1><p><b>林若兰</b>生于<a href="/x">临川城</a>，在&quot;云梦书院&quot;教书。</p>
<p>Edda Lund<br/>&amp; Nora &#26519;</p></body></html>"""


def test_the_text_is_what_a_reader_would_see() -> None:
    assert html_to_text(PAGE) == '临川城\n\n林若兰生于临川城，在"云梦书院"教书。\n\nEdda Lund\n& Nora 林'


def test_a_text_without_tags_keeps_its_lines() -> None:
    assert html_to_text("one\ntwo\n\nthree < four & <five>") == "one\ntwo\n\nthree < four & <five>"
    assert html_to_text("one\n&lt;two&gt; &#26519;") == "one\n<two> 林"


def test_nothing_is_replaced_or_lost() -> None:
    assert html_to_text("<p>a\0b\x01c</p>\0<p>𠮷d</p>") == "abc\n\n𠮷d"
    with pytest.raises(NotConverted, match="nested too deeply"):
        html_to_text("<div>" * 300 + "deep")


def test_html_is_noticed_where_a_tenth_of_the_texts_are() -> None:
    plain = "若 a < b 且 b > c，则 <x> 成立。"
    assert first_html([plain] * 9 + ["<p>见<b>此</b></p>"]) == "<p>见<b>此</b></p>"
    assert first_html([plain] * 10 + ["<p>见<b>此</b></p>"]) is None
    assert first_html(["The tag <b> stands alone."]) is None
    assert first_html([]) is None


def test_nobody_has_said_what_to_do_with_it() -> None:
    with pytest.raises(InputError, match="looks like HTML") as caught:
        refuse_html("pages", [PAGE])
    assert "--html-to-text" in caught.value.remedy
    assert "--no-html-to-text" in caught.value.remedy
    refuse_html("texts", ["nothing of the kind"])


def test_a_record_of_html() -> None:
    columns = Columns("text", html=True)
    assert record_from_fields("s", "p", {"text": "<p>林若兰</p>"}, columns) == Record("s", "p", "林若兰")
    for text in ("<p> </p>", "<!-- x --><br>"):
        assert record_from_fields("s", "p", {"text": text}, columns) == Rejected(
            "s", "p", "column `text` is HTML without text"
        )
    deep = record_from_fields("s", "p", {"text": "<div>" * 300}, columns)
    assert isinstance(deep, Rejected)
    assert "nested too deeply" in deep.reason
