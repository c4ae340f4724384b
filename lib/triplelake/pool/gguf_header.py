"""The header of a GGUF file: what it says of itself and the shapes of its tensors, without the weights.

It stands alone and needs Python 3.10 and its standard library only, since serve.sh runs it on the hosts of a pool.
The `gguf` package keeps an object for each token of the vocabulary: half a minute for a small model, where this takes
less than a second.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

_MIB = 1 << 20
_MOST_DIMENSIONS = 8
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_LORA_A, _LORA_B = ".lora_a", ".lora_b"


@dataclass(frozen=True)
class Header:
    """What stands before the weights.

    Args:
        fields: the metadata by key.
        tensors: the dimensions of each tensor, the one whose numbers lie next to each other first.
    """

    fields: Mapping[str, Any]
    tensors: Mapping[str, tuple[int, ...]]

    @property
    def architecture(self) -> str:
        """As `llama` or `qwen2`; empty if it is not told."""
        return str(self.fields.get("general.architecture", ""))


class Misfit(Exception):
    """A file that cannot be served as it was named.

    Args:
        which: `model` or `lora`, the file that is wrong.
        reason: what is wrong with it.
    """

    def __init__(self, which: str, reason: str) -> None:
        super().__init__(which, reason)
        self.which = which
        self.reason = reason


def read_header(path: Path) -> Header:
    """The header of a GGUF file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is torn, or no GGUF.
    """
    with path.open("rb") as file:
        try:
            tensors, count = _start(file)
            fields = dict(_fields(file, count))
            return Header(fields, dict(_tensor(file) for _ in range(tensors)))
        except (struct.error, KeyError, OverflowError) as error:
            raise ValueError(f"its header breaks off: {error}") from None


def read_type(path: Path) -> str:
    """`general.type` of a GGUF file, as `model` or `adapter`; `model` where it is not told, as in old files.

    Raises:
        OSError, ValueError: as of `read_header`.
    """
    with path.open("rb") as file:
        try:
            told = (value for key, value in _fields(file, _start(file)[1]) if key == "general.type")
            return str(next(told, "model"))
        except (struct.error, KeyError, OverflowError) as error:
            raise ValueError(f"its header breaks off: {error}") from None


def check_model(kind: str) -> None:
    """Whether a file of this `general.type` can be served as a model.

    Raises:
        Misfit: it is something else.
    """
    if kind != "model":
        raise Misfit("model", f"is no model but of type `{kind}`")


def check_lora(model: Header, lora: Header) -> None:
    """Whether an adapter belongs to a model: as llama.cpp looks at it, but before a server is started.

    Raises:
        Misfit: one of the files is something else, or they are not made for each other.
    """
    check_model(str(model.fields.get("general.type", "model")))
    kind = str(lora.fields.get("general.type", "model"))
    if kind != "adapter":
        raise Misfit("lora", f"is no adapter but of type `{kind}`")
    if lora.fields.get("adapter.type") != "lora":
        raise Misfit("lora", f"is an adapter of type `{lora.fields.get('adapter.type')}`, not `lora`")
    if lora.architecture != model.architecture:
        raise Misfit("lora", f"was trained on a {lora.architecture} model; this one is a {model.architecture}")
    trained = {name[: -len(end)] for name in lora.tensors for end in (_LORA_A, _LORA_B) if name.endswith(end)}
    if not trained:
        raise Misfit("lora", "holds no weights of a LoRA")
    for name in sorted(trained):
        _check_pair(name, model.tensors.get(name), lora.tensors.get(name + _LORA_A), lora.tensors.get(name + _LORA_B))


def _check_pair(
    name: str, weights: tuple[int, ...] | None, a: tuple[int, ...] | None, b: tuple[int, ...] | None
) -> None:
    if weights is None:
        raise Misfit("lora", f"changes `{name}`, which the model lacks: it was trained on another one")
    if a is None or b is None or len(weights) < 2 or len(a) < 2 or len(b) < 2:
        raise Misfit("lora", f"is not whole: `{name}` lacks one of its two matrices")
    # The token embedding is looked up, not multiplied with: its two matrices lie the other way round.
    made_for = (b[1], a[1]) if name.startswith("token_embd.") else (a[0], b[1])
    if weights[:2] != made_for:
        sizes = "{}x{}".format
        raise Misfit("lora", f"`{name}` is {sizes(*made_for)} in it and {sizes(*weights[:2])} in the model")


def read_fields(file: BinaryIO) -> dict[str, Any]:
    """The metadata of a GGUF file; https://github.com/ggml-org/ggml/blob/master/docs/gguf.md describes it.

    Raises:
        ValueError, struct.error, KeyError: it is torn, or no GGUF.
    """
    return dict(_fields(file, _start(file)[1]))


def _start(file: BinaryIO) -> tuple[int, int]:
    """How many tensors and fields there are."""
    magic, version, tensors, count = struct.unpack("<4sIQQ", file.read(24))
    if magic != b"GGUF" or version < 2:
        raise ValueError(f"starts with {magic!r} and version {version}")
    return tensors, count


def _fields(file: BinaryIO, count: int) -> Iterator[tuple[str, Any]]:
    return ((_read_string(file), _read_value(file, *_unpack(file, "I"))) for _ in range(count))


def _tensor(file: BinaryIO) -> tuple[str, tuple[int, ...]]:
    name, (dimensions,) = _read_string(file), _unpack(file, "I")
    if dimensions > _MOST_DIMENSIONS:
        raise ValueError(f"`{name}` has {dimensions} dimensions")
    shape = _unpack(file, f"{dimensions}Q")
    _unpack(file, "IQ")  # its type and where it lies
    return name, shape


def _read_value(file: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _read_string(file)
    if kind == _ARRAY:
        item, count = _unpack(file, "IQ")
        if item in _SCALARS:
            return list(_unpack(file, f"{count}{_SCALARS[item]}"))
        return [_read_value(file, item) for _ in range(count)]
    return _unpack(file, _SCALARS[kind])[0]


def _read_string(file: BinaryIO) -> str:
    (length,) = _unpack(file, "Q")
    if length > 64 * _MIB:
        raise ValueError(f"a text of {length} bytes")
    return file.read(length).decode("utf-8", "replace")


def _unpack(file: BinaryIO, form: str) -> tuple[Any, ...]:
    return struct.unpack(f"<{form}", file.read(struct.calcsize(f"<{form}")))
