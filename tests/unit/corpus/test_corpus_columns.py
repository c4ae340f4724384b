from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from triplelake.config import CorpusSettings
from triplelake.corpus.columns import Columns, choose_columns, record_from_fields
from triplelake.errors import InputError
from triplelake.types import Record, Rejected


def test_the_first_known_name_is_the_text() -> None:
    assert choose_columns(["content", "text", "id"], CorpusSettings()) == Columns("text")
    assert choose_columns(["编号", "内容", "正文"], CorpusSettings()) == Columns("正文")
    assert choose_columns(["編號", "內容"], CorpusSettings()) == Columns("內容")


def test_named_columns_are_taken() -> None:
    named = CorpusSettings(text_column="b", id_column="n", title_column="t", keep_columns=("a", "n"))
    assert choose_columns(["a", "b", "n", "t", "text"], named) == Columns("b", "t", "n", ("a", "n"))


@pytest.mark.parametrize("setting", ["text_column", "id_column", "title_column", "keep_columns"])
def test_a_wrong_name_lists_those_that_exist(setting: str) -> None:
    value = ("titel",) if setting == "keep_columns" else "titel"
    with pytest.raises(InputError) as caught:
        choose_columns(["title", "text"], CorpusSettings.model_validate({setting: value}))
    assert caught.value.subject == "titel"
    assert f"corpus.{setting}" in caught.value.reason
    assert caught.value.remedy == "Did you mean `title`? Columns: title, text."


def test_no_known_name_is_an_error() -> None:
    with pytest.raises(InputError, match="Columns: body, id"):
        choose_columns(["body", "id"], CorpusSettings())
    with pytest.raises(InputError, match="no readable record"):
        choose_columns([], CorpusSettings())


ALL = Columns("text", "title", "id", ("a", "b", "c"))


def test_a_record_with_everything() -> None:
    fields = {
        "text": " 正文\0 ",
        "title": 1984,
        "id": Decimal(7),
        "a": True,
        "b": date(2024, 2, 29),
        "c": {"x": ["甲"]},
        "d": 1,
    }
    assert record_from_fields("s", "p", fields, ALL) == Record(
        "s", "p", " 正文\0 ", "1984", "7", {"a": "true", "b": "2024-02-29", "c": '{"x": ["甲"]}'}
    )


def test_title_and_kept_columns_may_be_missing() -> None:
    fields = {"text": "x", "id": "1", "title": " ", "a": None}
    assert record_from_fields("s", "p", fields, ALL) == Record("s", "p", "x", None, "1", {})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"text": None}, "column `text` is null, not text"),
        ({"text": ""}, "column `text` is empty"),
        ({"text": "\u3000\n"}, "column `text` is blank"),
        ({"text": 5}, "column `text` is a number, not text"),
        ({"text": True}, "column `text` is a boolean, not text"),
        ({"text": ["x"]}, "column `text` is a list, not text"),
        ({"text": "a\udc80"}, "column `text` holds a lone surrogate (U+DC80) at character 1"),
        ({"title": "\ud800"}, "column `title` holds a lone surrogate (U+D800) at character 0"),
        ({"a": ["\ud800"]}, "column `a` holds a lone surrogate (U+D800) at character 2"),
        ({"id": None}, "id column `id` is missing or empty"),
        ({"id": " "}, "id column `id` is missing or empty"),
        ({"id": [1]}, "id column `id` is a list"),
    ],
)
def test_what_cannot_be_used_is_rejected(change: dict[str, object], reason: str) -> None:
    fields = {"text": "x", "id": "1", **change}
    assert record_from_fields("s", "line 3", fields, ALL) == Rejected("s", "line 3", reason)


def test_a_missing_text_column_is_rejected() -> None:
    assert record_from_fields("s", "p", {"id": "1"}, ALL) == Rejected("s", "p", "has no column `text`")
