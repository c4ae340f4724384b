from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triplelake.cli.extract import extract_parser
from triplelake.config import CorpusSettings, load_settings
from triplelake.corpus.columns import Columns, choose_columns, record_from_fields
from triplelake.corpus.shapes import shape_of
from triplelake.engine.planning.keys import command_hash
from triplelake.errors import InputError, UsageError
from triplelake.types import Record, Rejected


def test_the_first_known_name_is_the_text() -> None:
    assert choose_columns(["content", "text", "id"], CorpusSettings()) == Columns("text")
    assert choose_columns(["编号", "内容", "正文"], CorpusSettings()) == Columns("正文")
    assert choose_columns(["編號", "內容"], CorpusSettings()) == Columns("內容")


def test_named_columns_are_taken() -> None:
    named = CorpusSettings(text_column="b", id_column="n", title_column="t", keep_columns=("a", "n"))
    assert choose_columns(["a", "b", "n", "t", "text"], named) == Columns("b", "t", ("n",), ("a", "n"))


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


ALL = Columns("text", "title", ("id",), ("a", "b", "c"))


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


def test_several_columns_are_the_id_together() -> None:
    columns = Columns("text", id=("doc", "page"))
    record = record_from_fields("s", "p", {"text": "x", "doc": "report-7", "page": Decimal(2)}, columns)
    assert isinstance(record, Record) and record.id == "report-7/2"
    record = record_from_fields("s", "p", {"text": "x", "doc": "a/b", "page": "50%"}, columns)
    assert isinstance(record, Record) and record.id == "a%2Fb/50%25"
    assert record_from_fields("s", "p", {"text": "x", "doc": "7"}, columns) == Rejected(
        "s", "p", "id column `page` is missing or empty"
    )


def test_one_column_gives_its_value_as_it_stands() -> None:
    record = record_from_fields("s", "p", {"text": "x", "id": "a/b%"}, Columns("text", id=("id",)))
    assert isinstance(record, Record) and record.id == "a/b%"


_value = st.text(st.sampled_from("a/%2F5编"), min_size=1, max_size=6)


@given(_value, _value, _value, _value)
def test_other_values_are_another_id(a: str, b: str, c: str, d: str) -> None:
    ids = []
    for doc, page in ((a, b), (c, d)):
        record = record_from_fields(
            "s", "p", {"text": "x", "doc": doc, "page": page}, Columns("text", id=("doc", "page"))
        )
        assert isinstance(record, Record)
        ids.append(record.id)
    assert (ids[0] == ids[1]) == ((a, b) == (c, d))


def test_a_list_of_one_id_column_is_the_same_command_as_its_name() -> None:
    hashes = {
        command_hash(load_settings(None, {"corpus.id_column": given}, {}), "key")
        for given in ("doc", ["doc"], ("doc",))
    }
    assert len(hashes) == 1
    assert load_settings(None, {"corpus.id_column": ["doc", "page"]}, {}).corpus.id_columns == ("doc", "page")
    assert load_settings(None, {}, {}).corpus.id_columns == ()
    arguments = extract_parser().parse(["--id-column", "doc", "page"])
    assert vars(arguments)["corpus.id_column"] == ["doc", "page"]


@pytest.mark.parametrize("wrong", [[], 5, ["doc", "doc"], [None]])
def test_an_id_column_that_cannot_be_is_refused(wrong: object) -> None:
    with pytest.raises(UsageError, match=r"corpus.id_column: (must be|names) a column"):
        load_settings(None, {"corpus.id_column": wrong}, {})


NESTED = [
    {
        "id": n,
        "article": {"title": "陶行知", "body": "陶行知创办了晓庄学校。"},
        "src": {"url": "https://a.example/long"},
    }
    for n in range(3)
]


def _nested(**chosen: object) -> Columns:
    return choose_columns(list(NESTED[0]), CorpusSettings.model_validate(chosen), shape_of(NESTED))


def test_every_column_may_be_a_path() -> None:
    chosen = _nested(
        text_column="article.body", title_column="article.title", id_column="src.url", keep_columns=["src.url", "src"]
    )
    assert chosen == Columns("article.body", "article.title", ("src.url",), ("src.url", "src"))


@pytest.mark.parametrize(
    ("setting", "name", "remedy"),
    [
        ("text_column", "body", "It lies inside an object: --text-column article.body\n"),
        ("title_column", "title", "It lies inside an object: --title-column article.title\n"),
        ("id_column", "url", "It lies inside an object: --id-column src.url\n"),
        ("keep_columns", "url", "It lies inside an object: --keep-columns src.url\n"),
        ("text_column", "article.bodi", "Did you mean `article.body`? "),
    ],
)
def test_a_name_that_lies_inside_an_object_is_given_with_its_path(setting: str, name: str, remedy: str) -> None:
    with pytest.raises(InputError) as caught:
        _nested(**{setting: [name] if setting == "keep_columns" else name})
    assert caught.value.remedy == f"{remedy}Columns: id, article.title, article.body, src.url."


def test_with_nothing_named_the_longest_text_inside_an_object_is_offered() -> None:
    with pytest.raises(InputError, match=r"--text-column article.body. Columns: id, article.title, article.body, src"):
        _nested()


def test_an_object_is_no_text() -> None:
    with pytest.raises(InputError) as caught:
        _nested(text_column="article")
    assert str(caught.value) == (
        "article: is an object, not text (corpus.text_column)\n"
        "Name what is inside it: --text-column article.body. Text is in: article.body, article.title."
    )


def test_a_known_name_that_is_no_text_is_passed_over() -> None:
    records = [{"text": {"a": "x"}, "content": "陶行知"}]
    assert choose_columns(["text", "content"], CorpusSettings(), shape_of(records)) == Columns("content")
    with pytest.raises(InputError, match=r"^text: is an object.*\n.*--text-column text.a"):
        choose_columns(["text"], CorpusSettings(), shape_of([{"text": {"a": "x"}}]))


def test_of_many_columns_some_are_listed() -> None:
    names = [f"c{n}" for n in range(1000)]
    with pytest.raises(InputError) as caught:
        choose_columns(names, CorpusSettings())
    assert caught.value.remedy.endswith("c39 and 960 more.")
