"""A LoRA adapter of peft as a GGUF file that llama.cpp serves, made by llama.cpp's own convert_lora_to_gguf.py.

    python adapter_gguf.py --adapter DIR --base DIR --out FILE [--type f32] [--model GGUF] [--script FILE]

DIR of the adapter is what peft saved, DIR of the base holds its config.json, weights or none. The Python that runs this
needs torch, transformers and safetensors; where no build of llama.cpp is at hand (`--script`), the script is taken once
from the source archive of the package llama-cpp-python, which holds llama.cpp, and kept in the user's cache.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from convert_source import CannotConvert, conversion_script, convert
from gguf_header import Misfit, check_lora, read_header

TYPES = ("f32", "f16", "bf16", "q8_0")


def adapter_to_gguf(
    adapter: Path, base: Path, out: Path, *, kind: str = "f32", model: Path | None = None, script: Path | None = None
) -> None:
    """Write an adapter as GGUF; the file is there as a whole or not at all.

    Args:
        adapter: folder with adapter_config.json and adapter_model.safetensors.
        base: folder with the config.json of the model that it was trained on; its weights are not needed.
        kind: type of the numbers, one of TYPES; f32 holds all that was trained.
        model: GGUF that it will be served with; what does not fit it is not written.
        script: llama.cpp's convert_lora_to_gguf.py; if None, that of the cache, which is fetched once.

    Raises:
        CannotConvert: a file is missing, llama.cpp could not do what the adapter says, or the conversion fails.
    """
    check_adapter(adapter)
    check_base(base)
    script = script or conversion_script()
    part = out.with_name(out.name + ".part")
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        convert(script, [str(adapter), "--base", str(base)], part, kind)
        _check_result(adapter, part, model)
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def check_adapter(adapter: Path) -> None:
    """Whether llama.cpp can serve an adapter as it was trained.

    Raises:
        CannotConvert: it cannot, or a file is missing.
    """
    config = _read_json(adapter / "adapter_config.json", "Name the folder that peft saved with --adapter.")
    if not any((adapter / f"adapter_model.{end}").is_file() for end in ("safetensors", "bin")):
        raise CannotConvert(2, adapter, "holds no adapter_model.safetensors", "Name the folder that peft saved.")
    again = "Train it without, or merge it into its model and serve that: see docs/own-model.md."
    if config.get("peft_type") != "LORA":
        raise CannotConvert(2, adapter, f"is of type {config.get('peft_type')}, and llama.cpp serves LORA", again)
    # The conversion passes over the first two, and llama.cpp then adds the adapter with another weight than it had.
    for key in ("use_rslora", "alpha_pattern", "use_dora", "modules_to_save", "trainable_token_indices"):
        if config.get(key):
            raise CannotConvert(2, adapter, f"was trained with {key}, which a GGUF adapter cannot hold", again)


def check_base(base: Path) -> None:
    """Whether a folder tells what model it is of.

    Raises:
        CannotConvert: it does not.
    """
    remedy = "Name the folder of the model that the adapter was trained on with --base; its config.json is enough."
    config = _read_json(base / "config.json", remedy)
    if not config.get("architectures"):
        reason = "names no `architectures`"
        raise CannotConvert(
            2, base / "config.json", reason, "Save it with save_pretrained of the model, not its config."
        )


def _read_json(path: Path, remedy: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise CannotConvert(2, path, error.strerror or "cannot be read", remedy) from None
    except ValueError as error:
        raise CannotConvert(2, path, f"is not JSON ({error})", remedy) from None
    return content if isinstance(content, dict) else {}


def _check_result(adapter: Path, made: Path, model: Path | None) -> None:
    try:
        header = read_header(made)
    except ValueError as error:
        raise CannotConvert(4, made, f"is not a whole GGUF file ({error})", "Make room on the disk.") from None
    if header.fields.get("adapter.type") != "lora" or not any(name.endswith(".lora_a") for name in header.tensors):
        raise CannotConvert(4, adapter, "became a file without weights of a LoRA", "Look at its adapter_config.json.")
    if model is None:
        return
    remedy = "Name the GGUF of the model that the adapter was trained on with --model."
    try:
        check_lora(read_header(model), header)
    except OSError as error:
        raise CannotConvert(2, model, error.strerror or "cannot be read", remedy) from None
    except ValueError as error:
        raise CannotConvert(4, model, f"is not a whole GGUF file ({error})", "Make or copy it again.") from None
    except Misfit as error:
        raise CannotConvert(2, adapter, f"does not go with {model.name}: {error.reason}", remedy) from None


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="adapter_gguf.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--adapter", type=Path, required=True, metavar="DIR", help="what peft saved")
    parser.add_argument("--base", type=Path, required=True, metavar="DIR", help="with the model's config.json")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the GGUF; without it the folders are checked only")
    parser.add_argument("--type", choices=TYPES, default="f32", help="of its numbers (f32)")
    parser.add_argument("--model", type=Path, metavar="GGUF", help="refuse an adapter that does not fit this model")
    parser.add_argument("--script", type=Path, metavar="FILE", help="convert_lora_to_gguf.py of a llama.cpp")
    options = parser.parse_args(argv)
    try:
        if options.out:
            adapter_to_gguf(
                options.adapter,
                options.base,
                options.out,
                kind=options.type,
                model=options.model,
                script=options.script,
            )
        else:
            check_adapter(options.adapter)
            check_base(options.base)
    except CannotConvert as error:
        print(error.text, file=sys.stderr)
        return error.code
    return 0


if __name__ == "__main__":
    sys.exit(main())
