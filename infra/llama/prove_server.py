"""Prove that a llama-server works: it starts, answers, and keeps to a grammar that allows words of one text only.

    prove_server.py --server FILE --model GGUF [--lora GGUF] [--no-llguidance]

It listens on 127.0.0.1 at a free port and is stopped at the end. What was proved goes to the standard output as JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

EXIT_FAILED = 4
TEXT = "鲁迅原名周树人，浙江绍兴人。"
# Every model completes this with a word that the text lacks.
PROMPT = "The capital of France is the city of"
GBNF = 'root ::= "鲁迅" | "周树人" | "浙江绍兴"'
LLGUIDANCE = "%llguidance {}\nstart: SPAN\nSPAN: PART & /.{2,8}/\nPART: %regex " + json.dumps({"substring_chars": TEXT})
_START_S = 300
_ANSWER_S = 300
_STOP_S = 10


class Unproved(Exception):
    """What the server did that it must not do."""


class Refused(Unproved):
    """It answered 400."""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="prove_server.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--server", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--lora", type=Path, help="an adapter of that model; what is free is then asked with it")
    parser.add_argument("--no-llguidance", dest="llguidance", action="store_false", help="the server is built without")
    options = parser.parse_args(argv)
    started = time.monotonic()
    try:
        adapter = ("--lora", str(options.lora)) if options.lora else ()
        with running(options.server, options.model, *adapter) as url:
            proof = prove_lora(url, options.lora) if options.lora else {}
            proof |= prove(url, llguidance=options.llguidance)
    except Unproved as error:
        print(f"error: {options.server}: {error}", file=sys.stderr)
        print("  It was not installed. Build the default tag, or another one; see --help of build.sh.", file=sys.stderr)
        return EXIT_FAILED
    print(json.dumps({"model": options.model.name, **proof, "seconds": round(time.monotonic() - started, 1)}))
    return 0


def prove(url: str, *, llguidance: bool) -> dict[str, Any]:
    """The answers to one prompt: free, under GBNF, and under llguidance, which a server without it refuses."""
    free = complete(url)
    if not free.strip():
        raise Unproved("answered with nothing")
    if free.strip() in TEXT:
        raise Unproved(f"answered {free!r} without a grammar, which proves nothing; use another --proof-model")
    proof = {"free": free, "gbnf": grounded(complete(url, GBNF), "GBNF")}
    try:
        answer = complete(url, LLGUIDANCE)
    except Refused:
        if llguidance:
            raise Unproved("answered 400 to a llguidance grammar although it is built with that engine") from None
        return proof | {"llguidance": "refused with 400, as it must be"}
    if not llguidance:
        raise Unproved("took a llguidance grammar although it is built without that engine")
    return proof | {"llguidance": grounded(answer, "llguidance")}


def prove_lora(url: str, lora: Path) -> dict[str, Any]:
    """The adapter that the server adds to its weights: a server answers without one that it has not loaded, too."""
    try:
        with urllib.request.urlopen(f"{url}/lora-adapters", timeout=_ANSWER_S) as answer:
            loaded = [(Path(each["path"]).name, each["scale"]) for each in json.load(answer)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unproved(f"does not tell its adapters: {error!r}") from None
    if loaded != [(lora.name, 1)]:
        raise Unproved(f"has loaded the adapters {loaded}, not {lora.name} alone and whole")
    return {"lora": lora.name}


def grounded(answer: str, engine: str) -> str:
    if not answer or answer not in TEXT:
        raise Unproved(f"answered {answer!r}, which the {engine} grammar does not allow")
    return answer


def complete(url: str, grammar: str = "") -> str:
    body = {"prompt": PROMPT, "n_predict": 16, "temperature": 0, "grammar": grammar}
    request = urllib.request.Request(
        f"{url}/completion", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=_ANSWER_S) as answer:
            return str(json.load(answer)["content"])
    except urllib.error.HTTPError as error:
        kind = Refused if error.code == 400 else Unproved
        raise kind(f"answered {error.code}: {error.read(300).decode(errors='replace')}") from None
    except (OSError, ValueError, KeyError) as error:
        raise Unproved(f"gave no answer: {error!r}") from None


@contextlib.contextmanager
def running(server: Path, model: Path, *options: str) -> Iterator[str]:
    """The server's address once it is ready; it is stopped on leaving, whatever happened."""
    command = [str(server), "-m", str(model), "--host", "127.0.0.1", "--port", "0", "--no-ui", "--offline"]
    threads = str(min(4, os.cpu_count() or 1))
    with tempfile.TemporaryFile() as log:
        try:
            process = subprocess.Popen(
                [*command, "-c", "1024", "-np", "1", "-t", threads, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        except OSError as error:
            raise Unproved(f"cannot be started: {error.strerror}") from None
        try:
            yield wait_until_ready(process, log.fileno())
        finally:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_until_ready(process: subprocess.Popen[bytes], log: int) -> str:
    """The address that the server says it listens on, once it says that it is healthy."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        said = os.pread(log, 1 << 20, 0).decode(errors="replace")
        if process.poll() is not None:
            raise Unproved(f"ended with {process.returncode} at its start:\n" + "\n".join(said.splitlines()[-15:]))
        address = re.search(r"listening on (http://\S+:\d+)", said)
        if address and is_healthy(address[1]):
            return address[1]
        time.sleep(0.1)
    raise Unproved(f"was not ready after {_START_S} s")


def is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5):
            return True
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
