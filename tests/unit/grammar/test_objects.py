"""The objects that a relation's pattern leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from triplelake.prompt.grammar.objects import matching_objects
from triplelake.prompt.grammar.spans import material
from triplelake.prompt.ontology_file import load_ontology
from triplelake.types import Request

GENERAL = load_ontology(str(Path(__file__).parents[3] / "conf" / "ontologies" / "general.yaml"))
assert GENERAL is not None
PATTERNS = [
    *sorted({relation.object_pattern for relation in GENERAL.relations if relation.object_pattern}),
    r"\d{4}年(\d{1,2}月)?",
    r".*省",
    r"(?i)[a-z]+ (?:city|river)$",
    r"(?!1)\d+\b",
    r"(?<=x)never",
]
WORDS = [
    *("1998", "年", "11", "月", "3", "日", "约", "公元", "前", "221", "万", "人", "平方公里", "广", "东", "省", "。"),
    *("March", "3rd", "of", "New", "York", "City", "1,640", "km²", ",", ".", "-", "x", " "),
]


@pytest.mark.parametrize("pattern", PATTERNS)
@given(words=st.lists(st.sampled_from(WORDS), max_size=14), limit=st.integers(4, 30))
def test_all_matching_entities_are_found_and_no_other(
    pattern: str, entities_of: Callable[[Request, int], set[str]], words: list[str], limit: int
) -> None:
    request = Request("r", "".join(words), "广东省", "March 3, 1998", "zh-Hans")
    expected = {entity for entity in entities_of(request, limit) if regex.fullmatch(pattern, entity)}
    found = matching_objects(pattern, material(request, limit, quoted=True))
    assert set(found) == expected
    assert len(found) == len(expected)


def test_dates_are_whole_or_shorter_but_never_cut_a_number() -> None:
    request = Request("r", "公司于1998年11月11日成立。", "", "", "zh-Hans")
    found = matching_objects(r"\d{4}年(\d{1,2}月(\d{1,2}日)?)?", material(request, 40))
    assert found == ("1998年", "1998年11月", "1998年11月11日")
