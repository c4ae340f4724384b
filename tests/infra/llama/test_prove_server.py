"""The proof that a built server must pass: what each kind of bad server is caught by."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from llama_host import LLAMA, STUBS


def prove(fault: str, *options: str, server: Path = STUBS / "llama-server") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, LLAMA / "prove_server.py", "--server", server, "--model", "tiny.gguf", *options]
    return subprocess.run(
        command, env=os.environ | {"FAKE_LLAMA": fault}, capture_output=True, text=True, check=False, timeout=60
    )


def test_a_good_server() -> None:
    proof = json.loads(prove("").stdout)
    assert (proof["free"], proof["gbnf"], proof["llguidance"]) == (" Paris.", "鲁迅", "周树人")
    assert proof["model"] == "tiny.gguf" and proof["seconds"] > 0


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("fails open", "answered ' Paris', which the llguidance grammar does not allow"),
        ("ignores gbnf", "answered ' Paris.', which the GBNF grammar does not allow"),
        ("no llguidance", "answered 400 to a llguidance grammar"),
        ("grounded by chance", "proves nothing; use another --proof-model"),
        ("says nothing", "answered with nothing"),
        ("fails", "answered 500"),
        ("ends at once", "ended with 1 at its start:\nerror loading model"),
    ],
)
def test_a_bad_server(fault: str, reason: str) -> None:
    done = prove(fault)
    assert done.returncode == 4 and not done.stdout
    assert done.stderr.startswith("error: ") and reason in done.stderr
    assert "Traceback" not in done.stderr


def test_without_llguidance_its_grammars_must_be_refused() -> None:
    assert "400" in json.loads(prove("no llguidance", "--no-llguidance").stdout)["llguidance"]
    done = prove("", "--no-llguidance")
    assert done.returncode == 4 and "although it is built without" in done.stderr


def test_an_adapter_is_proved_too() -> None:
    assert json.loads(prove("", "--lora", "folder/own.gguf").stdout)["lora"] == "own.gguf"


@pytest.mark.parametrize(("fault", "loaded"), [("no adapter", "[]"), ("half", "[('own.gguf', 0.5)]")])
def test_a_server_without_its_adapter(fault: str, loaded: str) -> None:
    done = prove(fault, "--lora", "folder/own.gguf")
    assert done.returncode == 4
    assert f"has loaded the adapters {loaded}, not own.gguf alone and whole" in done.stderr


def test_no_server_at_all(tmp_path: Path) -> None:
    done = prove("", server=tmp_path / "llama-server")
    assert done.returncode == 4 and "cannot be started" in done.stderr
