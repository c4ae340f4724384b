"""The files of training data: written, and read again by whoever trains on them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from triplelake.errors import InputError
from triplelake.evaluate.gold import json_lines
from triplelake.prompt.ontology import Ontology
from triplelake.prompt.ontology_file import load_ontology, ontology_yaml
from triplelake.prompt.profile import ModelProfile, load_profile, profile_lines
from triplelake.training.card import VERSION, Card, LineForm
from triplelake.training.lines import Line

Model = TypeVar("Model", bound=BaseModel)

_ANEW = "Make the folder anew: `triplelake export --what training`."


@dataclass(frozen=True, slots=True)
class Training:
    """Training data as it was written.

    Args:
        ontology: None where predicates are free.
        train, dev: the lines; of `dev` there may be none.
    """

    card: Card
    profile: ModelProfile
    ontology: Ontology | None
    train: tuple[Line, ...]
    dev: tuple[Line, ...]


def read_training(folder: Path) -> Training:
    """Read a folder that `triplelake export --what training` wrote.

    Raises:
        InputError: it is no such folder, of another version, in the form of chat messages, or damaged; with the line.
    """
    card = _read_card(folder / "card.json")
    if card.format != "jsonl":
        reason = "is in the form of chat messages, which are for other trainers"
        raise InputError(str(folder), reason, f"{_ANEW} Leave out --format messages.")
    ontology = load_ontology(str(folder / "ontology.yaml")) if card.ontology is not None else None
    profile = load_profile(folder / "profile.yaml")
    parts = {}
    for name, told in (("train", card.train), ("dev", card.dev)):
        parts[name] = tuple(_read_lines(folder / f"{name}.jsonl"))
        if len(parts[name]) != told.texts:
            reason = f"holds {len(parts[name]):,} lines, and card.json says {told.texts:,}"
            raise InputError(str(folder / f"{name}.jsonl"), reason, _ANEW)
    return Training(card, profile, ontology, parts["train"], parts["dev"])


def written(
    card: Card, profile: ModelProfile, ontology: Ontology | None, parts: Mapping[str, Iterable[Line]]
) -> Iterator[tuple[str, Iterator[str]]]:
    """The names of the files and the pieces of their texts.

    Args:
        parts: the lines by the names of their parts.
    """
    for name, lines in parts.items():
        yield f"{name}.jsonl", (_line(each, card.format, profile) for each in lines)
    yield "profile.yaml", iter([f"{line}\n" for line in profile_lines(profile)])
    if ontology is not None:
        yield "ontology.yaml", iter([ontology_yaml(ontology)])
    yield "card.json", iter([card.model_dump_json(indent=1) + "\n"])


def _line(line: Line, form: LineForm, profile: ModelProfile) -> str:
    if form == "jsonl":
        return line.model_dump_json() + "\n"
    # Other trainers put the model's own template around a message.
    asked = line.prompt.removeprefix(profile.prefix).removesuffix(profile.suffix)
    said = [{"role": "user", "content": asked}, {"role": "assistant", "content": line.answer}]
    return json.dumps({"messages": said}, ensure_ascii=False) + "\n"


def _read_card(file: Path) -> Card:
    try:
        tree = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        reason = f"is no training data: card.json: {error.strerror or 'cannot be read'}"
        remedy = "Name a folder that `triplelake export --what training` wrote."
        raise InputError(str(file.parent), reason, remedy) from None
    except ValueError as error:
        raise InputError(str(file), f"is not JSON: {error}", _ANEW) from None
    version = tree.get("version") if isinstance(tree, dict) else None
    if version != VERSION:
        reason = f"is of version {version}; this triplelake reads version {VERSION}"
        raise InputError(str(file), reason, _ANEW)
    return _as(Card, tree, str(file))


def _read_lines(file: Path) -> Iterator[Line]:
    seen: dict[tuple[str, str], int] = {}
    for number, tree in json_lines(file):
        line = _as(Line, tree, f"{file}, line {number}")
        if (first := seen.setdefault((line.id, line.lang), number)) != number:
            raise InputError(f"{file}, line {number}", f"holds the text of line {first} once more", _ANEW)
        yield line


def _as(form: type[Model], tree: object, where: str) -> Model:
    try:
        return form.model_validate_json(json.dumps(tree))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise InputError(where, f"`{key}`: {first['msg'].lower()}", _ANEW) from None
