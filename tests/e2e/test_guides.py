"""What docs/ tells to type is typed: every command and query of the guides, over the sample corpus."""

from __future__ import annotations

import csv
import importlib
import json
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.jobs import ROOT
from harness.lake import Lake
from harness.servers import API_KEY, Counted, Scripted, question, scripted_answer
from pyspark.sql import SparkSession

import triplelake
from triplelake.evaluate.review import ENCODING
from triplelake.prompt.ontology_file import load_ontology
from triplelake.prompt.profile import find_profile
from triplelake.text import detect_language
from triplelake.types import Request

pytestmark = [pytest.mark.spark, pytest.mark.infra]


def blocks(guide: str, kind: str) -> list[str]:
    return blocks_of(ROOT / "docs" / guide, kind)


def blocks_of(page: Path, kind: str) -> list[str]:
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return [block for language, block in fences if language == kind]


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
    python, script, *words = shlex.split(line, comments=True)
    assert python == "python" and (ROOT / script).is_file(), line
    name = Path(script).stem
    command = getattr(importlib.import_module(f"triplelake.cli.{name}"), f"{name}_command")
    assert command(words) == 0, line


def fill(output: str) -> None:
    """What README and the guides suppose to be there: the tables of a run over the corpus."""
    type_in(f"python jobs/extract.py --input corpus.jsonl --id-column id --title-column title --output {output}")


def test_readme(here: Path, spark: SparkSession) -> None:
    readme = ROOT / "README.md"  # its twin has the same blocks but for comments: tests/unit/docs/test_guides.py
    fill("out/kg")
    [shown] = [block for block in blocks_of(readme, "") if "jobs/report.py" in block]
    for line in shown.splitlines():
        type_in(line)
    assert (here / "report.html").is_file() and (here / "facts.csv").is_file()
    [queries] = blocks_of(readme, "sql")
    for query in queries.split(";")[:-1]:
        type_in(f"python jobs/sql.py --output out/kg {shlex.quote(without_comments(query))}")
    [notebook] = blocks_of(readme, "python")
    names = run_block(notebook, here, spark=spark)
    assert names["run"].counts.documents == len((here / "corpus.jsonl").read_text("utf-8").splitlines())
    assert list(names["facts"].columns) == names["run"].facts.columns


def test_python(here: Path, spark: SparkSession) -> None:
    corpus = spark.read.json(str(here / "corpus.jsonl"))
    articles = corpus.withColumnsRenamed({"id": "url", "text": "body"})
    extracting, reading = (
        block.replace("http://gpu-1:8080", os.environ["TRIPLELAKE__POOL"]) for block in blocks("python.md", "python")
    )
    assert run_block(extracting, here, articles=articles)["run"].counts.triples > 0
    assert run_block(reading, here, spark=spark, triplelake=triplelake)["f1"].value >= 0
    assert (here / "facts.csv").is_file()


def run_block(code: str, folder: Path, **names: Any) -> dict[str, Any]:
    """Run a block of Python; Spark's own folder is another one, so that it needs the whole path."""
    exec(code.replace('"corpus.jsonl"', repr(str(folder / "corpus.jsonl"))), names)
    return names


def test_export(here: Path) -> None:
    fill("out/kg")
    for line in "".join(blocks("export.md", "sh")).splitlines():
        if "--what training" not in line:  # it wants a profile and judged triples: tests/spark/test_training_tables.py
            type_in(line)
    assert (here / "triples.nq").is_file() and (here / "graph" / "nodes.csv").is_file()


def without_comments(query: str) -> str:
    return " ".join(line for line in query.splitlines() if not line.startswith("--"))


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
    fill("out/kg")
    for block in blocks("tables.md", "sh"):
        for line in block.splitlines():
            type_in(line)
    lake = Lake(here / "out" / "kg")
    for query in blocks("tables.md", "sql"):
        lake.query(query)
    for query in blocks("tables.md", "sql"):
        statement = without_comments(query).rstrip(";")
        type_in(f"python jobs/sql.py --output out/kg {shlex.quote(statement)}")
