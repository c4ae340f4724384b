"""Write a GGUF of Llama-2-7B's shape with random weights in q8_0: what a card does per second does not depend on them.

    PYTHONPATH=PREFIX/llama/convert/gguf-py python tests/benchmarks/random_model.py --texts FILE … --out FILE

The vocabulary is learned from the texts, so that they take as many tokens as with a real model of that size; all layers
hold the same numbers. `gguf` comes with what infra/llama/build.sh has built. `--width 256 --inner 512 --layers 2
--heads 4` makes a model with the same vocabulary that any machine serves: to write questions with (infra/questions.py),
and to see what choosing tokens costs where decoding costs nothing (tests/benchmarks/server.py).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import sentencepiece

_BLOCK = 32
_SCALE = 0.02 / 73
"""Numbers of a standard deviation of 0.02, as a model begins its training with: 73 is that of the bytes."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--texts", type=Path, nargs="+", metavar="FILE", help="to learn a vocabulary from")
    add("--tokenizer", type=Path, metavar="FILE", help="of sentencepiece, instead; written where it is missing")
    add("--vocabulary", type=int, default=65000, metavar="N", help="tokens (65000, as Atom-7B has)")
    add("--pad", type=int, default=0, metavar="N", help="tokens to have at least, with made-up ones that no text needs")
    add("--width", type=int, default=4096)
    add("--inner", type=int, default=11008)
    add("--layers", type=int, default=32)
    add("--heads", type=int, default=32)
    add("--context", type=int, default=4096)
    add("--out", type=Path, required=True, metavar="FILE")
    options = parser.parse_args()
    tokenizer = options.tokenizer or options.out.with_suffix(".tokenizer")
    if not tokenizer.exists():
        learn(options.texts, options.vocabulary, tokenizer)
    write(options, sentencepiece.SentencePieceProcessor(model_file=str(tokenizer)))


def learn(texts: list[Path], size: int, tokenizer: Path) -> None:
    """A vocabulary of Llama's kind; the texts may be smaller than one of that size needs."""
    with tempfile.TemporaryDirectory() as folder:
        sentencepiece.SentencePieceTrainer.train(
            input=",".join(map(str, texts)),
            model_prefix=f"{folder}/tokenizer",
            vocab_size=size,
            model_type="bpe",
            byte_fallback=True,
            hard_vocab_limit=False,
            max_sentence_length=1 << 16,
            minloglevel=2,
        )
        tokenizer.write_bytes(Path(f"{folder}/tokenizer.model").read_bytes())


def write(options: argparse.Namespace, tokenizer: sentencepiece.SentencePieceProcessor) -> None:
    """The file, with what llama.cpp wants to know of a model of this kind."""
    writer = gguf.GGUFWriter(options.out, "llama")
    writer.add_name(f"random-{options.width}x{options.layers}")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_context_length(options.context)
    writer.add_embedding_length(options.width)
    writer.add_block_count(options.layers)
    writer.add_feed_forward_length(options.inner)
    writer.add_head_count(options.heads)
    writer.add_head_count_kv(options.heads)
    writer.add_rope_dimension_count(options.width // options.heads)
    writer.add_layer_norm_rms_eps(1e-5)
    made_up = list(islice(made_up_pieces(tokenizer), max(0, options.pad - tokenizer.get_piece_size())))
    add_vocabulary(writer, tokenizer, made_up)
    add_weights(writer, options, tokenizer.get_piece_size() + len(made_up))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def made_up_pieces(tokenizer: sentencepiece.SentencePieceProcessor) -> Iterator[str]:
    """Four ideographs each, in no order that a text would have, and none that the vocabulary has."""
    for number in count():
        piece = "".join(chr(0x4E00 + part) for part in (number % 5000, number // 5000, number % 7, 20_000))
        if tokenizer.is_unknown(tokenizer.piece_to_id(piece)):
            yield piece


def add_vocabulary(
    writer: gguf.GGUFWriter, tokenizer: sentencepiece.SentencePieceProcessor, made_up: Sequence[str]
) -> None:
    def kind(token: int) -> gguf.TokenType:
        if tokenizer.is_unknown(token):
            return gguf.TokenType.UNKNOWN
        if tokenizer.is_control(token):
            return gguf.TokenType.CONTROL
        return gguf.TokenType.BYTE if tokenizer.is_byte(token) else gguf.TokenType.NORMAL

    tokens = range(tokenizer.get_piece_size())
    writer.add_vocab_size(len(tokens) + len(made_up))
    writer.add_tokenizer_model("llama")
    writer.add_token_list([*(tokenizer.id_to_piece(token) for token in tokens), *made_up])
    # With these scores no text is split into made-up ones.
    writer.add_token_scores([*(tokenizer.get_score(token) for token in tokens), *[-1e9] * len(made_up)])
    writer.add_token_types([*(kind(token) for token in tokens), *[gguf.TokenType.NORMAL] * len(made_up)])
    writer.add_bos_token_id(tokenizer.bos_id())
    writer.add_eos_token_id(tokenizer.eos_id())
    writer.add_add_bos_token(True)
    # llguidance inside llama.cpp misreads vocabularies that put a space before every text.
    writer.add_add_space_prefix(False)


def add_weights(writer: gguf.GGUFWriter, options: argparse.Namespace, vocabulary: int) -> None:
    random = np.random.default_rng(7)
    width, inner = options.width, options.inner
    shapes = {f"attn_{part}": (width, width) for part in ("q", "k", "v", "output")}
    shapes |= {"ffn_gate": (inner, width), "ffn_up": (inner, width), "ffn_down": (width, inner)}
    layer = {name: q8_0(random, *shape) for name, shape in shapes.items()}
    ones = np.ones(width, np.float32)
    for number in range(options.layers):
        for name, matrix in layer.items():
            writer.add_tensor(f"blk.{number}.{name}.weight", matrix, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{number}.{name}.weight", ones)
    writer.add_tensor("output_norm.weight", ones)
    for name in ("token_embd", "output"):
        matrix = q8_0(random, vocabulary, width)
        writer.add_tensor(f"{name}.weight", matrix, raw_dtype=gguf.GGMLQuantizationType.Q8_0)


def q8_0(random: np.random.Generator, rows: int, columns: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A matrix in blocks of a scale (two bytes) and 32 numbers of one byte."""
    blocks = np.empty((rows, columns // _BLOCK, 2 + _BLOCK), np.uint8)
    blocks[..., :2] = np.frombuffer(np.float16(_SCALE).tobytes(), np.uint8)
    blocks[..., 2:] = random.integers(-127, 128, (rows, columns // _BLOCK, _BLOCK), np.int8).view(np.uint8)
    return blocks.reshape(rows, -1)


if __name__ == "__main__":
    main()
