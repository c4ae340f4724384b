"""A model of random weights and a thousand tokens: all that a grammar allows is likely, and an answer costs little.

One of the shape that a card serves is made by tests/benchmarks/random_model.py, with the packages of a conversion.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from fake.gguf_file import write_gguf

_WIDTH, _INNER, _HEADS = 32, 32, 2
_CONTROL = ("<unk>", "<s>", "</s>")
_UNKNOWN, _NORMAL, _CONTROLLING, _BYTE = 2, 1, 3, 6  # kinds of tokens, as llama.cpp numbers them
_PAIRS = 300
_LONGER = ('[["', '"],["', '"]]', '","', '"]', "]]")


def write_random_model(path: Path, texts: Iterable[str], *, with_bytes: bool) -> Path:
    """A GGUF of Llama's shape.

    Its vocabulary is of Llama's kind: characters of the texts, their frequent pairs, and pieces that join the marks of
    an answer.

    Args:
        texts: all that is asked about and answered.
        with_bytes: only characters that come more than once are tokens, and all others are several tokens, a byte each.
            Without, every character is a token.
    """
    pieces = _pieces(list(texts), least=2 if with_bytes else 1)
    raw = [f"<0x{byte:02X}>" for byte in range(256)] if with_bytes else []
    tokens = [*_CONTROL, *raw, *pieces]
    kinds = [_UNKNOWN, _CONTROLLING, _CONTROLLING, *[_BYTE] * len(raw), *[_NORMAL] * len(pieces)]
    fields: dict[str, Any] = {
        "general.architecture": "llama",
        "general.name": "random",
        "llama.context_length": 4096,
        "llama.embedding_length": _WIDTH,
        "llama.block_count": 1,
        "llama.feed_forward_length": _INNER,
        "llama.attention.head_count": _HEADS,
        "llama.attention.head_count_kv": _HEADS,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": _WIDTH // _HEADS,
        "llama.vocab_size": len(tokens),
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": [-float(rank) for rank in range(len(tokens))],
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.ggml.add_space_prefix": False,
    }
    square, wide = (_WIDTH, _WIDTH), (_WIDTH, len(tokens))
    tensors: dict[str, tuple[int, ...]] = {"token_embd.weight": wide, "output.weight": wide}
    tensors |= {f"blk.0.attn_{part}.weight": square for part in ("q", "k", "v", "output")}
    tensors |= {"blk.0.ffn_gate.weight": (_WIDTH, _INNER), "blk.0.ffn_up.weight": (_WIDTH, _INNER)}
    tensors |= {"blk.0.ffn_down.weight": (_INNER, _WIDTH)}
    tensors |= {name: (_WIDTH,) for name in ("output_norm.weight", "blk.0.attn_norm.weight", "blk.0.ffn_norm.weight")}
    return write_gguf(path, fields, tensors)


def _pieces(texts: list[str], least: int) -> list[str]:
    # A tokenizer of this kind writes a space so. No token holds a null.
    written = [part for text in texts for part in text.replace(" ", "▁").split("\0")]
    letters = [letter for letter, count in Counter("".join(written)).items() if count >= least]
    pairs = Counter(a + b for text in written for a, b in pairwise(text)).most_common(_PAIRS)
    marks = [*(chr(code) for code in range(0x21, 0x7F)), "▁", "\n"]
    return list(dict.fromkeys([*marks, *letters, *_LONGER, *(pair for pair, _ in pairs)]))
