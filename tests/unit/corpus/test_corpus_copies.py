"""A name that stands twice is told, wherever it does: nothing chooses between two values in silence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triplelake.config import CorpusFormat, load_settings
from triplelake.corpus.columns import Columns
from triplelake.corpus.copies import copies_at, numbered, object_of
from triplelake.corpus.inputs import find_input
from triplelake.corpus.readers import read_split
from triplelake.corpus.splits import Split
from triplelake.errors import InputError
from triplelake.types import Record, Rejected

_names = st.lists(st.sampled_from(["a", "b", "a#1", "a#2", "正文", "正文#1"]), max_size=7)


@given(_names)
def test_every_column_has_a_name_of_its_own(names: list[str]) -> None:
    made = numbered(names)
    assert len(set(made)) == len(made) == len(names)
    assert all(
        name == old or (names.count(old) > 1 and name.startswith(f"{old}#"))
        for name, old in zip(made, names, strict=True)
    )


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "a#1"]), st.sampled_from([1, 2, True, "x"])), max_size=6))
def test_no_value_of_an_object_is_lost(pairs: list[tuple[str, object]]) -> None:
    made = object_of(pairs)
    for name, value in pairs:
        copies = {repr(made[each]) for each in made if each == name or each.startswith(f"{name}#")}
        assert repr(value) in copies
    assert object_of(list(made.items())) == made


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_a_key_that_stands_twice_rejects_what_needs_it(tmp_path: Path, form: CorpusFormat) -> None:
    lines = [
        '{"text": "甲。", "id": 1, "text": "乙。"}',
        '{"text": "丙。", "id": 2, "text": "丙。"}',
        '{"text": "丁。", "id": 3, "title": "x", "title": "y"}',
        '{"text": "戊。", "id": 4, "other": 1, "other": 2}',
        '{"text": "己。", "id": 5, "a": {"b": 1, "b": 2}}',
    ]
    path = tmp_path / "a"
    path.write_text("[" + ",\n".join(lines) + "]" if form == "json" else "\n".join(lines), encoding="utf-8")
    found = list(read_split(Split(str(path), "a", form), Columns("text", "title", ("id",), ("a.b",))))
    reasons = [each.reason if isinstance(each, Rejected) else each.text for each in found]
    assert reasons == [
        "column `text` stands 2 times with other values: text#1, text#2",
        "丙。",
        "column `title` stands 2 times with other values: title#1, title#2",
        "戊。",
        "column `a.b` stands 2 times with other values: b#1, b#2",
    ]
    (first, *_) = read_split(Split(str(path), "a", form), Columns("text#2"))
    assert isinstance(first, Record) and first.text == "乙。"


def test_a_column_that_stands_twice_in_a_header_is_said_in_words(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,text,text\n1,第一列文字甲,第二列文字乙\n", encoding="utf-8")

    def columns(**chosen: object) -> Columns | None:
        given = {f"corpus.{name}": value for name, value in chosen.items()}
        return find_input(load_settings(None, {"input": (str(path),), **given}, {})).columns

    for chosen in ({}, {"text_column": "text"}):
        with pytest.raises(InputError, match=r"stands twice in the input \(corpus.text_column\)") as caught:
            columns(**chosen)
        assert caught.value.subject == "text"
        assert (
            caught.value.remedy == "Its columns are called `text#1`, `text#2`, as they stand: --text-column 'text#1'."
        )
    with pytest.raises(InputError, match=r"corpus.keep_columns"):
        columns(text_column="text#1", keep_columns=["text"])
    assert columns(text_column="text#2", id_column="id") == Columns("text#2", id=("id",))


def test_a_name_that_only_looks_like_a_copy_is_none() -> None:
    assert copies_at({"text#1": "x"}, "text") == []
    assert copies_at({"text": "x", "text#1": "y", "text#2": "z"}, "text") == []
    assert copies_at(json.loads('{"a": {"b#1": 1, "b#2": 2}}'), "a.b") == ["b#1", "b#2"]
