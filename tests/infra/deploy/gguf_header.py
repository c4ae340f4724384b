"""Headers of GGUF files, written from the format's description and not from our reader."""

from __future__ import annotations

import struct
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
ATOM_7B_Q8_BYTES = 7_450_000_000


def write_header(path: Path, fields: dict[str, Any], size: int = 0) -> Path:
    """A file that begins as a GGUF does; the rest of `size` bytes is a hole."""
    body = b"GGUF" + struct.pack("<IQQ", 3, 0, len(fields))
    for key, value in fields.items():
        body += _string(key) + _typed(value)
    with path.open("wb") as file:
        file.write(body)
        if size:
            file.truncate(size)
    return path


def _typed(value: Any) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", 8) + _string(value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    kind, items = (8, map(_string, value)) if isinstance(value[0], str) else (4, (struct.pack("<I", v) for v in value))
    return struct.pack("<IIQ", 9, kind, len(value)) + b"".join(items)


def _string(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw
