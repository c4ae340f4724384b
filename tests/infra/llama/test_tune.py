"""tune.py: which setup it finds, and what it does on a host; here with a server that only plays one."""

from __future__ import annotations

import json
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from llama_host import LLAMA, ROOT

sys.path.insert(0, str(LLAMA))

import tune
import tune_search
from tune_trial import Result, Setup

STUB = ROOT / "tests" / "infra" / "deploy" / "stub_llama_server.py"
QUESTION = {"body": {"prompt": "x", "n_predict": 2}, "grammars": {"llguidance": "a", "gbnf": "b"}}
START = tune_search.DEFAULTS["gpu"]

Tune = Callable[..., subprocess.CompletedProcess[str]]


def options(*words: str) -> Any:
    return tune.parse(["--questions", "q.jsonl", *words])


def searched(speed: Callable[[Setup], float], *words: str, fixed: dict[str, str] | None = None) -> tuple[Setup, int]:
    """What is found where a setup gives so many answers per second (0: none), and how many were tried."""
    tried = []

    def measure(setup: Setup) -> Result:
        assert setup not in tried
        tried.append(setup)
        per_s = speed(setup)
        return Result(setup, per_s) if per_s else Result(setup, problem="does not fit")

    best = tune_search.search(START, tune_search.axes("gpu", fixed or {}, options(*words)), measure)
    return best.setup, len(tried)


def test_it_finds_what_each_setting_gives() -> None:
    wanted = Setup(64, "unified", "f16", 2048, 2048, 1, "gbnf")

    def speed(setup: Setup) -> float:
        alike: int = sum(getattr(setup, name) == getattr(wanted, name) for name in ("kv_layout", "kv_type", "ubatch"))
        return (setup.slots if setup.slots <= 64 else 0) * (1 + 0.1 * alike + 0.1 * (setup.engine == "gbnf"))

    assert searched(speed) == (wanted, 6 + 1 + 1 + 1 + 3)


def test_a_lead_within_the_noise_changes_nothing() -> None:
    assert searched(lambda setup: 10.1 if setup != START else 10.0)[0] == START


def test_no_grammar_is_measured_and_never_chosen() -> None:
    found, tried = searched(lambda setup: 20.0 if setup.engine == "none" else 10.0, "--grammar", "llguidance", "none")
    assert found == START
    assert tried == 5 + 1 + 1 + 1 + 3 + 1


def test_what_the_inventory_says_stays_as_it_is() -> None:
    found, _ = searched(lambda setup: setup.slots * (2 if setup.kv_type == "f16" else 1), fixed={"SERVE_SLOTS": "32"})
    assert found == replace(START, kv_type="f16")


def test_servers_of_a_card_share_its_slots() -> None:
    speed = {(1, 64): 10.0, (2, 32): 12.0, (4, 16): 11.0}
    found, _ = searched(lambda s: speed.get((s.servers, s.slots), 1.0), "--slots", "64", "--servers", "1", "2", "4")
    assert (found.servers, found.slots) == (2, 32)


def test_the_best_must_win_once_more() -> None:
    lucky = replace(START, slots=64)
    again = {START: 10.0, lucky: 9.0}
    assert tune.duel(START, lucky, lambda setup: Result(setup, again[setup])).setup == START


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """A host as `pool.py up` leaves it, with a server that only plays one."""
    folder = tmp_path / "opt"
    binary, model = folder / "builds" / "llama-server", folder / "models" / "atom.gguf"
    for file in (binary, model):
        file.parent.mkdir(parents=True)
    shutil.copy(STUB, binary)
    binary.chmod(0o755)
    shutil.copy(LLAMA / "atom-chat-template.jinja", model)
    return folder


@pytest.fixture
def run(prefix: Path, tmp_path: Path) -> Tune:
    scripts = tmp_path / "libexec"
    scripts.mkdir()
    for name in ("tune.py", "tune_search.py", "tune_trial.py"):
        shutil.copy(LLAMA / name, scripts)
    # In the place of serve.sh: the sizes of a real model are none of a stub's.
    (scripts / "serve.sh").write_text(
        "#!/bin/sh\n"
        '[ "$SERVE_SLOTS" -le 8 ] || { echo "error: $SERVE_MODEL: $SERVE_SLOTS slots need 99 GiB" >&2; exit 3; }\n'
        '[ "$SERVE_KV_LAYOUT" = split ] || { echo "CUDA error: out of memory" >&2; exit 1; }\n'
        f'exec {shlex.quote(sys.executable)} "$SERVE_BINARY" --host "$SERVE_HOST" --port "$SERVE_PORT"'
        ' --parallel "$SERVE_SLOTS" --ctx-size 4096 --alias "$SERVE_ALIAS"\n'
    )
    (scripts / "serve.sh").chmod(0o755)
    questions = tmp_path / "questions.jsonl"
    questions.write_text(f"{json.dumps(QUESTION)}\n" * 3)

    def call(*words: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, scripts / "tune.py", "--questions", questions, "--prefix", prefix, *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    return call


def deployed(prefix: Path, port: int) -> None:
    (prefix / "etc").mkdir()
    values = {
        "BINARY": prefix / "builds" / "llama-server",
        "MODEL": prefix / "models" / "atom.gguf",
        "ALIAS": "atom@1",
        "HOST": "127.0.0.1",
        "PORT": port,
        "API_KEY_FILE": "/no/such/key",
        "DEVICE": "cpu",
        "KV_TYPE": "f16",
        "SERVERS_PER_GPU": 1,
    }
    lines = "".join(f"SERVE_{name}={value}\n" for name, value in values.items())
    (prefix / "etc" / f"llama-server@{port}.env").write_text(f"# Written by infra/pool.py\n{lines}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_host_is_tuned(run: Tune, prefix: Path) -> None:
    deployed(prefix, free_port())
    done = run("--seconds", "0.5", "--slots", "1", "8", "64", "--batch", "2048/512")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines() if "|" in line]
    problems = {(row[0], row[1]): row[-1] for row in rows[2:]}
    assert problems[("64", "split")] == f"does not fit: {prefix}/models/atom.gguf: 64 slots need 99 GiB"
    assert problems[("8", "unified")] == "does not start (exit code 1): CUDA error: out of memory"
    assert {problems[(slots, "split")] for slots in ("1", "4", "8")} == {""}
    written = (prefix / "etc" / "tuned.env").read_text().splitlines()
    # Half a second apart: a stub with twice the slots is twice as fast, whatever else the machine does.
    assert written[1:] == ["SERVE_SLOTS=8", "SERVE_KV_LAYOUT=split", "SERVE_BATCH=2048", "SERVE_UBATCH=512"]
    record = json.loads((prefix / "etc" / "tuned.json").read_text())
    assert record["best"]["setup"]["slots"] == 8 and record["best"]["answers"] > 0
    assert len(record["tried"]) == len(rows) - 2
    assert "python infra/pool.py up" in done.stdout


def test_a_dry_run_says_what_it_would_try(run: Tune, prefix: Path) -> None:
    deployed(prefix, free_port())
    done = run("--dry-run")
    assert done.returncode == 0, done.stderr
    assert "slots: 1 x 1 slots split f16 2048/512 llguidance, 1 x 2 slots" in done.stdout
    assert "KV type" not in done.stdout
    assert not (prefix / "etc" / "tuned.env").exists()


def test_a_host_that_serves_is_refused(run: Tune, prefix: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        deployed(prefix, port)
        done = run()
    assert done.returncode == 3
    assert f"error: 127.0.0.1:{port}: a server still runs on this host" in done.stderr
    assert "infra/pool.py stop HOST" in done.stderr


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "No such file or directory"),
        ("", "is empty"),
        ("{}", "line 1 is no question"),
        ('{"body": {}, "grammars": {"gbnf": ""}}', "line 1 lacks llguidance"),
    ],
)
def test_questions_that_are_none(run: Tune, tmp_path: Path, text: str | None, reason: str) -> None:
    file = tmp_path / "other.jsonl"
    if text is not None:
        file.write_text(text)
    done = run("--questions", file)
    assert done.returncode == 2
    assert f"error: --questions {file}: {reason}" in done.stderr
    assert "infra/questions.py" in done.stderr


def test_where_nothing_answers_nothing_is_written(run: Tune, prefix: Path) -> None:
    deployed(prefix, free_port())
    (prefix / "builds" / "llama-server").write_text("import sys; sys.exit('no such model')")
    done = run("--slots", "1", "--seconds", "0.1")
    assert done.returncode == 4
    assert "no setup has answered" in done.stderr and "no such model" in done.stderr
    assert not (prefix / "etc" / "tuned.env").exists()
