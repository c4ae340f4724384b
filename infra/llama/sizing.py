"""How many slots a llama-server gets, from the memory that it may use and the header of its GGUF.

    python3 sizing.py --model FILE [--lora FILE] --device gpu|cpu --memory-mib N [--servers K] [--slots N] …

Prints `SLOTS TOKENS_PER_SLOT NAME` on one line for serve.sh, NAME as NAME+ADAPTER with an adapter, and on stderr how it
came to them. Runs on the hosts, so it needs Python 3.10, its standard library and gguf_header.py only.
"""

from __future__ import annotations

import argparse
import re
import struct
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gguf_header import Misfit, check_lora, check_model, read_fields, read_header

MIB = 1 << 20
GIB = 1 << 30

# Bytes of one number of the KV cache; q8_0 stores 32 numbers and a scale of two bytes.
KV_BYTES = {"f16": 2.0, "q8_0": 34 / 32}

# Of a card, CUDA's context, fragmentation and the display take a part that grows with it; each server needs its
# compute buffers besides. A CPU host keeps a quarter for the rest of the machine.
SHARE = {"gpu": 0.92, "cpu": 0.75}
BUFFERS = {"gpu": GIB, "cpu": GIB // 4}

# Where memory is not the limit: the start line for a GPU until `tune` has measured, and what a CPU's cores can feed.
MOST_SLOTS = {"gpu": 32, "cpu": 4}
SERVER_MAX_SLOTS = 256


class CannotServe(Exception):
    """What is wrong, with the exit code of infra's commands: 2 usage, 3 the machine does not suffice."""

    def __init__(self, code: int, subject: str, reason: str, remedy: str) -> None:
        super().__init__(code, subject, reason, remedy)
        self.code = code
        self.text = f"error: {subject}: {reason}\n  {remedy}"


@dataclass(frozen=True)
class Model:
    """What the size of a server depends on.

    Args:
        name: `general.name` in the form of an alias, with `+` and the file name of an adapter.
        file_bytes: the weights, as they lie in memory, those of an adapter included.
        kv_numbers: numbers that one token of context adds to the KV cache.
        context_length: tokens that the model was trained on.
    """

    name: str
    file_bytes: int
    kv_numbers: int
    context_length: int


def read_model(path: Path) -> Model:
    """The header of a GGUF file.

    Raises:
        CannotServe: it is missing, torn or no GGUF.
    """
    try:
        with path.open("rb") as file:
            fields = read_fields(file)
        size = path.stat().st_size
    except OSError as error:
        raise CannotServe(2, str(path), error.strerror or "cannot be read", "Name a GGUF file with --model.") from None
    except (struct.error, ValueError, KeyError) as error:
        raise CannotServe(4, str(path), f"is not a whole GGUF file ({error})", "Make or copy it again.") from None
    try:
        check_model(str(fields.get("general.type", "model")))
    except Misfit as error:
        raise CannotServe(2, str(path), error.reason, "Name the model with --model, an adapter with --lora.") from None
    kind = fields.get("general.architecture")

    def field(key: str) -> Any:
        return fields.get(f"{kind}.{key}")

    try:
        heads = int(field("attention.head_count"))
        head_size = int(field("embedding_length")) // heads
        numbers_per_head = (field("attention.key_length") or head_size) + (field("attention.value_length") or head_size)
        kv_heads = field("attention.head_count_kv") or heads
        # One number, or one for each layer. A layer with a sliding window needs less, which is left as a reserve.
        all_kv_heads = sum(kv_heads) if isinstance(kv_heads, list) else kv_heads * field("block_count")
        context_length = int(field("context_length"))
    except (TypeError, ZeroDivisionError):
        raise CannotServe(
            2, str(path), f"its header lacks the shape of a {kind} model", "Give --slots and --context-per-slot."
        ) from None
    return Model(
        name=slug(str(fields.get("general.name") or path.stem)),
        file_bytes=size,
        kv_numbers=all_kv_heads * numbers_per_head,
        context_length=context_length,
    )


def with_lora(model: Model, path: Path, lora: Path) -> Model:
    """A model and its adapter, which is served beside it and not merged.

    Args:
        path: of the model.

    Raises:
        CannotServe: the adapter is missing, torn, none or that of another model.
    """
    remedy = "Name the adapter of this model with --lora, as infra/llama/adapter.sh makes it."
    try:
        header, size = read_header(lora), lora.stat().st_size
    except OSError as error:
        raise CannotServe(2, str(lora), error.strerror or "cannot be read", remedy) from None
    except ValueError as error:
        raise CannotServe(4, str(lora), f"is not a whole GGUF file ({error})", "Make or copy it again.") from None
    try:
        check_lora(read_header(path), header)
    except Misfit as error:
        raise CannotServe(2, str(lora), f"does not go with {path.name}: {error.reason}", remedy) from None
    except ValueError as error:
        raise CannotServe(4, str(path), f"is not a whole GGUF file ({error})", "Make or copy it again.") from None
    return replace(model, name=f"{model.name}+{slug(lora.stem)}", file_bytes=model.file_bytes + size)


def slug(name: str) -> str:
    """A name as an alias carries it: `Atom-7B Chat` is `atom-7b-chat`."""
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-") or "model"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Slots and context of a llama-server, from memory and GGUF header.")
    parser.add_argument("--model", type=Path, required=True, metavar="FILE", help="GGUF file")
    parser.add_argument("--lora", type=Path, metavar="FILE", help="GGUF file of an adapter")
    parser.add_argument("--device", choices=("gpu", "cpu"), required=True)
    parser.add_argument("--memory-mib", type=int, required=True, metavar="N", help="memory of the card or the machine")
    parser.add_argument("--servers", type=int, default=1, metavar="K", help="servers that share that memory")
    parser.add_argument("--kv-type", choices=tuple(KV_BYTES), default="f16", help="type of the KV cache")
    parser.add_argument("--context-per-slot", type=int, default=3072, metavar="N", help="tokens of prompt and answer")
    parser.add_argument("--slots", type=int, default=0, metavar="N", help="by hand; 0: what fits")
    options = parser.parse_args(argv)
    try:
        model = read_model(options.model)
        if options.lora:
            model = with_lora(model, options.model, options.lora)
        slots, per_slot = plan(model, options)
    except CannotServe as error:
        print(error.text, file=sys.stderr)
        return error.code
    print(slots, per_slot, model.name)
    return 0


