"""Training data of invented names in the form that the export writes, small enough for a random model."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from triplelake.prompt.ontology_file import load_ontology
from triplelake.prompt.profile import ModelProfile, write_profile
from triplelake.prompt.prompts import load_prompts
from triplelake.prompt.render import Renderer
from triplelake.training.card import VERSION
from triplelake.types import Request

ONTOLOGY = """\
name: little
relations:
  - {id: author, name_zh: 作者, name_en: author}
  - {id: director, name_zh: 导演, name_en: director}
"""
FIRST, LAST = "霍苏简闻陶", "听澜映棠弗宁栖迟霁言"
PLAIN = ModelProfile("little", "plain", match=("little",), stop=("\n",), instructions="line")


def write_course(
    folder: Path, *, texts: int = 60, dev: int = 10, profile: ModelProfile = PLAIN, ontology: str = ONTOLOGY
) -> Path:
    """A folder with so many texts to train on and to look at; each sixth states no fact."""
    folder.mkdir(parents=True)
    (folder / "ontology.yaml").write_text(ontology, encoding="utf-8")
    write_profile(folder / "profile.yaml", profile, [], overwrite=False)
    known = load_ontology(str(folder / "ontology.yaml"))
    renderer = Renderer(load_prompts("prompts"), known, profile)
    chance = random.Random(3)

    def name(letters: int) -> str:
        return chance.choice(FIRST) + "".join(chance.choice(LAST) for _ in range(letters))

    rows = []
    for rank in range(texts + dev):
        work, person, relation = name(3), name(2), ("作者", "导演")[rank % 2]
        silent = rank % 6 == 5
        text = f"{person}没有来。" if silent else f"《{work}》的{relation}是{person}。"
        facts = [] if silent else [(work, relation, person)]
        rows.append(
            {
                "id": f"{rank:064x}",
                "lang": "zh-Hans",
                "text": text,
                "title": "",
                "context": "",
                "facts": facts,
                "prompt": renderer.render(Request("", text, "", "", "zh-Hans")).text,
                "answer": renderer.form.write(facts),
                "origin": "gold:little.jsonl",
            }
        )
    for file, part in (("train.jsonl", rows[:texts]), ("dev.jsonl", rows[texts:])):
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in part)
        (folder / file).write_text(lines, encoding="utf-8")
    card = {
        "version": VERSION,
        "made_by": "a test",
        "format": "jsonl",
        "profile": profile.name,
        "instructions": profile.instructions,
        "answer": profile.answer,
        "ontology": "little",
        "end": profile.stop[0],
        "train": _part(rows[:texts]),
        "dev": _part(rows[texts:]),
        "copies": 0,
        "texts_left_out": {},
        "facts_left_out": {},
        "draw": {"n": None, "dev": 0.1, "empty": 0.2, "per_relation": None, "seed": 0, "hant": False},
        "contents": {},
        "hashes": {
            "train": [row["id"] for row in rows[:texts]],
            "dev": [row["id"] for row in rows[texts:]],
            "apart": [],
        },
    }
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    return folder


def _part(rows: list[dict[str, Any]]) -> dict[str, Any]:
    empty = sum(not row["facts"] for row in rows)
    counts: dict[str, dict[str, int]] = {name: {} for name in ("origins", "languages", "lengths", "relations")}
    return {"texts": len(rows), "empty": empty, "facts": len(rows) - empty, **counts}
