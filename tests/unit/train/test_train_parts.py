"""The parts of the trainer that need no torch: options, batches, clock, log, estimates, its folder."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[3] / "infra" / "train"))

from fake.little_course import write_course

import train
from train_batches import order
from train_clock import Clock
from train_cost import Cost, check_memory, cost, shape_of, shape_of_gguf
from train_data import read_course
from train_log import Log
from train_options import Options, parse
from train_out import Out, identity
from triplelake.errors import OutputError, UsageError
from triplelake.pool.gguf_header import Header


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    (tmp_path / "base.gguf").write_bytes(b"GGUF")
    folder = write_course(tmp_path / "data")
    return [str(folder), "--model", str(tmp_path / "base.gguf"), "--out", str(tmp_path / "out")]


# Options


def test_a_pass_holds_a_whole_step_unless_told(words: list[str]) -> None:
    assert parse(words).micro == parse(words).batch == 8
    assert parse([*words, "--micro", "2"]).micro == 2


@pytest.mark.parametrize(
    ("more", "about"),
    [
        (["--batch", "6", "--micro", "4"], "--batch"),
        (["--batch", "0"], "--batch"),
        (["--lr", "0"], "--lr"),
        (["--minutes", "-1"], "--minutes"),
        (["--negatives", "-1"], "--negatives"),
        (["--dev-model", "nowhere.gguf"], "--dev-model"),
        (["--epoch", "3"], "--epoch"),
    ],
)
def test_what_cannot_be_is_refused(words: list[str], more: list[str], about: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse([*words, *more])
    assert refused.value.subject.startswith(about)


def test_a_model_that_is_not_there_is_refused(words: list[str]) -> None:
    with pytest.raises(UsageError, match="is not there"):
        parse([*words[:2], "nowhere.gguf", *words[3:]])


def test_a_gguf_serves_itself_and_a_folder_needs_one(words: list[str], tmp_path: Path) -> None:
    assert parse(words).served == tmp_path / "base.gguf"
    folder = [*words[:2], str(tmp_path / "data"), *words[3:]]
    assert parse(folder).served is None
    assert parse([*folder, "--dev-model", str(tmp_path / "base.gguf")]).served == tmp_path / "base.gguf"


# The command


def test_without_torch_the_command_says_how_to_get_it(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert train.main(words) == 7
    assert "make setup-train" in capsys.readouterr().err


def test_bad_data_is_refused_before_torch_is_looked_for(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data" / "card.json").unlink()
    assert train.main(words) == 3
    assert "card.json" in capsys.readouterr().err
    assert train.main(["--nonsense"]) == 2


# Batches


@given(st.lists(st.integers(1, 300), max_size=200), st.integers(1, 9), st.integers(0, 3), st.integers(0, 3))
def test_each_text_comes_once_an_epoch(lengths: list[int], batch: int, seed: int, epoch: int) -> None:
    places = order(lengths, batch, seed, epoch)
    assert sorted(places) == list(range(len(lengths)))
    assert places == order(lengths, batch, seed, epoch)


def test_neighbours_are_of_like_length_and_epochs_differ() -> None:
    lengths = [each % 50 + 1 for each in range(400)]
    places = order(lengths, 8, 0, 0)
    spans = [[lengths[place] for place in places[start : start + 8]] for start in range(0, 400, 8)]
    assert max(max(each) - min(each) for each in spans) <= 4
    assert places != order(lengths, 8, 0, 1) != order(lengths, 8, 1, 1)


# Clock


def clock(**said: Any) -> tuple[Clock, SimpleNamespace]:
    time = SimpleNamespace(now=100.0)
    given = {"steps": 100, "warmup": 10, "budget_s": None, "every": None, "began": 100.0} | said
    return Clock(**given, now=lambda: time.now), time


def test_the_rate_rises_and_then_falls_with_the_steps() -> None:
    rates = [clock()[0].rate(step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(0.91)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[100] == pytest.approx(0.02)


def test_the_rate_falls_with_the_time_if_that_is_shorter() -> None:
    ticking, time = clock(budget_s=60, warmup=0)
    time.now += 30
    assert ticking.rate(1) == pytest.approx(0.5)
    assert not ticking.is_over()
    time.now += 30
    assert ticking.is_over()


def test_what_earlier_commands_spent_counts() -> None:
    assert clock(budget_s=60, spent_s=60)[0].is_over()


def test_about_ten_looks_are_taken_and_none_too_dear() -> None:
    ticking, time = clock()
    time.now += 1000
    due = []
    for step in range(1, 101):
        if ticking.is_due(step):
            due.append(step)
            ticking.looked(step, 1)
    assert due == list(range(10, 101, 10))
    dear, time = clock()
    time.now += 100
    assert dear.is_due(10)
    dear.looked(10, 30)
    assert not dear.is_due(20)
    time.now += 101
    assert dear.is_due(20)


def test_no_look_is_taken_that_the_last_one_would_follow_at_once() -> None:
    ticking, time = clock(budget_s=1000, steps=10_000)
    time.now += 800
    assert ticking.is_due(1)
    ticking.looked(1, 105)
    time.now += 110
    assert not ticking.is_due(2)
    # With less training between this look and the last one than a look takes, the last one alone is better.
    for look_s, due in ((50, False), (40, True)):
        short, time = clock(budget_s=1000, steps=10_000)
        time.now += 800
        short.looked(1, look_s)
        time.now += 110
        assert short.is_due(2) == due


def test_looks_can_be_ordered_by_steps() -> None:
    assert [step for step in range(1, 20) if clock(every=7)[0].is_due(step)] == [7, 14]


# Log


def test_a_log_goes_on_and_forgets_what_came_after_the_state(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    log = Log(file)
    assert (log.best, log.in_vain, log.seconds) == (None, 0, 0.0)
    for step, f1, loss in ((10, 0.2, 1.0), (20, 0.4, 0.9), (30, 0.4, 0.8), (40, 0.3, 0.1)):
        log.add({"step": step, "seconds": step, "loss": loss})
        log.add({"step": step, "seconds": step + 1.5, "held_loss": loss, "f1": f1})
    assert log.best is not None and log.best["step"] == 30
    assert log.in_vain == 1
    with file.open("a", encoding="utf-8") as torn:
        torn.write('{"step": 50, "sec')
    again = Log(file, 20)
    assert [each["step"] for each in again.lines] == [10, 10, 20, 20]
    assert again.seconds == 21.5
    assert Log(file, 20).lines == again.lines


def test_without_f1_the_loss_decides(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.jsonl")
    for step, loss in ((1, 0.5), (2, 0.3), (3, 0.4)):
        log.add({"step": step, "seconds": step, "held_loss": loss})
    assert log.best is not None and log.best["step"] == 2


# Estimates


QWEN = SimpleNamespace(
    hidden_size=896,
    num_hidden_layers=24,
    intermediate_size=4864,
    num_attention_heads=14,
    num_key_value_heads=2,
    vocab_size=151936,
    tie_word_embeddings=True,
)
QWEN.get_text_config = lambda: QWEN


def options(words: list[str], *more: str) -> Options:
    return parse([*words, *more])


def test_the_weights_of_a_known_model_are_counted(words: list[str]) -> None:
    shape = shape_of(QWEN, None)
    assert (shape.body + shape.embedding) / 1e6 == pytest.approx(494, rel=0.01)
    found = cost(shape, options(words), [88] * 64, [23] * 64, held=9000, precision="bf16", kind="cpu")
    assert found.adapter / 1e6 == pytest.approx(8.8, rel=0.01)
    assert found.weights == pytest.approx(2 * 494e6, rel=0.01)
    # As measured: 8 texts of 88 tokens.
    assert 3.5e9 < found.memory < 6e9


def test_no_less_memory_is_told_than_a_training_took(words: list[str]) -> None:
    """Of 3,718 sentences of DuIE, in bf16 on a CPU; a batch has 8 texts of at most 275 tokens."""
    larger = SimpleNamespace(**vars(QWEN) | {"hidden_size": 1536, "num_hidden_layers": 28, "intermediate_size": 8960})
    larger.num_attention_heads, larger.get_text_config = 12, lambda: larger
    for config, took in ((QWEN, 10.7e9), (larger, 22.92e9)):
        given = options(words)
        found = cost(shape_of(config, None), given, [275] * 64, [60] * 64, held=9000, precision="bf16", kind="cpu")
        assert took < found.memory < 1.1 * took


def test_a_gguf_tells_the_same_shape_as_a_config() -> None:
    fields = {
        "general.architecture": "qwen2",
        "qwen2.embedding_length": 896,
        "qwen2.block_count": 24,
        "qwen2.feed_forward_length": 4864,
        "qwen2.attention.head_count": 14,
        "qwen2.attention.head_count_kv": [2] * 24,
    }
    tensors = {"token_embd.weight": (896, 151936)}
    assert shape_of_gguf(Header(fields, tensors), 8) == shape_of(QWEN, 8)
    untied = tensors | {"output.weight": (896, 151936)}
    assert shape_of_gguf(Header(fields, untied), None).embedding == 2 * shape_of(QWEN, None).embedding


def test_less_memory_where_less_is_asked(words: list[str]) -> None:
    lengths, answers = [88] * 64, [23] * 64

    def needed(*more: str, layers: int | None = None) -> float:
        given = options(words, *more)
        return cost(shape_of(QWEN, layers), given, lengths, answers, held=9000, precision="bf16", kind="cpu").memory

    assert needed("--micro", "4") < needed()
    assert needed("--checkpointing") < needed()
    assert needed(layers=8) < needed()


def test_tokens_by_lot_make_a_head_small_on_a_cpu_unless_told(words: list[str]) -> None:
    lengths, answers = [88] * 64, [23] * 64

    def found(kind: str, *more: str) -> Cost:
        return cost(
            shape_of(QWEN, None), options(words, *more), lengths, answers, held=9000, precision="fp32", kind=kind
        )

    lots, whole = found("cpu"), found("cpu", "--negatives", "0")
    assert lots.head < whole.head / 3
    assert lots.operations < whole.operations
    assert found("cuda").head == whole.head
    assert found("cuda", "--negatives", "8192").head == lots.head
    assert found("cpu", "--negatives", "1000000").head == whole.head


def test_time_grows_with_epochs_and_shrinks_with_layers(words: list[str]) -> None:
    whole = cost(shape_of(QWEN, None), options(words), [88] * 64, [23] * 64, held=9000, precision="bf16", kind="cpu")
    top = cost(shape_of(QWEN, 12), options(words), [88] * 64, [23] * 64, held=9000, precision="bf16", kind="cpu")
    assert whole.hours(2, 1e11) == pytest.approx(2 * whole.hours(1, 1e11))
    assert 0.7 < top.hours(1, 1e11) / whole.hours(1, 1e11) < 0.85


def test_what_does_not_fit_is_refused_with_what_would(words: list[str]) -> None:
    given = options(words)
    needed = cost(shape_of(QWEN, None), given, [88] * 64, [23] * 64, held=9000, precision="bf16", kind="cpu")
    check_memory(needed, needed.memory + 1, given)
    with pytest.raises(UsageError, match=r"GB are needed and 1\.0 GB are free") as refused:
        check_memory(needed, 1e9, given)
    assert "--micro 4" in refused.value.remedy


# The folder


def test_a_folder_goes_on_for_the_same_training_only(words: list[str], tmp_path: Path) -> None:
    given, out = parse(words), Out(tmp_path / "out")
    course = read_course(given.data)
    begun = identity(course, given)
    out.begin(begun, overwrite=False)
    out.begin(identity(course, parse([*words, "--minutes", "5"])), overwrite=False)
    with pytest.raises(OutputError, match=r"begun otherwise: rank 16 → 8"):
        out.begin(identity(course, parse([*words, "--rank", "8"])), overwrite=False)
    (given.data / "train.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="data_sha256"):
        out.begin(identity(course, given), overwrite=False)
    out.log.write_text("", encoding="utf-8")
    out.begin(identity(course, given), overwrite=True)
    assert not out.log.exists()


def test_a_folder_of_something_else_is_never_taken(words: list[str], tmp_path: Path) -> None:
    out = Out(tmp_path / "out")
    out.folder.mkdir()
    (out.folder / "thesis.txt").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="none of a training"):
            out.begin({}, overwrite=overwrite)
    assert (out.folder / "thesis.txt").is_file()


def test_the_newest_whole_state_is_found(tmp_path: Path) -> None:
    out = Out(tmp_path)
    assert out.last_state is None
    for step, whole in ((90, True), (100, True), (110, False)):
        state = out.state / f"checkpoint-{step}"
        state.mkdir(parents=True)
        if whole:
            (state / "trainer_state.json").write_text("{}")
    assert out.last_state == out.state / "checkpoint-100"
