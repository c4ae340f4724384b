"""A model of Atom's shape with random weights, small enough for any machine: what a conversion is tried on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import sentencepiece
from safetensors.numpy import save_file

VOCABULARY, WIDTH, INNER, LAYERS, HEADS = 1000, 128, 256, 4, 4
# As Atom's repository has it. A conversion that runs it would run whatever a repository holds.
REMOTE_CODE = 'raise SystemExit("code of the model was run")\n'


def make_random_atom(folder: Path, texts: Path) -> None:
    """The files that the guide lists, in `folder`; the tokenizer learns from the lines of `texts`."""
    folder.mkdir(parents=True, exist_ok=True)
    train_tokenizer(folder, texts)
    write_weights(folder)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "auto_map": {
            "AutoConfig": "configuration_atom.AtomConfig",
            "AutoModelForCausalLM": "model_atom.AtomForCausalLM",
        },
        "model_type": "llama",
        "bos_token_id": 1,
        "eos_token_id": 2,
        "hidden_act": "silu",
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "max_position_embeddings": 4096,
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        "num_key_value_heads": HEADS,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "torch_dtype": "float16",
        "vocab_size": VOCABULARY,
    }
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    tokenizer = {**special, "add_bos_token": True, "add_eos_token": False, "tokenizer_class": "LlamaTokenizer"}
    documents = {
        "config.json": config,
        "generation_config.json": {"bos_token_id": 1, "eos_token_id": 2},
        "special_tokens_map.json": special,
        "tokenizer_config.json": tokenizer,
    }
    for name, content in documents.items():
        (folder / name).write_text(json.dumps(content, indent=2), encoding="utf-8")
    for name in ("configuration_atom.py", "model_atom.py"):
        (folder / name).write_text(REMOTE_CODE)


def train_tokenizer(folder: Path, texts: Path) -> None:
    sentencepiece.SentencePieceTrainer.train(
        input=str(texts),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=VOCABULARY,
        model_type="bpe",
        byte_fallback=True,
        character_coverage=0.99,
        minloglevel=2,
    )
    (folder / "tokenizer.vocab").unlink()


def write_weights(folder: Path) -> None:
    """Three shards and their index, the same numbers each time."""
    random = np.random.default_rng(7)

    def matrix(rows: int, columns: int) -> np.ndarray:
        return (random.standard_normal((rows, columns)) * 0.05).astype(np.float16)

    ones = np.ones(WIDTH, np.float16)
    shards: list[dict[str, np.ndarray]] = [{"model.embed_tokens.weight": matrix(VOCABULARY, WIDTH)}, {}, {}]
    for layer in range(LAYERS):
        shard = shards[layer * len(shards) // LAYERS]
        for part in ("q_proj", "k_proj", "v_proj", "o_proj"):
            shard[f"model.layers.{layer}.self_attn.{part}.weight"] = matrix(WIDTH, WIDTH)
        for part, shape in {"gate": (INNER, WIDTH), "up": (INNER, WIDTH), "down": (WIDTH, INNER)}.items():
            shard[f"model.layers.{layer}.mlp.{part}_proj.weight"] = matrix(*shape)
        for norm in ("input_layernorm", "post_attention_layernorm"):
            shard[f"model.layers.{layer}.{norm}.weight"] = ones
    shards[-1] |= {"model.norm.weight": ones, "lm_head.weight": matrix(VOCABULARY, WIDTH)}
    index: dict[str, str] = {}
    for number, shard in enumerate(shards, 1):
        name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        save_file(shard, folder / name, {"format": "pt"})
        index |= dict.fromkeys(shard, name)
    content = {"metadata": {}, "weight_map": index}
    (folder / "model.safetensors.index.json").write_text(json.dumps(content), encoding="utf-8")