def plan(model: Model, options: argparse.Namespace) -> tuple[int, int]:
    """Slots and tokens per slot; says on stderr how they came about.

    Raises:
        CannotServe: not even one slot fits.
    """
    device = options.device
    memory = options.memory_mib * MIB
    per_token = model.kv_numbers * KV_BYTES[options.kv_type]
    per_slot = min(options.context_per_slot, model.context_length)
    room = memory * SHARE[device] / options.servers - BUFFERS[device] - model.file_bytes
    tokens = int(room // per_token)
    fit = tokens // per_slot
    if max(fit, 0) < max(options.slots, 1):
        raise CannotServe(
            3,
            str(options.model),
            f"{max(options.slots, 1)} slots of {per_slot} tokens need "
            f"{(model.file_bytes + max(options.slots, 1) * per_slot * per_token) / GIB:.1f} GiB; one of "
            f"{options.servers} servers has {(room + model.file_bytes) / GIB:.1f} GiB of the {device}'s memory",
            "Take fewer --slots or servers, a smaller --context-per-slot or quantisation, or --kv-type q8_0.",
        )
    slots = options.slots or min(fit, MOST_SLOTS[device])
    print(
        f"memory    {memory / GIB:.1f} GiB of the {device}, {SHARE[device]:.0%} of it for {options.servers} servers, "
        f"{BUFFERS[device] / GIB:.2g} GiB of compute buffers each\n"
        f"model     {model.file_bytes / GIB:.2f} GiB\n"
        f"KV        {per_token / 1024:.1f} KiB per token as {options.kv_type}: room for {tokens} tokens, "
        f"{fit} slots of {per_slot}\n"
        f"slots     {slots}{' (by hand)' if options.slots else ''} of {per_slot} tokens, "
        f"{slots * per_slot} in all, {slots * per_slot * per_token / GIB:.2f} GiB",
        file=sys.stderr,
    )
    return slots, per_slot


if __name__ == "__main__":
    sys.exit(main())
