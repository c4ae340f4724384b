"""serve.sh and its sizes, with stubs of llama-server and nvidia-smi: what would be started, and what is refused."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from fake.gguf_file import ATOM_7B, ATOM_7B_Q8_BYTES, write_gguf, write_header, write_lora

from triplelake.pool.gguf import declared_alias

LLAMA = Path(__file__).resolve().parents[3] / "infra" / "llama"

Serve = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def bin_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    # Not through a shim of a version manager, which takes longer than what it starts.
    (folder / "python3").symlink_to(sys.executable)
    stub(folder / "llama-server", 'printf "%s\\n" "gpu=${CUDA_VISIBLE_DEVICES-none}" "$@" >&2')
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_header(tmp_path / "atom.gguf", ATOM_7B, ATOM_7B_Q8_BYTES)


@pytest.fixture
def serve(bin_dir: Path, model: Path) -> Serve:
    """Runs serve.sh on a host without a GPU, unless `nvidia-smi` is put into `bin_dir`; the alias is not computed."""
    stub(bin_dir / "nvidia-smi", "exit 9")

    def run(*options: str, alias: str = "atom@0", **settings: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PATH": f"{bin_dir}:{os.environ['PATH']}", **settings}
        known = ["--binary", str(bin_dir / "llama-server"), "--model", str(model)]
        if alias:
            known += ["--alias", alias]
        command = [str(LLAMA / "serve.sh"), *known, *options]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run


def stub(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


def cards(bin_dir: Path, count: int, mib: int) -> None:
    listed = "".join(f"echo 'GPU {i}: NVIDIA Stub (UUID: {i})'\n" for i in range(count))
    stub(bin_dir / "nvidia-smi", f'if [ "$1" = --list-gpus ]; then\n{listed}else echo {mib}; fi')


def told(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """The options of the command that a dry run prints."""
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("command"))
    words = shlex.split(line)[1:]
    following = [*words[1:], "--"]
    return {word: "" if after.startswith("--") else after for word, after in zip(words, following, strict=True)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def refused(done: subprocess.CompletedProcess[str], code: int, subject: str, reason: str) -> str:
    """Checks the form of an error; the remedy."""
    assert done.returncode == code, done.stderr
    match = re.search(r"^error: (.+)\n((?:  \S.*\n)+)\Z", done.stderr, re.MULTILINE)
    assert match, done.stderr
    assert subject in match[1] and reason in match[1], match[1]
    return match[2]


@pytest.mark.parametrize(
    ("mib", "kv_type", "tokens"), [(81559, "f16", 129_000), (81559, "q8_0", 243_000), (24564, "q8_0", 57_000)]
)
def test_the_room_for_context_is_about_what_the_notes_say(
    serve: Serve, bin_dir: Path, mib: int, kv_type: str, tokens: int
) -> None:
    cards(bin_dir, 1, mib)
    done = serve("--dry-run", "--kv-type", kv_type)
    match = re.search(r"room for (\d+) tokens", done.stderr)
    assert match, done.stderr
    assert int(match[1]) == pytest.approx(tokens, rel=0.06)


def test_a_big_card_gets_the_start_line(serve: Serve, bin_dir: Path) -> None:
    cards(bin_dir, 1, 81559)
    options = told(serve("--dry-run"))
    assert options["--parallel"] == "32"
    assert options["--ctx-size"] == str(32 * 3072)
    assert options["--cache-type-k"] == options["--cache-type-v"] == "q8_0"
    assert options["--gpu-layers"] == "all"
    assert options["--ubatch-size"] == "1024"
    assert {"--no-kv-unified", "--metrics", "--no-ui", "--offline"} <= options.keys()
    assert options["--cache-ram"] == options["--ctx-checkpoints"] == "0"
    assert "--threads" not in options


def test_a_small_card_gets_the_slots_that_fit(serve: Serve, bin_dir: Path) -> None:
    cards(bin_dir, 1, 16376)
    assert 1 <= int(told(serve("--dry-run"))["--parallel"]) < 32


def test_a_card_that_is_too_small_is_refused_with_the_numbers(serve: Serve, bin_dir: Path) -> None:
    cards(bin_dir, 1, 8192)
    remedy = refused(serve("--dry-run"), 3, "atom.gguf", "6.")
    assert "a smaller --context-per-slot or quantisation" in remedy


def test_more_slots_by_hand_than_fit_are_refused(serve: Serve, bin_dir: Path) -> None:
    cards(bin_dir, 1, 24564)
    refused(serve("--dry-run", "--slots", "64"), 3, "atom.gguf", "64 slots of 3072 tokens need")


def test_servers_that_share_a_card_share_its_memory_and_the_cores(serve: Serve, bin_dir: Path) -> None:
    cards(bin_dir, 1, 24564)
    alone = int(told(serve("--dry-run"))["--parallel"])
    done = serve("--dry-run", "--servers-per-gpu", "2", "--index", "1")
    options = told(done)
    assert int(options["--parallel"]) < alone / 2
    assert options["--port"] == "8081"
    assert options["--threads"] == options["--threads-batch"] == "2"
    assert "no MPS daemon" in done.stdout
    if len(os.sched_getaffinity(0)) > 1:
        other = told(serve("--dry-run", "--servers-per-gpu", "2", "--index", "0"))
        mine, its = ({*map(int, cores["--cpu-list"].split(","))} for cores in (options, other))
        assert mine and its and not mine & its


def test_the_index_picks_the_card(serve: Serve, bin_dir: Path) -> None:
    cards(bin_dir, 2, 24564)
    done = serve("--index", "3", "--servers-per-gpu", "2", "--port", str(free_port()))
    assert "gpu=1\n" in done.stderr
    refused(serve("--dry-run", "--index", "4", "--servers-per-gpu", "2"), 2, "--index 4", "has 4 servers")


def test_a_host_without_a_gpu(serve: Serve) -> None:
    options = told(serve("--dry-run", "--context-per-slot", "512"))
    assert options["--parallel"] == "4"
    assert options["--device"] == "none"
    assert options["--cache-type-k"] == "f16"
    refused(serve("--dry-run", "--device", "gpu"), 3, "--device gpu", "finds no GPU")


def test_an_option_is_stronger_than_its_variable(serve: Serve) -> None:
    settings = {"SERVE_CONTEXT_PER_SLOT": "512", "SERVE_SLOTS": "3"}
    options = told(serve("--dry-run", "--slots", "2", **settings))
    assert (options["--parallel"], options["--ctx-size"]) == ("2", "1024")


def test_unified_cache_is_as_large_as_all_slots(serve: Serve) -> None:
    options = told(serve("--dry-run", "--slots", "2", "--context-per-slot", "512", "--kv-layout", "unified"))
    assert options["--kv-unified-per-slot"] == "512"
    assert "--ctx-size" not in options and "--no-kv-unified" not in options


def test_the_alias_is_the_name_and_the_hash_of_the_file(serve: Serve, model: Path) -> None:
    write_header(model, ATOM_7B)
    digest = subprocess.run(["sha256sum", model], capture_output=True, text=True, check=True).stdout[:12]
    assert told(serve("--dry-run", alias=""))["--alias"] == f"atom-7b-chat@{digest}"


def test_the_server_takes_the_place_of_the_script(serve: Serve) -> None:
    port = str(free_port())
    done = serve("--port", port, "--slots", "2")
    assert done.returncode == 0
    assert f"--port\n{port}\n" in done.stderr


def test_a_dry_run_starts_nothing(serve: Serve) -> None:
    assert "gpu=" not in serve("--dry-run").stderr


def test_a_taken_port(serve: Serve) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert "ss -ltnp" in refused(serve("--port", str(port)), 3, f"127.0.0.1:{port}", "the port is taken")


def test_an_address_of_another_machine(serve: Serve) -> None:
    done = serve("--host", "10.255.255.254", "--port", str(free_port()))
    refused(done, 2, "10.255.255.254", "cannot be bound to")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "203.0.113.7", "172.32.0.1"])
def test_an_open_address_needs_keys(serve: Serve, tmp_path: Path, host: str) -> None:
    assert "openssl rand" in refused(serve("--dry-run", "--host", host), 2, f"--host {host}", "there are no keys")
    keys = key_file(tmp_path, "secret\n", 0o600)
    done = serve("--dry-run", "--host", host, "--api-key-file", str(keys))
    assert told(done)["--api-key-file"] == str(keys)
    assert "secret" not in done.stdout + done.stderr


def key_file(folder: Path, text: str, mode: int) -> Path:
    path = folder / "llama.key"
    path.write_bytes(text.encode())
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("text", "mode", "reason", "remedy"),
    [
        ("k\n", 0o644, "every user of this machine", "chmod o="),
        ("k\n", 0o602, "every user of this machine", "chmod o="),
        ("k\r\n", 0o600, "carriage return", r"sed -i 's/\r$//'"),
        ("\n# none\n", 0o640, "holds no key", "openssl rand"),
    ],
)
def test_key_files_that_cannot_be_used(
    serve: Serve, tmp_path: Path, text: str, mode: int, reason: str, remedy: str
) -> None:
    done = serve("--dry-run", "--api-key-file", str(key_file(tmp_path, text, mode)))
    assert remedy in refused(done, 2, "llama.key", reason)


def test_the_remedy_for_a_carriage_return_works(serve: Serve, tmp_path: Path) -> None:
    keys = key_file(tmp_path, "k\r\n", 0o600)
    remedy = refused(serve("--dry-run", "--api-key-file", str(keys)), 2, "llama.key", "carriage return")
    subprocess.run(["sh", "-c", remedy], check=True)
    assert keys.read_bytes() == b"k\n"
    assert serve("--dry-run", "--api-key-file", str(keys)).returncode == 0


def test_tls_needs_both_files(serve: Serve, tmp_path: Path) -> None:
    secret = key_file(tmp_path, "key", 0o600)
    refused(serve("--dry-run", "--tls-key", str(secret)), 2, "--tls-cert", "without the other")
    options = told(serve("--dry-run", "--tls-key", str(secret), "--tls-cert", str(secret)))
    assert options["--ssl-key-file"] == options["--ssl-cert-file"] == str(secret)


@pytest.mark.parametrize(
    ("options", "code", "subject", "reason"),
    [
        (("--slot", "3"), 2, "--slot", "is not an option"),
        (("--slots",), 2, "--slots", "needs a value"),
        (("--slots", "many"), 2, "--slots many", "is no number"),
        (("--kv-type", "q4_0"), 2, "--kv-type q4_0", "is not one of"),
        (("--model", "/no/such.gguf"), 3, "/no/such.gguf", "no readable model"),
        (("--binary", "/no/such"), 3, "/no/such", "no llama-server"),
    ],
)
def test_bad_usage(serve: Serve, options: tuple[str, ...], code: int, subject: str, reason: str) -> None:
    refused(serve(*options), code, subject, reason)


@pytest.mark.parametrize("size", [3, 40, 200])
def test_a_torn_model(serve: Serve, model: Path, size: int) -> None:
    os.truncate(model, size)
    refused(serve("--dry-run"), 4, "atom.gguf", "is not a whole GGUF file")


def test_a_header_without_a_shape(serve: Serve, model: Path) -> None:
    write_header(model, {"general.architecture": "mamba", "mamba.block_count": 3})
    refused(serve("--dry-run"), 2, "atom.gguf", "lacks the shape of a mamba model")


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A whole small model, and an adapter of it."""
    shapes: dict[str, tuple[int, ...]] = {"blk.0.attn_q.weight": (8, 6)}
    model = write_gguf(tmp_path / "small.gguf", ATOM_7B, shapes)
    return model, write_lora(tmp_path / "Own V2.gguf", {"blk.0.attn_q.weight": (8, 6)})


