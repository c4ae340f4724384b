"""The real thing: llama.cpp built from source, a model converted, quantised, and served by what was built.

What takes minutes is kept in the cache of this user (`~/.cache/triplelake-infra`) and done once.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from llama_host import LLAMA, ROOT, read_manifest
from random_atom import make_random_atom
from real_build import CACHE, PREFIX, build_command, run

sys.path.insert(0, str(LLAMA))

from prove_server import running

pytestmark = pytest.mark.infra


@pytest.fixture(scope="session")
def build() -> list[str | Path]:
    """The command that built PREFIX/llama."""
    command = build_command(PREFIX)
    run(*command)
    return command


@pytest.fixture(scope="session")
def model(build: list[str | Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model of Atom's shape that model.sh made."""
    files = CACHE / "Atom-7B-Chat"
    if not (files / "model.safetensors.index.json").exists():
        texts = tmp_path_factory.mktemp("texts") / "texts.txt"
        pages = sorted([*ROOT.glob("README*.md"), *ROOT.glob("docs/*.md")])
        texts.write_text("".join(page.read_text("utf-8") for page in pages), "utf-8")
        make_random_atom(files, texts)
    run(LLAMA / "model.sh", "--prefix", PREFIX, "--model", files)
    return PREFIX / "zh-models" / "7B"


def test_the_built_server_has_proved_itself(build: list[str | Path]) -> None:
    manifest = read_manifest(PREFIX / "llama")
    assert manifest["inputs"]["architectures"] == "none" and manifest["built"]["cargo"].startswith("cargo ")
    proof = manifest["proof"]
    assert proof["model"] == "gemma-3-270m-q4_k_m.gguf" and "鲁迅" not in proof["free"]
    assert proof["gbnf"] in ("鲁迅", "周树人", "浙江绍兴") and 2 <= len(proof["llguidance"]) <= 8


def test_the_same_build_again_takes_no_time(build: list[str | Path]) -> None:
    started = time.monotonic()
    assert run(*build).startswith("Built already: ")
    assert time.monotonic() - started < 3


def test_the_model_is_quantised_and_named(model: Path) -> None:
    manifest = read_manifest(model)
    f16, q8_0 = (manifest["files"][f"ggml-model-{kind}.gguf"]["bytes"] for kind in ("f16", "q8_0"))
    assert 0.5 < q8_0 / f16 < 0.62  # 34 bytes for 32 numbers of 2, and the vocabulary, which stays as it is
    reader = "import sys, gguf; f = gguf.GGUFReader(sys.argv[1]).fields; print(f['general.name'].contents())"
    environment = os.environ | {"PYTHONPATH": str(PREFIX / "llama" / "convert" / "gguf-py")}
    python = PREFIX / "convert-env" / "bin" / "python"
    assert run(python, "-c", reader, model / "ggml-model-q8_0.gguf", env=environment).strip() == "Atom-7B-Chat"


def test_the_same_model_again_takes_no_time(model: Path) -> None:
    started = time.monotonic()
    again = run(LLAMA / "model.sh", "--prefix", PREFIX, "--model", CACHE / "Atom-7B-Chat")
    assert again.startswith("Whole already: ")
    assert time.monotonic() - started < 3


def test_it_is_served_with_the_template_that_the_project_knows(model: Path) -> None:
    profile = yaml.safe_load((ROOT / "conf" / "models" / "atom-7b-chat.yaml").read_text("utf-8"))
    template = ("--chat-template-file", str(model / "chat-template.jinja"))
    with running(PREFIX / "llama" / "bin" / "llama-server", model / "ggml-model-q8_0.gguf", *template) as url:
        question = [{"role": "user", "content": "鲁迅是谁？"}]
        asked = post(url, "apply-template", {"messages": question})["prompt"]
        assert asked == f"{profile['prefix']}鲁迅是谁？{profile['suffix']}"
        answer = post(url, "completion", {"prompt": asked, "n_predict": 8, "grammar": 'root ::= "[]"'})
        assert answer["content"] == "[]"
        tokens = post(url, "tokenize", {"content": "</s>", "add_special": True})["tokens"]
        assert tokens == [1, 2]


WORDS = ("鲁迅", "New York", '["鲁迅","出生地","浙江绍兴"]', '[["New York","located in","the United States"]]', "] ]")


def test_llguidance_rules_every_token_of_such_a_vocabulary(model: Path) -> None:
    with running(PREFIX / "llama" / "bin" / "llama-server", model / "ggml-model-q8_0.gguf") as url:
        # It puts a space before every text, which stock llama.cpp does not tell llguidance.
        assert post(url, "tokenize", {"content": "a", "with_pieces": True})["tokens"][0]["piece"].startswith(" ")
        for words in WORDS:
            grammar = f"%llguidance {{}}\nstart: {json.dumps(words, ensure_ascii=False)}\n"
            asked = {"prompt": "1 + 1 =", "n_predict": 128, "grammar": grammar, "samplers": ["top_k"], "top_k": 1}
            assert post(url, "completion", asked)["content"] == words


def test_a_host_is_tuned_with_questions_of_the_job(model: Path, tmp_path: Path) -> None:
    corpus, questions = tmp_path / "corpus.txt", tmp_path / "questions.jsonl"
    corpus.write_text("".join(f"林若兰生于临川城，教了{number + 1}年书。\n" for number in range(40)), "utf-8")
    server, gguf = PREFIX / "llama" / "bin" / "llama-server", model / "ggml-model-q8_0.gguf"
    named = ("--alias", "atom-7b-chat@1", "--ctx-size", "4096")
    with running(server, gguf, *named, "--chat-template-file", str(model / "chat-template.jinja")) as url:
        words: list[str | Path] = ["--input", corpus, "--pool", url, "--count", "40", "--out", questions]
        run(
            sys.executable,
            ROOT / "infra" / "questions.py",
            *words,
            "--set",
            "corpus.format=lines",
            "--set",
            "ontology=none",
            "--set",
            "answer.max_tokens=24",
        )
    for folder in ("llama", "zh-models"):
        (tmp_path / "opt" / folder).parent.mkdir(exist_ok=True)
        (tmp_path / "opt" / folder).symlink_to(PREFIX / folder)
    wanted = ["--slots", "1", "2", "--kv-type", "f16", "--batch", "2048/512", "--grammar", "llguidance", "gbnf"]
    command: list[str | Path] = [sys.executable, LLAMA / "tune.py", "--questions", questions]
    said = run(*command, "--prefix", tmp_path / "opt", *wanted, "--kv-layout", "split", "--seconds", "1")
    record = json.loads((tmp_path / "opt" / "etc" / "tuned.json").read_text())
    assert not [each["problem"] for each in record["tried"] if each["problem"]], said
    assert all(each["answers"] > 0 and each["tokens_per_s"] > 0 for each in record["tried"]), said
    setups = [each["setup"] for each in record["tried"]]
    assert {each["slots"] for each in setups} == {1, 2, 4}
    assert {each["engine"] for each in setups} == {"llguidance", "gbnf"}
    assert "SERVE_SLOTS=" in (tmp_path / "opt" / "etc" / "tuned.env").read_text()


def post(url: str, path: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(f"{url}/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)
