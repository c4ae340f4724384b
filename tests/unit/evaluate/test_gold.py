"""Readers of gold formats, on lines of our own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from triplelake.errors import InputError
from triplelake.evaluate.gold import (
    READERS,
    GoldDocument,
    gold_format,
    read_duie,
    read_gold,
    read_text2kgbench,
    within,
)
from triplelake.evaluate.ontologies import by_predicates


def write(path: Path, *lines: Any) -> Path:
    path.write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in lines) + "\n", encoding="utf-8")
    return path


def spo(subject: str, predicate: str, value: str, **more: str) -> dict[str, Any]:
    return {"subject": subject, "predicate": predicate, "object": {"@value": value, **more}}


def test_our_own_format(tmp_path: Path) -> None:
    path = write(
        tmp_path / "gold.jsonl",
        {"id": "a", "text": "他写了《晨雾》。", "title": "林知远", "triples": [["晨雾", "author", "林知远"]] * 2},
        {"id": "b", "text": "Acme denies it.\u2028", "triples": []},
    )
    assert read_gold(path) == [
        GoldDocument("a", "他写了《晨雾》。", (("晨雾", "author", "林知远"),), "林知远"),
        GoldDocument("b", "Acme denies it.\u2028", ()),
    ]


def test_duie_takes_the_value_of_complex_objects(tmp_path: Path) -> None:
    roles = [spo("何若兰", "饰演", "阿海", inWork="云帆"), spo("云帆", "导演", "林知远")]
    path = write(
        tmp_path / "d.jsonl",
        {"text": "何若兰在林知远导演的《云帆》中饰演阿海", "spo_list": roles},
        {"text": "无", "spo_list": []},
    )
    first, second = read_duie(path)
    assert first.facts == (("何若兰", "饰演", "阿海"), ("云帆", "导演", "林知远"))
    assert (first.id, second.id, second.facts) == ("1", "2", ())


def test_text2kgbench_lines_of_one_sentence_are_one_document(tmp_path: Path) -> None:
    def line(id: str, sent: str, sub: str, rel: str, obj: str) -> dict[str, str]:
        return {"id": id, "sent": sent, "sub_label": sub, "rel_label": rel, "obj_label": obj, "rel": "P57"}

    path = write(
        tmp_path / "t.jsonl",
        line("t_1", "Harbour is a film by Ann Lee.", "Harbour", "director", "Ann Lee"),
        line("t_2", "Tide is a song.", "Tide", "genre", "song"),
        line("t_3", "Harbour is a film by Ann Lee.", "Harbour", "genre", "film"),
        line("t_4", "Harbour is a film by Ann Lee.", "Harbour", "genre", "film"),
    )
    assert read_text2kgbench(path) == [
        GoldDocument(
            "t_1", "Harbour is a film by Ann Lee.", (("Harbour", "director", "Ann Lee"), ("Harbour", "genre", "film"))
        ),
        GoldDocument("t_2", "Tide is a song.", (("Tide", "genre", "song"),)),
    ]


def test_text2kgbench_ground_truth(tmp_path: Path) -> None:
    triples = [{"sub": "Tide", "rel": "performer", "obj": "Ann Lee"}]
    path = write(tmp_path / "t.jsonl", {"id": "t_1", "sent": "Ann Lee sang Tide.", "triples": triples})
    assert read_text2kgbench(path)[0].facts == (("Tide", "performer", "Ann Lee"),)


def test_facts_outside_an_ontology_are_left_out_and_counted() -> None:
    document = GoldDocument("1", "text", (("a", "genre", "b"), ("a", "uses", "c")))
    kept, lacking = within([document], by_predicates("one", {"genre": ()}))
    assert kept[0].facts == (("a", "genre", "b"),)
    assert lacking == 1


GOOD = '{"id":"a","text":"t","triples":[],"spo_list":[],"sent":"t"}\n'


@pytest.mark.parametrize("read", [read_gold, read_duie, read_text2kgbench])
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{oops", "is not JSON"),
        ("[1]", "holds a list"),
        ('{"other":1}', "lacks "),
        ('{"id":"a","text":1,"sent":1,"triples":[],"spo_list":[]}', "is not of this format"),
        ('{"id":"a","text":"t","sent":"t","triples":["x"],"spo_list":["x"]}', "is not of this format"),
        ('{"id":"a","text":"t","sent":"t","triples":[["a","b"]],"spo_list":[{"subject":"a"}]}', ""),
    ],
)
def test_a_bad_line_is_named(
    tmp_path: Path, read: Callable[[Path], list[GoldDocument]], line: str, reason: str
) -> None:
    path = tmp_path / "gold.jsonl"
    path.write_text(GOOD + "\n" + line + "\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read(path)
    assert caught.value.subject == f"{path}, line 3"
    assert reason in caught.value.reason


def test_a_repeated_id_a_missing_file_and_another_encoding_are_told(tmp_path: Path) -> None:
    line = {"id": "a", "text": "t", "triples": []}
    with pytest.raises(InputError, match="'a' occurs twice"):
        read_gold(write(tmp_path / "twice.jsonl", line, line))
    with pytest.raises(InputError, match="No such file"):
        read_gold(tmp_path / "none.jsonl")
    (tmp_path / "gbk.jsonl").write_bytes('{"text": "晨雾"}'.encode("gbk"))
    with pytest.raises(InputError, match="not UTF-8"):
        read_duie(tmp_path / "gbk.jsonl")


@pytest.mark.parametrize(
    ("line", "format"),
    [
        ({"text": "无", "spo_list": []}, "duie"),
        ({"id": "t_1", "sent": "Tide.", "triples": []}, "text2kgbench"),
        ({"id": "t_1", "sent": "Tide.", "sub_label": "a", "rel_label": "b", "obj_label": "c"}, "text2kgbench"),
        ({"id": "a", "text": "t", "triples": []}, "jsonl"),
        ({"id": "a", "triples": []}, "jsonl"),
    ],
)
def test_the_first_line_tells_the_format(tmp_path: Path, line: dict[str, Any], format: str) -> None:
    path = write(tmp_path / "gold.jsonl", line)
    assert gold_format(path) == format
    assert len(READERS[format](path)) == 1


def test_what_is_no_gold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no gold file"):
        gold_format(write(tmp_path / "corpus.jsonl", {"id": "a", "text": "t"}))
    (tmp_path / "empty.jsonl").write_text("\n", encoding="utf-8")
    with pytest.raises(InputError, match="holds nothing"):
        gold_format(tmp_path / "empty.jsonl")


def test_gold_without_texts(tmp_path: Path) -> None:
    path = write(tmp_path / "facts.jsonl", {"id": "a", "triples": [["甲", "作者", "乙"]]})
    assert read_gold(path) == [GoldDocument("a", "", (("甲", "作者", "乙"),))]
