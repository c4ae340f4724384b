"""What a training takes in memory and time, by calculation, before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from train_batches import order
from train_options import Computed, Options
from triplelake.errors import UsageError
from triplelake.pool.gguf_header import Header

_KEPT_HIDDEN, _KEPT_INNER = 34, 9
"""Numbers that a layer keeps of each token for the way back, in rows of the model's width and of its inner width.
Fitted to what was measured with Qwen2.5-0.5B in bf16: 144 KB for a token and layer."""

_HEAD_BYTES = 14
"""For each place of an answer and token that a loss counts: logits, the same in fp32, their gradients."""

_OPTIMISER_BYTES = 16
"""For each weight of the adapter: a copy in fp32, its gradient, two moments."""

_BYTES: Mapping[Computed, int] = {"bf16": 2, "fp32": 4, "int8": 4}
"""Of a number that is kept for the way back."""

_WEIGHT_BYTES: Mapping[Computed, int] = {"bf16": 2, "fp32": 4, "int8": 2}
"""Of a weight of the layers. In int8 there are two of each, one for the way forth and one for the way back."""

_KEPT_INT8 = 0.6
"""Of the numbers above: a layer in int8 keeps what it reads, and no sum of its parts. With the same model it was 0.48,
which is rounded up."""

_UNUSED: Mapping[str, float] = {"cpu": 1.15, "cuda": 1.0}
"""Times the numbers above: the allocator keeps pieces of many sizes, and batches of every width come. Measured at most
22.9 GB in a training for which 21.2 were told."""

_RUNTIME = {"cpu": 0.7e9, "cuda": 1.5e9}
_EFFICIENCY: Mapping[Computed, float] = {"bf16": 0.7, "fp32": 0.6, "int8": 0.3}
"""Of a bare product of matrices, as measured for whole steps with Qwen2.5-0.5B on a CPU. In int8 only the products
with frozen weights are quick; all else takes as long as in fp32."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a model decides the cost.

    Args:
        adapted: layers with an adapter.
        body: weights of all layers; `embedding`: those of the vocabulary, in and out.
        ends: sum over the linear layers of one layer of how many numbers go in and come out.
    """

    layers: int
    adapted: int
    hidden: int
    inner: int
    vocabulary: int
    body: int
    embedding: int
    ends: int


@dataclass(frozen=True, slots=True)
class Cost:
    """Bytes by what they are for, and operations.

    Args:
        operations: of one epoch.
        adapter: its weights.
    """

    weights: float
    optimiser: float
    activations: float
    head: float
    runtime: float
    operations: float
    precision: Computed
    adapter: int

    @property
    def memory(self) -> float:
        """All bytes together, at most."""
        return self.weights + self.optimiser + self.activations + self.head + self.runtime

    def hours(self, epochs: float, ops_per_s: float) -> float:
        """Of so many epochs, on a device that multiplies matrices so fast."""
        return epochs * self.operations / (_EFFICIENCY[self.precision] * ops_per_s) / 3600


def shape_of(config: Any, adapted: int | None) -> Shape:
    """The shape of a model of transformers, from its config.

    Args:
        adapted: the last layers that get an adapter; all if None.
    """
    text = config.get_text_config()
    return _shape(
        hidden=text.hidden_size,
        layers=text.num_hidden_layers,
        inner=text.intermediate_size,
        heads=text.num_attention_heads,
        pairs=text.num_key_value_heads or text.num_attention_heads,
        width=getattr(text, "head_dim", None),
        vocabulary=text.vocab_size,
        tied=bool(getattr(config, "tie_word_embeddings", False)),
        adapted=adapted,
    )


def shape_of_gguf(header: Header, adapted: int | None) -> Shape:
    """The shape of a model from the header of its GGUF, which takes no time: transformers reads it for ten seconds."""
    name = header.architecture
    heads = header.fields[f"{name}.attention.head_count"]
    return _shape(
        hidden=header.fields[f"{name}.embedding_length"],
        layers=header.fields[f"{name}.block_count"],
        inner=_most(header.fields[f"{name}.feed_forward_length"]),
        heads=_most(heads),
        pairs=_most(header.fields.get(f"{name}.attention.head_count_kv", heads)),
        width=header.fields.get(f"{name}.attention.key_length"),
        vocabulary=header.tensors["token_embd.weight"][1],
        tied="output.weight" not in header.tensors,
        adapted=adapted,
    )


def _most(value: Any) -> int:
    """A number that some models have for each layer."""
    return int(max(value) if isinstance(value, list) else value)


def _shape(
    *,
    hidden: int,
    layers: int,
    inner: int,
    heads: int,
    pairs: int,
    width: int | None,
    vocabulary: int,
    tied: bool,
    adapted: int | None,
) -> Shape:
    width = width or hidden // heads
    queries, keys = width * heads, width * pairs
    linear = [(hidden, queries), (hidden, keys), (hidden, keys), (queries, hidden)]
    linear += [(hidden, inner), (hidden, inner), (inner, hidden)]
    return Shape(
        layers=layers,
        adapted=adapted or layers,
        hidden=hidden,
        inner=inner,
        vocabulary=vocabulary,
        body=layers * sum(a * b for a, b in linear),
        embedding=vocabulary * hidden * (1 if tied else 2),
        ends=sum(a + b for a, b in linear),
    )


def cost(
    shape: Shape,
    options: Options,
    lengths: Sequence[int],
    answers: Sequence[int],
    *,
    held: int,
    precision: Computed,
    kind: str,
) -> Cost:
    """What one device needs.

    Args:
        lengths: tokens of each text with its answer; `answers`: those of the answer alone.
        held: different tokens of all texts.
        precision: what the base is multiplied in.
        kind: `cpu` or `cuda`.
    """
    widest, places, computed = _passes(lengths, answers, options)
    adapter = shape.adapted * shape.ends * options.rank
    number = _BYTES[precision]
    kept: float = number * (_KEPT_HIDDEN * shape.hidden + _KEPT_INNER * shape.inner)
    if precision == "int8":
        kept *= _KEPT_INT8
    layers = widest * kept * shape.adapted
    if options.checkpointing:
        layers = widest * (kept + number * shape.hidden * shape.layers)
    back = 2 if options.checkpointing else 1
    negatives = options.negatives_on(kind)
    counted = min(shape.vocabulary, negatives + held) if negatives else shape.vocabulary
    copied = counted * shape.hidden * number if counted < shape.vocabulary else 0
    share = shape.adapted / shape.layers
    body = 2 * shape.body * (1 + share + (back - 1)) + 4 * adapter
    return Cost(
        weights=shape.body * _WEIGHT_BYTES[precision] + shape.embedding * number,
        optimiser=adapter * (_OPTIMISER_BYTES + 2 * number),
        activations=layers * _UNUSED[kind],
        head=places * counted * _HEAD_BYTES + copied,
        runtime=_RUNTIME[kind],
        operations=computed * body + sum(answers) * 4 * counted * shape.hidden,
        adapter=adapter,
        precision=precision,
    )


def _passes(lengths: Sequence[int], answers: Sequence[int], options: Options) -> tuple[int, int, int]:
    """Tokens of the largest pass, answers' tokens of the pass with most, and tokens of an epoch with padding."""
    places = order(lengths, options.batch, options.seed, 0)
    passes = [places[start : start + options.micro] for start in range(0, len(places), options.micro)]
    tokens = [
        sum(lengths[each] for each in one) if options.packing else len(one) * max(lengths[each] for each in one)
        for one in passes
    ]
    return max(tokens), max(sum(answers[each] for each in one) for one in passes), sum(tokens)


def check_memory(needed: Cost, free: float, options: Options) -> None:
    """Whether a training fits, before hours are spent on it.

    Args:
        free: bytes of the device that nobody uses.

    Raises:
        UsageError: it does not; with what can be made smaller.
    """
    if needed.memory <= free:
        return
    remedies = [
        f"--micro {options.micro // 2}" if options.micro > 1 else "",
        "" if options.checkpointing else "--checkpointing",
        f"--max-tokens {options.max_tokens // 2}",
    ]
    parts = (
        f"{needed.weights / 1e9:.1f} for the weights, {needed.optimiser / 1e9:.1f} for adapter and optimiser, "
        f"{needed.activations / 1e9:.1f} for activations, {needed.head / 1e9:.1f} for the answers' probabilities"
    )
    raise UsageError(
        "memory",
        f"about {needed.memory / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free: {parts}",
        f"Any of these makes it smaller: {', '.join(each for each in remedies if each)}; or a smaller model.",
    )
