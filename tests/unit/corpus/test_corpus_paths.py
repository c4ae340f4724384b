"""A name with dots leads into the objects of a record."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triplelake.corpus.columns import Columns, record_from_fields
from triplelake.corpus.paths import Absent, look_up, value_at
from triplelake.types import Record, Rejected

NESTED = {
    "id": "a1",
    "article": {"title": "陶行知", "body": "陶行知创办了晓庄学校。", "v1.2": {"正文": "蔡元培"}},
    "tags": ["人物"],
    "note": None,
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", "a1"),
        ("article.body", "陶行知创办了晓庄学校。"),
        ("article.v1.2.正文", "蔡元培"),
        ("article", NESTED["article"]),
        ("tags", ["人物"]),
        ("note", None),
    ],
)
def test_a_path_leads_into_objects(name: str, value: object) -> None:
    assert look_up(NESTED, name) == value


@pytest.mark.parametrize(
    ("name", "why"),
    [("body", ""), ("article.text", ""), ("tags.0", "`tags` is no object"), ("note.x", "`note` is no object")],
)
def test_a_path_that_leads_nowhere_says_where_it_ends(name: str, why: str) -> None:
    with pytest.raises(Absent, match=f"^{why}$"):
        look_up(NESTED, name)
    assert value_at(NESTED, name) is None


def test_a_column_of_that_very_name_wins() -> None:
    assert look_up({"a.b": 1, "a": {"b": 2}}, "a.b") == 1
    assert look_up({"a": {"b.c": 1, "b": {"c": 2}}, "a.b": {"d": 3}}, "a.b.c") == 1


KEYS = st.text("ab.", min_size=1, max_size=3)


@given(st.recursive(st.integers(), lambda inner: st.dictionaries(KEYS, inner, min_size=1, max_size=3), max_leaves=8))
def test_every_path_of_keys_leads_to_something(value: object) -> None:
    def paths(at: object) -> list[str]:
        if not isinstance(at, dict):
            return []
        return [*at, *(f"{key}.{rest}" for key, inner in at.items() for rest in paths(inner))]

    fields = value if isinstance(value, dict) else {}
    for path in paths(fields):
        look_up(fields, path)
    for key in fields:
        assert look_up(fields, key) is fields[key]


def test_every_column_of_a_record_may_be_a_path() -> None:
    columns = Columns("article.body", "article.title", ("article.v1.2.正文", "id"), ("article.v1.2", "tags.0"))
    assert record_from_fields("s", "p", NESTED, columns) == Record(
        "s", "p", "陶行知创办了晓庄学校。", "陶行知", "蔡元培/a1", {"article.v1.2": '{"正文": "蔡元培"}'}
    )
    assert record_from_fields("s", "p", NESTED, Columns("tags.0")) == Rejected(
        "s", "p", "has no column `tags.0`: `tags` is no object"
    )
    assert record_from_fields("s", "p", NESTED, Columns("article")) == Rejected(
        "s", "p", "column `article` is an object, not text"
    )