def test_an_adapter_is_loaded_and_named(serve: Serve, pair: tuple[Path, Path]) -> None:
    model, lora = pair
    options = told(serve("--dry-run", "--model", str(model), "--lora", str(lora), alias=""))
    lines = "".join(hashlib.sha256(file.read_bytes()).hexdigest() + "\n" for file in pair)
    assert options["--alias"] == f"atom-7b-chat+own-v2@{hashlib.sha256(lines.encode()).hexdigest()[:12]}"
    assert options["--lora"] == str(lora)
    assert declared_alias(model, lora).partition("@")[2] == options["--alias"].partition("@")[2]
    assert told(serve("--dry-run", "--model", str(model), SERVE_LORA=str(lora)))["--lora"] == str(lora)
    assert "--lora" not in told(serve("--dry-run", "--model", str(model)))


@pytest.mark.parametrize(
    ("model", "lora", "code", "reason"),
    [
        ("small.gguf", "none.gguf", 3, "no readable adapter"),
        ("small.gguf", "small.gguf", 2, "does not go with small.gguf: is no adapter but of type `model`"),
        ("Own V2.gguf", "Own V2.gguf", 2, "is no model but of type `adapter`"),
        ("small.gguf", "torn.gguf", 4, "is not a whole GGUF file"),
        ("small.gguf", "other.gguf", 2, "was trained on a qwen2 model; this one is a llama"),
        ("small.gguf", "wide.gguf", 2, "`blk.0.attn_q.weight` is 9x6 in it and 8x6 in the model"),
        ("small.gguf", "a,b.gguf", 2, "holds a comma"),
    ],
)
def test_an_adapter_that_does_not_fit(
    serve: Serve, pair: tuple[Path, Path], tmp_path: Path, model: str, lora: str, code: int, reason: str
) -> None:
    (tmp_path / "torn.gguf").write_bytes(pair[1].read_bytes()[:50])
    shutil.copy(pair[1], tmp_path / "a,b.gguf")
    write_lora(tmp_path / "other.gguf", {"blk.0.attn_q.weight": (8, 6)}, "qwen2")
    write_lora(tmp_path / "wide.gguf", {"blk.0.attn_q.weight": (9, 6)})
    done = serve("--dry-run", "--model", str(tmp_path / model), "--lora", str(tmp_path / lora))
    assert refused(done, code, lora, reason)
