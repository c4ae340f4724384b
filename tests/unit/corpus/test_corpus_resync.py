"""A damaged JSON array goes on behind the damage, as far as JSON allows, and what is lost is told with its lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from triplelake.corpus.columns import Columns
from triplelake.corpus.readers import json_array, raw, read_split, resync
from triplelake.corpus.splits import Split
from triplelake.types import Record, Rejected

Items = list[dict[str, object]]
FORMS: dict[str, Callable[[list[str]], str]] = {
    "in lines": lambda items: "[\n" + ",\n".join(items) + "\n]\n",
    "indented": lambda items: "[\n  " + ",\n  ".join(items) + "\n]",
    "in one line": lambda items: "[" + ", ".join(items) + "]",
    "no array": "\n".join,
}
DAMAGES: dict[str, Callable[[str], str]] = {
    "a bare quotation mark": lambda item: item.replace("。", '"。', 1),
    "two bare ones": lambda item: item.replace("。", '"和"。', 1),
    "no end": lambda item: item[:-1],
    "half": lambda item: item[: len(item) // 2],
    "a word": lambda item: item.replace('"text": ', '"text": None, "was": ', 1),
    "no colon": lambda item: item.replace(":", "", 1),
    "only a word": lambda item: "undefined",
}


def read(path: Path, content: str) -> list[Record | Rejected]:
    path.write_text(content, encoding="utf-8")
    return list(read_split(Split(str(path), path.name, "json"), Columns("text")))


@pytest.mark.parametrize("block", [3, 1 << 20])
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("form", FORMS)
def test_the_items_around_a_damaged_one_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, damage: str, nested: bool, block: int
) -> None:
    monkeypatch.setattr(raw, "_BLOCK", block)
    # What lies inside an item looks like one.
    replies: Items = [{"id": 90, "text": "答。"}, {"id": 91, "text": "又答。"}] if nested else []
    items = [
        json.dumps({"id": n, "text": f"第{n}句话。", **({"replies": replies} if nested else {})}, ensure_ascii=False)
        for n in range(6)
    ]
    whole = [each.text for each in read(tmp_path / "a.json", FORMS[form](items)) if isinstance(each, Record)]
    assert whole == [f"第{n}句话。" for n in range(6)]
    for number in (0, 2, 5):
        broken = [*items[:number], DAMAGES[damage](items[number]), *items[number + 1 :]]
        found = read(tmp_path / "a.json", FORMS[form](broken))
        texts = [each.text for each in found if isinstance(each, Record)]
        rejected = [each for each in found if isinstance(each, Rejected)]
        others = [text for n, text in enumerate(whole) if n != number]
        assert all(text in others for text in texts), "what is inside of an item was taken for one"
        assert rejected and all("is not JSON" in each.reason for each in rejected)
        if form in ("in lines", "indented", "no array") or (not nested and number and damage != "half"):
            assert texts == others, (number, found)
        if texts != others:
            assert rejected[-1].cut


def test_the_lines_that_are_lost_are_told(tmp_path: Path) -> None:
    items = [json.dumps({"id": n, "text": f"line {n}"}, indent=2) for n in range(4)]
    items[1] = items[1].replace('"line 1"', '"line "1"')
    (first, fault, *others) = read(tmp_path / "a.json", "[\n" + ",\n".join(items) + "\n]")
    assert isinstance(first, Record) and isinstance(fault, Rejected)
    assert [each.text for each in others if isinstance(each, Record)] == ["line 2", "line 3"]
    assert (fault.place, fault.lines, fault.cut) == ("item 2", 4, False)
    assert "; lines 6 to 10, byte " in fault.reason
    (first, fault) = read(tmp_path / "b.json", "[\n" + ",\n".join(items)[:60])
    assert isinstance(fault, Rejected) and fault.cut
    assert "nothing from line 6 on is read" in fault.reason


def test_texts_and_commas(tmp_path: Path) -> None:
    def texts(content: str) -> list[str]:
        return [
            each.text if isinstance(each, Record) else f"!{each.reason.partition(';')[0]}"
            for each in read(tmp_path / "a.json", content)
        ]

    assert texts('["a", b, "c"]') == ["a", "!is not JSON: Expecting value (byte 6)", "c"]
    # Nothing is read of a text whose own quotation marks are bare: where it ends is not known.
    found = texts('[\n"a",\n"he said "yes" to it",\n"c"\n]')
    assert [found[0], found[-1]] == ["a", "c"] and len(found) == 3 and found[1].startswith("!is not JSON")
    assert texts('[\n{"text": "a"} b"},\n{"text": "c"}\n]')[1:] == ["c"]
    assert texts('[{"text": "a"} {"text": "b"}]') == ["a", "b"]
    assert texts('[{"text": "a"},]') == ["a", "!is not JSON: Expecting value (byte 15)"]
    assert texts('[, {"text": "a"}]') == ["!is not JSON: Expecting value (byte 1)", "a"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.text(st.sampled_from('[]{}":,\\ \nab1'), max_size=120), block=st.integers(1, 50))
def test_whatever_stands_there_is_the_same_in_blocks_of_any_size(tmp_path: Path, content: str, block: int) -> None:
    whole = read(tmp_path / "a.json", content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raw, "_BLOCK", block)
        assert read(tmp_path / "a.json", content) == whole


def test_a_file_made_for_it_costs_no_square_of_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = 0
    decode = resync.decoder

    def counting(hook: Callable[[list[tuple[str, object]]], dict[str, object]]) -> resync.Scan:
        scan = decode(hook)

        def each(text: str, at: int) -> tuple[object, int]:
            nonlocal looked
            looked += 1
            return scan(text, at)

        return each

    monkeypatch.setattr(json_array, "decoder", counting)
    monkeypatch.setattr(resync, "_BUDGET", 100_000)
    content = "[\n" + '{"text": [1, 2, 3, 4, 5, 6, 7, 8, 9, "x",\n' * 20_000
    (fault,) = read(tmp_path / "a.json", content)
    assert isinstance(fault, Rejected) and fault.cut and fault.lines == 20_001
    assert looked < 5_000
