"""What is copied to the hosts: a build and a model, each in a folder that is named by the hash of what it holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.errors import BadUsage, Missing
from deploy.inventory import Inventory
from sizing import CannotServe, Model, read_model, slug, with_lora

_SHORT = 12
_TEMPLATE = "chat-template.jinja"
_ADAPTER_REMEDY = "Make it with infra/llama/adapter.sh, or name another with `lora`."
_MODEL_REMEDY = "Make it with infra/llama/model.sh, or name another with `model`."
_BUILD_REMEDY = "Build it with infra/llama/build.sh, or name another folder with `build`."


@dataclass(frozen=True)
class File:
    """A file of this machine and its place in the artifact's folder."""

    source: Path
    place: str
    size: int
    sha256: str
    executable: bool = False


@dataclass(frozen=True)
class Artifact:
    """Files that belong together.

    Args:
        kind: the folder below the prefix that artifacts of this kind lie in.
    """

    kind: str
    files: tuple[File, ...]

    @property
    def digest(self) -> str:
        """Names the folder: the same content is copied once."""
        lines = "".join(f"{file.sha256}  {file.place}\n" for file in self.files)
        return hashlib.sha256(lines.encode()).hexdigest()[:_SHORT]

    @property
    def folder(self) -> str:
        """Below the prefix."""
        return f"{self.kind}/{self.digest}"


@dataclass(frozen=True)
class Payload:
    """What every host of an inventory gets.

    Args:
        alias: what the servers call the model.
        chat_template: its place in the model's folder; None where the GGUF has one.
        adapter: a LoRA beside the model, in a folder of its own, so that another one copies no model again.
    """

    build: Artifact
    model: Artifact
    alias: str
    chat_template: str | None
    adapter: Artifact | None = None

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        return (self.build, self.model, self.adapter) if self.adapter else (self.build, self.model)

    @property
    def places(self) -> dict[str, int]:
        """Every file's place below the prefix, and its size."""
        return {f"{each.folder}/{file.place}": file.size for each in self.artifacts for file in each.files}

    @property
    def gguf(self) -> str:
        """The model's file, below the prefix."""
        return f"{self.model.folder}/{self.model.files[0].place}"

    @property
    def lora(self) -> str | None:
        """The adapter's file, below the prefix."""
        return f"{self.adapter.folder}/{self.adapter.files[0].place}" if self.adapter else None

    @property
    def binary(self) -> str:
        """The server, below the prefix."""
        return f"{self.build.folder}/bin/llama-server"


def read_payload(inventory: Inventory) -> Payload:
    """Hash what the inventory names.

    Raises:
        Missing: the build, the model or the adapter is not there or not whole, or they do not fit.
        BadUsage: the chat template is not there.
    """
    if not (inventory.build / "bin" / "llama-server").is_file():
        raise Missing(str(inventory.build), "no bin/llama-server is there", _BUILD_REMEDY)
    places = [p for part in ("bin", "lib") for p in sorted((inventory.build / part).glob("*")) if p.is_file()]
    build = [_described(path, f"{path.parent.name}/{path.name}", executable=True) for path in places]
    try:
        model = read_model(inventory.model)
    except CannotServe as error:
        subject, reason, _ = error.args[1:]
        raise Missing(subject, reason, _MODEL_REMEDY) from None
    adapter = _adapter(inventory, model)
    weights = [_described(inventory.model, inventory.model.name)]
    template = _chat_template(inventory)
    if template:
        weights.append(_described(template, _TEMPLATE))
    name = slug(inventory.name or str(_manifest(inventory.model.parent).get("name") or model.name))
    digest = weights[0].sha256
    if adapter:
        name = f"{name}+{slug(Path(adapter.files[0].place).stem)}"
        # As serve.sh makes it: of both.
        digest = hashlib.sha256(f"{digest}\n{adapter.files[0].sha256}\n".encode()).hexdigest()
    return Payload(
        build=Artifact("builds", tuple(build)),
        model=Artifact("models", tuple(weights)),
        alias=f"{name}@{digest[:_SHORT]}",
        chat_template=_TEMPLATE if template else None,
        adapter=adapter,
    )


def _adapter(inventory: Inventory, model: Model) -> Artifact | None:
    if inventory.lora is None:
        return None
    try:
        with_lora(model, inventory.model, inventory.lora)
    except CannotServe as error:
        subject, reason, _ = error.args[1:]
        raise Missing(subject, reason, _ADAPTER_REMEDY) from None
    return Artifact("models", (_described(inventory.lora, inventory.lora.name),))


def digest_of(files: Sequence[Path], text: str) -> str:
    """One hash of several small files and a text."""
    parts = [text.encode(), *(file.read_bytes() for file in files)]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:_SHORT]


def _chat_template(inventory: Inventory) -> Path | None:
    named = inventory.chat_template
    if named and not named.is_file():
        raise BadUsage(str(named), "no such chat template", "Check `chat_template` in the inventory.")
    beside = inventory.model.with_name(_TEMPLATE)
    return named or (beside if beside.is_file() else None)


def _described(path: Path, place: str, *, executable: bool = False) -> File:
    return File(path, place, path.stat().st_size, _sha256(path), executable)


def _sha256(path: Path) -> str:
    """The hash of a file; from the manifest of build.sh or model.sh, if the file has not changed since."""
    state = path.stat()
    for folder in path.parents[:2]:
        recorded = _manifest(folder).get("files", {}).get(str(path.relative_to(folder)))
        if recorded and (recorded["bytes"], recorded["mtime_ns"]) == (state.st_size, state.st_mtime_ns):
            return str(recorded["sha256"])
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _manifest(folder: Path) -> dict[str, Any]:
    """What build.sh or model.sh has written of a folder; empty if nothing."""
    try:
        content = json.loads((folder / "manifest.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
