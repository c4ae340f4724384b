"""Small GGUF files, written from the format's description and not from our reader."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ATOM_7B: dict[str, Any] = {
    "general.architecture": "llama",
    "general.name": "Atom 7B Chat",
    "llama.context_length": 32768,
    "llama.embedding_length": 4096,
    "llama.block_count": 32,
    "llama.attention.head_count": 32,
    "llama.attention.head_count_kv": 32,
    "tokenizer.ggml.tokens": ["<s>", "鲁迅"],
}
LORA: dict[str, Any] = {"general.type": "adapter", "adapter.type": "lora", "adapter.lora.alpha": 4.0}
ALIGNMENT = 32
ATOM_7B_Q8_BYTES = 7_450_000_000


def write_header(path: Path, fields: dict[str, Any], size: int = 0) -> Path:
    """A file that begins as a GGUF does; the rest of `size` bytes is a hole."""
    with path.open("wb") as file:
        file.write(_header(fields, {}))
        if size:
            file.truncate(size)
    return path


def write_gguf(path: Path, fields: dict[str, Any], tensors: Mapping[str, tuple[int, ...]], spread: float = 0.1) -> Path:
    """A whole GGUF file with random weights, the same each time.

    Args:
        tensors: dimensions by name, in the order of the format: that of neighbouring numbers first.
        spread: standard deviation of the weights.
    """
    draw = random.Random(0).gauss
    with path.open("wb") as file:
        file.write(_header(fields, tensors))
        for shape in tensors.values():
            file.write(b"\0" * (-file.tell() % ALIGNMENT))
            numbers = math.prod(shape)
            file.write(struct.pack(f"<{numbers}f", *(draw(0, spread) for _ in range(numbers))))
        file.write(b"\0" * (-file.tell() % ALIGNMENT))
    return path


def write_lora(
    path: Path, weights: dict[str, tuple[int, int]], architecture: str = "llama", spread: float = 0.1, **fields: Any
) -> Path:
    """A LoRA of rank 2.

    Args:
        weights: dimensions, in the model, of the tensors that it changes.
        fields: further ones, or others, with `__` for the point in a name.
    """
    told = {"general.architecture": architecture, **LORA, **{k.replace("__", "."): v for k, v in fields.items()}}
    pairs: dict[str, tuple[int, ...]] = {}
    for name, (inner, outer) in weights.items():
        pairs |= {f"{name}.lora_a": (inner, 2), f"{name}.lora_b": (2, outer)}
    return write_gguf(path, told, pairs, spread)


def _header(fields: dict[str, Any], tensors: Mapping[str, tuple[int, ...]]) -> bytes:
    body = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(fields))
    for key, value in fields.items():
        body += _string(key) + _typed(value)
    offset = 0
    for name, shape in tensors.items():
        body += _string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, offset)
        size = 4 * math.prod(shape)
        offset += size + -size % ALIGNMENT
    return body


def _typed(value: Any) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", 8) + _string(value)
    if isinstance(value, bool):
        return struct.pack("<IB", 7, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    # All items of an array are of one type, which stands once before them. Numbers have a sign there.
    items = [struct.pack("<Ii", 5, each) if type(each) is int else _typed(each) for each in value]
    return struct.pack("<I", 9) + items[0][:4] + struct.pack("<Q", len(items)) + b"".join(each[4:] for each in items)


def _string(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw
