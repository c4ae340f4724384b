"""What docs/ tells to type is typed: every command and query of the guides, over the sample corpus."""

from __future__ import annotations

import csv
import importlib
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.jobs import ROOT
from harness.lake import Lake
from harness.servers import API_KEY, Counted, Scripted, question, scripted_answer
from pyspark.sql import SparkSession

from triplelake.evaluate.review import ENCODING
from triplelake.prompt.ontology_file import load_ontology
from triplelake.prompt.profile import find_profile
from triplelake.text import detect_language
from triplelake.types import Request

pytestmark = [pytest.mark.spark, pytest.mark.infra]


def blocks(guide: str, kind: str) -> list[str]:
    text = (ROOT / "docs" / guide).read_text("utf-8")
    return re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def here(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with what the guides suppose: a corpus, gold triples, and a pool in the environment."""
    for name, file in (("corpus.jsonl", "corpus.jsonl"), ("gold.jsonl", "gold.jsonl")):
        lines = (ROOT / "conf" / "demo" / file).read_text("utf-8").splitlines()[:6]
        (tmp_path / name).write_text("\n".join(lines) + "\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    with_key = {"TRIPLELAKE__POOL": Counted(Scripted()).url, "TRIPLELAKE__API_KEY": API_KEY}
    for name, value in with_key.items():
        monkeypatch.setenv(name, value)
    yield tmp_path


def type_in(line: str) -> None:
    """Run `python jobs/NAME.py …` in this process."""
    python, script, *words = shlex.split(line)
    assert python == "python" and (ROOT / script).is_file(), line
    name = Path(script).stem
    command = getattr(importlib.import_module(f"triplelake.cli.{name}"), f"{name}_command")
    assert command(words) == 0, line


def test_ontology(here: Path) -> None:
    [text] = blocks("ontology.md", "yaml")
    (here / "my.yaml").write_text(text, "utf-8")
    ontology = load_ontology(str(here / "my.yaml"))
    assert ontology is not None and [each.id for each in ontology.relations] == ["born_in", "founding_year"]
    for block in blocks("ontology.md", "sh"):
        for line in block.splitlines():
            type_in(line)
    assert (here / "out" / "open" / "suggested_ontology.yaml").is_file()
    assert (here / "out" / "try" / "review.csv").is_file()


def test_models(here: Path) -> None:
    [text] = blocks("models.md", "yaml")
    (here / "my-model.yaml").write_text(text, "utf-8")
    assert find_profile(str(here / "my-model.yaml"), "whatever").name == "my-model"
    for block in blocks("models.md", "sh"):
        for line in block.splitlines():
            if "tune_prompt" in line:
                believe(here)
            type_in(line)
    assert find_profile("tuned.yaml", "whatever").template == "plain"
    assert json.loads((here / "a.json").read_text("utf-8"))


def believe(here: Path) -> None:
    """The whole corpus, and gold that the server's answers are right by: where nothing is right, no way is the best."""
    text = (ROOT / "conf" / "demo" / "corpus.jsonl").read_text("utf-8")
    (here / "corpus.jsonl").write_text(text, "utf-8")
    gold = []
    for row in map(json.loads, text.splitlines()):
        request = Request("", row["text"], row["title"], "", detect_language(row["text"]))
        gold.append({"id": row["id"], "triples": json.loads(scripted_answer(question(request)))})
    (here / "gold.jsonl").write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in gold), "utf-8")


def test_confidence(here: Path) -> None:
    lines = (ROOT / "conf" / "demo" / "corpus.jsonl").read_text("utf-8")
    (here / "corpus.jsonl").write_text(lines, "utf-8")
    for block in blocks("confidence.md", "sh"):
        for line in block.splitlines():
            type_in(line)
            if "--sample" in line:
                judge(here / "out" / "kg" / "review.csv")
    assert (here / "calibration.svg").read_text("utf-8").startswith("<?xml")
    assert all(row["confidence"] is not None for row in Lake(here / "out" / "kg").view("current_triples"))


def judge(sheet: Path) -> None:
    """A verdict for every triple: long objects are right, and some of the others."""
    with sheet.open(encoding=ENCODING, newline="") as lines:
        rows = list(csv.DictReader(lines))
    with sheet.open("w", encoding=ENCODING, newline="") as out:
        writer = csv.DictWriter(out, rows[0].keys())
        writer.writeheader()
        for number, row in enumerate(rows):
            said = "yes" if len(row["object"]) > 4 or number % 7 == 0 else "no"
            # What is without a triple states nothing.
            writer.writerow(row | {"verdict": said if row["triple_id"] else "none"})


def test_tables(here: Path) -> None:
    type_in("python jobs/extract.py --input corpus.jsonl --id-column id --title-column title --output out/kg")
    for block in blocks("tables.md", "sh"):
        for line in block.splitlines():
            type_in(line)
    lake = Lake(here / "out" / "kg")
    for query in blocks("tables.md", "sql"):
        lake.query(query)
    for query in blocks("tables.md", "sql"):
        statement = " ".join(line for line in query.splitlines() if not line.startswith("--")).rstrip(";")
        type_in(f"python jobs/sql.py --output out/kg {shlex.quote(statement)}")
