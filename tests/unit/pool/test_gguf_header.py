"""Headers of GGUF files: what is read of them, and which adapter belongs to which model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from fake.gguf_file import LORA, write_gguf, write_header, write_lora

from triplelake.errors import UsageError
from triplelake.pool.gguf import declared_alias, lora_file, model_file
from triplelake.pool.gguf_header import read_header, read_type

FIELDS: dict[str, Any] = {"general.architecture": "llama", "general.type": "model", "tokenizer.ggml.tokens": ["<s>"]}
SHAPES = {"token_embd.weight": (8, 20), "blk.0.attn_q.weight": (8, 6), "blk.0.attn_norm.weight": (8,)}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_gguf(tmp_path / "tiny.gguf", FIELDS, SHAPES)


def test_fields_and_shapes_are_read(model: Path) -> None:
    header = read_header(model)
    assert header.fields == FIELDS
    assert header.tensors == SHAPES
    assert header.architecture == "llama"
    assert read_type(model) == "model"


def test_a_file_without_a_type_is_a_model(tmp_path: Path) -> None:
    assert read_type(write_header(tmp_path / "old.gguf", {"general.architecture": "llama"})) == "model"


def test_every_torn_header_is_one_error(model: Path, tmp_path: Path) -> None:
    whole = model.read_bytes()
    end = whole.index(b"blk.0.attn_norm.weight") + 22
    for size in range(0, end, 3):
        torn = tmp_path / "torn.gguf"
        torn.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"header|starts with"):
            read_header(torn)


def test_an_adapter_of_the_model_is_taken(model: Path, tmp_path: Path) -> None:
    lora = write_lora(tmp_path / "own.gguf", {"blk.0.attn_q.weight": (8, 6)})
    assert lora_file(lora, model) == lora
    assert lora_file(None, model) is None


def test_an_adapter_of_the_token_embedding_lies_the_other_way_round(model: Path, tmp_path: Path) -> None:
    def made_for(inner: int, outer: int) -> Path:
        pair = {"token_embd.weight.lora_a": (2, outer), "token_embd.weight.lora_b": (2, inner)}
        return write_gguf(tmp_path / "own.gguf", {"general.architecture": "llama", **LORA}, pair)

    lora = made_for(8, 20)
    assert lora_file(lora, model) == lora
    with pytest.raises(UsageError, match=r"`token_embd\.weight` is 20x8 in it and 8x20 in the model"):
        lora_file(made_for(20, 8), model)


@pytest.mark.parametrize(
    ("fields", "tensors", "reason"),
    [
        ({}, {}, "is no adapter but of type `model`"),
        ({**LORA, "adapter.type": "other"}, {}, "is an adapter of type `other`, not `lora`"),
        ({**LORA, "general.architecture": "qwen2"}, {}, "was trained on a qwen2 model; this one is a llama"),
        (LORA, {}, "holds no weights of a LoRA"),
        (LORA, {"blk.7.attn_q.weight.lora_a": (8, 2)}, "changes `blk.7.attn_q.weight`, which the model lacks"),
        (LORA, {"blk.0.attn_q.weight.lora_a": (8, 2)}, "lacks one of its two matrices"),
        (
            LORA,
            {"blk.0.attn_q.weight.lora_a": (9, 2), "blk.0.attn_q.weight.lora_b": (2, 6)},
            "`blk.0.attn_q.weight` is 9x6 in it and 8x6 in the model",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_a_server_starts(
    model: Path, tmp_path: Path, fields: dict[str, Any], tensors: dict[str, tuple[int, ...]], reason: str
) -> None:
    lora = write_gguf(tmp_path / "own.gguf", {"general.architecture": "llama", **fields}, tensors)
    with pytest.raises(UsageError) as caught:
        lora_file(lora, model)
    assert caught.value.subject == str(lora)
    assert reason in caught.value.reason
    assert "--lora" in caught.value.remedy


def test_an_adapter_is_no_model(tmp_path: Path) -> None:
    lora = write_lora(tmp_path / "own.gguf", {"blk.0.attn_q.weight": (8, 6)})
    with pytest.raises(UsageError, match="is no model but of type `adapter`") as caught:
        model_file(lora)
    assert "--lora" in caught.value.remedy


@pytest.mark.parametrize(("content", "reason"), [(None, "no such adapter file"), (b"GGUF", "is not a whole GGUF file")])
def test_an_adapter_that_is_missing_or_torn_is_named(
    model: Path, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    lora = tmp_path / "none.gguf"
    if content is not None:
        lora.write_bytes(content)
    with pytest.raises(UsageError, match=rf"none\.gguf: {reason}"):
        lora_file(lora, model)


def test_the_alias_changes_with_either_file(model: Path, tmp_path: Path) -> None:
    shapes = {"blk.0.attn_q.weight": (8, 6)}
    lora = write_lora(tmp_path / "own.v2.gguf", shapes)
    seen = {declared_alias(model), declared_alias(model, lora)}
    assert all(each.startswith(("tiny@", "tiny+own.v2@")) for each in seen)
    write_lora(lora, shapes, spread=0.2)
    seen.add(declared_alias(model, lora))
    write_gguf(model, FIELDS, SHAPES, spread=0.2)
    seen |= {declared_alias(model), declared_alias(model, lora)}
    assert len({each.partition("@")[2] for each in seen}) == 5
