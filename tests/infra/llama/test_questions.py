"""questions.py: what it writes is what the job asks, and what tune.py reads."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from llama_host import LLAMA, ROOT

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(LLAMA))

from fake.pool import FakePool

import tune
from tune_search import ENGINES

TEXTS = [
    *(f"林若兰生于临川城，教了{number + 1}年书。" for number in range(10)),
    *(f"Ada Vale was born in Tarven and taught for {number + 1} years." for number in range(10)),
]


@pytest.fixture(scope="module")
def pool() -> Iterator[FakePool]:
    with FakePool() as running:
        yield running


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    file = tmp_path / "corpus.jsonl"
    file.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in TEXTS), "utf-8")
    return file


def write(*words: object) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [sys.executable, ROOT / "infra" / "questions.py", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_they_are_those_of_the_job_and_the_same_each_time(pool: FakePool, corpus: Path, tmp_path: Path) -> None:
    files = [tmp_path / "first.jsonl", tmp_path / "second.jsonl"]
    for file in files:
        done = write("--input", corpus, "--pool", pool.setting, "--count", 8, "--out", file, "--set", "profile=base")
        assert done.returncode == 0, done.stderr
        assert f"{file}: 8 questions" in done.stdout
    assert files[0].read_bytes() == files[1].read_bytes()
    questions = tune.read_questions(files[0], ENGINES)
    texts = {text for text in TEXTS for question in questions if text in question["body"]["prompt"]}
    assert len(questions) == len(texts) == 8
    for question in questions:
        assert question["body"]["n_predict"] > 0 and "grammar" not in question["body"]
        assert question["grammars"]["gbnf"].startswith("root ::=")
        assert question["grammars"]["llguidance"].startswith("%llguidance")


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        ([], 2, "error: --input: is missing"),
        (["--set", "run.limt=3"], 2, "error: run.limt"),
        (["--input", "no-such-file.jsonl"], 3, "error: no-such-file.jsonl"),
        (["--input", "FOLDER", "--set", "corpus.format=delta"], 3, "which Spark reads"),
    ],
)
def test_what_cannot_be_asked_about(pool: FakePool, tmp_path: Path, words: list[str], code: int, reason: str) -> None:
    out = tmp_path / "questions.jsonl"
    done = write("--pool", pool.setting, "--set", "profile=base", "--out", out, *words)
    assert (done.returncode, out.exists()) == (code, False), done.stderr
    assert reason in done.stderr and "Traceback" not in done.stderr
