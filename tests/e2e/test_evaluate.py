"""A run against gold, from its tables: joined by id and by text, with what the raw answers and the offsets tell."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from harness.bench import Bench
from harness.lake import Lake

from triplelake.commands.evaluate import AgainstGold, evaluate
from triplelake.errors import InputError
from triplelake.triples.identity import text_hash

pytestmark = pytest.mark.spark

CORPUS = [
    {
        "id": "river",
        "title": "江河志",
        "text": "青河流经松城，最后注入金湖。\n\n沿岸出产茶叶。白河流经梅城，水路通往各地。",
    },
    {"id": "writer", "title": "", "text": "蘇晚晴生於臨川，是小說家。"},
    {"id": "ship", "title": "", "text": "The Meridian Star was built at Harrow Quay."},
    {"id": "refused", "title": "", "text": "何若兰住在云州。"},
]
_SMALL: dict[str, Any] = {"chunking__target_tokens": 12, "chunking__max_tokens": 24, "chunking__context_tokens": 0}


def write(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return path


def found(lake: Lake) -> dict[str, list[list[str]]]:
    facts: dict[str, list[list[str]]] = {}
    for row in sorted(lake.view("current_triples"), key=lambda row: (row["evidence_start"], row["object_start"])):
        facts.setdefault(row["doc_id"], []).append([row["subject"], row["predicate"], row["object"]])
    return facts


def test_by_id_and_by_text(bench: Bench) -> None:
    bench.backend.refused = lambda question: "何若兰" in question
    bench.extract(
        bench.corpus(CORPUS),
        corpus__id_column="id",
        corpus__title_column="title",
        run__max_failure_rate=1.0,
        **_SMALL,
    )
    said = found(bench.lake)
    assert len(bench.lake.rows("chunks")) > len(CORPUS)
    assert {"river", "writer", "ship"} == said.keys()
    lost = ["何若兰", "born_in", "云州"]

    # All that was said is gold, and what was refused; the scripted answers are always of one relation.
    [relation] = {fact[1] for facts in said.values() for fact in facts}
    lines = [{"id": each["id"], "triples": said.get(each["id"], [lost])} for each in CORPUS]
    lines.append({"id": "elsewhere", "triples": [lost]})
    report = evaluate(AgainstGold(str(bench.output), write(bench.folder / "gold.jsonl", lines), "jsonl"))
    count = sum(map(len, said.values()))
    sums = report.groups["all"].sums
    assert report.groups["all"].documents == len(CORPUS)
    assert (sums["gold"], sums["said"], sums["right"]) == (count + 1, count, count)
    assert (sums["spans"], sums["spans_held"]) == (count, count)
    assert (sums["decoded"], sums["grounded"], sums["conformant"]) == (count, count, count)
    answers = bench.lake.view("answers")
    assert sums["requests"] == len(answers) == len(bench.lake.rows("chunks"))
    assert sums["failed"] == 1
    assert sums["empty"] == sum(row["status"] == "empty" for row in answers)
    assert sums["tokens"] == sum(row["completion_tokens"] for row in answers)
    assert {name: group.documents for name, group in report.groups.items()} == {
        "all": 4,
        "en": 1,
        "zh-Hans": 2,
        "zh-Hant": 1,
    }
    assert report.run.model is not None
    assert report.run.settings["ontology"] == "ontologies/general.yaml"
    assert "1 gold documents are not in this output, and are left out (--count-missing)" in report.notes

    # The writer's text in Simplified letters is what the card lists.
    trained = [text_hash("苏晚晴生于临川,是小说家。")]
    card = bench.folder / "card.json"
    card.write_text(json.dumps({"hashes": {"train": trained, "dev": [], "apart": []}}), encoding="utf-8")
    wanted = AgainstGold(str(bench.output), bench.folder / "gold.jsonl", "jsonl", card=card)
    with pytest.raises(InputError, match=r"1 of 4 documents are known .*: writer"):
        evaluate(wanted)
    dropped = evaluate(replace(wanted, seen="drop"))
    assert dropped.groups["all"].documents == len(CORPUS) - 1
    assert any("they are left out" in note for note in dropped.notes)

    # The same of another format, by text: its line numbers are the ids of no document.
    spo = [
        {
            "text": each["text"].replace("\n", ""),
            "spo_list": [
                {"subject": s, "predicate": p, "object": {"@value": o}} for s, p, o in said.get(each["id"], [lost])
            ],
        }
        for each in CORPUS
    ]
    spo.append(
        {"text": "别处的话。", "spo_list": [{"subject": "别处", "predicate": relation, "object": {"@value": "话"}}]}
    )
    gold = write(bench.folder / "duie.jsonl", spo)
    again = evaluate(AgainstGold(str(bench.output), gold, "duie", count_missing=True))
    assert again.groups["all"].sums == {**sums, "gold": count + 2, "gold_pairs": sums["gold_pairs"] + 1}
    assert again.groups["all"].documents == len(CORPUS) + 1

    with pytest.raises(InputError, match="holds none of the documents"):
        evaluate(AgainstGold(str(bench.output), write(bench.folder / "other.jsonl", spo[-1:]), "duie"))
