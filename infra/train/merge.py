"""Merge a trained adapter into its base model, as a GGUF file of one piece.

    python infra/train/merge.py OUT --model GGUF|DIR --to DIR [--type q8_0]

In the environment of `make setup-train`; OUT is what train.py wrote. A server computes an adapter beside every layer,
which on a CPU costs as much again as a small model itself; a merged model costs what its base does.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "llama"))

from rich.console import Console

from convert_source import CannotConvert, conversion_script, convert
from train import check_packages
from train_out import Out, base_hash, write_json
from triplelake.cli.guard import guarded
from triplelake.cli.parsing import EXIT_CODES, Parser
from triplelake.console import say
from triplelake.errors import InputError, OutputError, SetupError, UsageError
from triplelake.pool.gguf import declared_alias
from triplelake.prompt.profile import load_profile, write_profile

_TYPES = ("q8_0", "f16", "bf16", "f32")


@dataclass(frozen=True, slots=True)
class Options:
    """What merge.py is told.

    Args:
        trained: folder that train.py wrote.
        model: the base that it was trained on.
        to: folder of the merged model.
        type: what its weights are packed in.
    """

    trained: Path
    model: Path
    to: Path
    type: str


def run(argv: Sequence[str], console: Console) -> None:
    """Check, merge and convert.

    Raises:
        TriplelakeError: an option or a folder is not as it has to be, or the conversion fails.
    """
    options = Options(**vars(_parser().parse(argv)))
    out = Out(options.trained)
    card = _card(out, options.model)
    if options.to.exists() and any(options.to.iterdir()):
        raise OutputError(str(options.to), "holds files already", "Name another folder with --to.")
    check_packages()
    options.to.mkdir(parents=True, exist_ok=True)
    gguf = options.to / f"{options.model.stem}+{out.gguf.stem}-{options.type}.gguf"
    with tempfile.TemporaryDirectory(prefix="merging-", dir=options.to) as name:
        merged = Path(name) / "merged"
        say(console, f"Merging:  {out.adapter} into {options.model}")
        _merge(options.model, out, merged)
        say(console, f"Writing:  {gguf}")
        part = Path(name) / gguf.name
        _convert(merged, part, options.type)
        part.replace(gguf)
    alias = declared_alias(gguf)
    profile = replace(load_profile(out.folder / "profile.yaml"), match=(f"^{re.escape(alias)}$",))
    comments = ["How the model beside it is asked: an adapter of infra/train that was merged into its base."]
    write_profile(options.to / "profile.yaml", profile, comments, overwrite=True)
    # With it `triplelake evaluate` refuses texts that the model was trained on.
    card["training"]["alias"] = alias
    write_json(options.to / out.card.name, card)
    say(console, f"Ask it:   --model {gguf} --profile {options.to / 'profile.yaml'}")


def _card(out: Out, model: Path) -> dict[str, Any]:
    """The card of a finished training of this base.

    Raises:
        InputError: there is none, or it is of another base.
        UsageError: the base is not there.
    """
    if not model.exists():
        raise UsageError(f"--model {model}", "is not there", "Name the GGUF or the folder that was trained on.")
    try:
        card: dict[str, Any] = json.loads(out.card.read_bytes())
        expected = card["training"]["base_sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(str(out.folder), "is not a finished training", "Name the OUT of train.py.") from None
    if base_hash(model) != expected:
        reason = f"is another model than the one of the training, {card['training'].get('base')}"
        raise InputError(str(model), reason, "Name the very file or folder that was trained on.")
    return card


def _merge(model: Path, out: Out, to: Path) -> None:
    import torch
    from peft import PeftModel

    from train_model import load_base

    base = load_base(model, torch.float32)
    merged = PeftModel.from_pretrained(base, str(out.adapter)).merge_and_unload()
    merged.save_pretrained(to)
    for file in out.base.iterdir():
        if not (to / file.name).exists():
            shutil.copyfile(file, to / file.name)


def _convert(merged: Path, gguf: Path, kind: str) -> None:
    """Write a folder of transformers as GGUF, by llama.cpp's own script.

    Raises:
        SetupError: the script cannot be had, or it fails.
    """
    try:
        convert(conversion_script().with_name("convert_hf_to_gguf.py"), [str(merged)], gguf, kind)
    except CannotConvert as error:
        raise SetupError("model", str(error).removeprefix("error: "), "") from None


def _parser() -> Parser:
    parser = Parser(
        prog="merge.py",
        description="Merge a trained adapter into its base model, as one GGUF file.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("trained", type=Path, metavar="OUT", help="folder that train.py wrote")
    add("--model", type=Path, required=True, metavar="GGUF|DIR", help="the base that it was trained on")
    add("--to", type=Path, required=True, metavar="DIR", help="folder for the model, its profile and its card")
    add("--type", choices=_TYPES, default="q8_0", help="what its weights are packed in (q8_0)")
    return parser


def main(argv: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.setdefault("TQDM_DISABLE", "1")
    return guarded(lambda console: run(argv, console))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
