"""The folder of a training: what stands there, whether it is this training's, and the card that it ends with."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from train_data import Course
from train_options import Options
from triplelake.errors import OutputError
from triplelake.pool.gguf import declared_alias
from triplelake.prompt.profile import write_profile

_WEIGHTS = ("*.safetensors", "*.bin", "*.gguf")
_PACKAGES = ("torch", "transformers", "peft", "accelerate", "gguf")
_ANEW = "Name another folder with --out, or add --overwrite to begin anew there."


@dataclass(frozen=True, slots=True)
class Out:
    """Where everything of a training lies.

    `adapter/`: the best adapter, as peft saves it; `adapter.gguf`: the same for llama.cpp; `base/`: config and
    tokenizer of the base; `profile.yaml`, `card.json`, `log.jsonl`, `curve.svg`; `begun.json`: what it was begun with;
    `state/`: what it goes on from, gone when it is done.
    """

    folder: Path

    @property
    def adapter(self) -> Path:
        return self.folder / "adapter"

    @property
    def gguf(self) -> Path:
        return self.folder / "adapter.gguf"

    @property
    def base(self) -> Path:
        return self.folder / "base"

    @property
    def log(self) -> Path:
        return self.folder / "log.jsonl"

    @property
    def card(self) -> Path:
        return self.folder / "card.json"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def is_done(self) -> bool:
        """Whether the training came to its end."""
        return self.card.is_file()

    @property
    def last_state(self) -> Path | None:
        """The newest whole state to go on from."""
        states = [each for each in self.state.glob("checkpoint-*") if (each / "trainer_state.json").is_file()]
        return max(states, key=lambda each: int(each.name.rpartition("-")[2]), default=None)

    def begin(self, identity: Mapping[str, Any], *, overwrite: bool) -> None:
        """Take the folder for a training; one that stands there goes on if it is the same.

        Raises:
            OutputError: it holds another training, or something else, or cannot be written.
        """
        begun = self.folder / "begun.json"
        if overwrite and (begun.is_file() or not self._holds_something()):
            shutil.rmtree(self.folder, ignore_errors=True)
        elif begun.is_file():
            self._check_same(json.loads(begun.read_text(encoding="utf-8")), identity)
            return
        if self._holds_something():
            raise OutputError(str(self.folder), "holds files that are none of a training", "Name another folder.")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(begun, identity)
        except OSError as error:
            raise OutputError(str(self.folder), error.strerror or "cannot be written", "Check --out.") from None

    def _holds_something(self) -> bool:
        return self.folder.exists() and any(self.folder.iterdir())

    def _check_same(self, begun: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
        other = sorted(name for name in {*begun, *identity} if begun.get(name) != identity.get(name))
        if not other:
            return
        told = ", ".join(f"{name} {begun.get(name)} → {identity.get(name)}" for name in other[:6])
        raise OutputError(str(self.folder), f"holds a training that was begun otherwise: {told}", _ANEW)


def identity(course: Course, options: Options) -> dict[str, Any]:
    """What a training is: its settings, its data and its base by their hashes."""
    files = [course.folder / name for name in ("train.jsonl", "dev.jsonl", "profile.yaml", "ontology.yaml")]
    data = hashlib.sha256("".join(_sha256(each) for each in files if each.is_file()).encode()).hexdigest()
    # Paths may change between two commands; what lies there may not.
    settings = {name: value for name, value in options.identity.items() if name not in ("data", "model")}
    return {**settings, "data_sha256": data, "base": options.model.name, "base_sha256": base_hash(options.model)}


def base_hash(model: Path) -> str:
    """The sha256 of a GGUF, or of the hashes of a folder's weights."""
    if model.is_file():
        return _sha256(model)
    weights = sorted(each for pattern in _WEIGHTS for each in model.glob(pattern))
    return hashlib.sha256("".join(map(_sha256, weights)).encode()).hexdigest()


def finish(
    out: Out,
    course: Course,
    options: Options,
    begun: Mapping[str, Any],
    lines: Sequence[Mapping[str, Any]],
    told: Mapping[str, Any],
) -> Mapping[str, Any]:
    """Write profile and card; returns what the card says of the training.

    Args:
        lines: of the log.
        told: what else is to be remembered: counts of texts, time, memory.
    """
    served = options.served
    alias = declared_alias(served, out.gguf) if served else out.gguf.stem
    profile = replace(course.profile, match=(f"^{re.escape(alias)}$",))
    comments = [f"How the adapter beside it is asked, as it was trained on {options.model.name} by infra/train."]
    write_profile(out.folder / "profile.yaml", profile, comments, overwrite=True)
    training = {
        **begun,
        **told,
        "alias": alias,
        "adapter_sha256": _sha256(next(out.adapter.glob("adapter_model.*"))),
        "adapter_gguf_sha256": _sha256(out.gguf),
        "versions": {name: version(name) for name in _PACKAGES},
        "curve": [each for each in lines if "held_loss" in each],
    }
    write_json(out.card, {"data": course.card, "training": training})
    shutil.rmtree(out.state, ignore_errors=True)
    return training


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Write a file that is there as a whole or not at all."""
    part = file.with_suffix(".part")
    part.write_text(json.dumps(content, ensure_ascii=False, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    part.replace(file)


def _sha256(file: Path) -> str:
    with file.open("rb") as read:
        return hashlib.file_digest(read, "sha256").hexdigest()
