"""The folder that `triplelake export --what training` writes, read and looked at before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triplelake.errors import InputError
from triplelake.prompt.ontology import Ontology
from triplelake.prompt.profile import ModelProfile
from triplelake.prompt.prompts import load_prompts
from triplelake.prompt.render import Renderer
from triplelake.training.files import read_training
from triplelake.training.lines import Line
from triplelake.types import LANGS, Request

FEWEST = 20
"""Texts from which on a training is worth its time."""

_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Course:
    """All that a model is trained with.

    Args:
        card: what the export says of the data, as JSON.
        end: what ends an answer; empty where the model's own end of text does.
    """

    folder: Path
    train: tuple[Line, ...]
    dev: tuple[Line, ...]
    profile: ModelProfile
    ontology: Ontology | None
    card: Mapping[str, Any]
    end: str


def read_course(folder: Path) -> Course:
    """Read the folder.

    Raises:
        InputError: it cannot be used, there are too few texts, or a dev text is trained on.
    """
    found = read_training(folder)
    if len(found.train) < FEWEST:
        reason = f"holds {len(found.train)} texts, and fewer than {FEWEST} teach nothing"
        raise InputError(str(folder / "train.jsonl"), reason, "Judge more sentences, or add gold (docs/own-model.md).")
    if leaked := {each.id for each in found.train} & {each.id for each in found.dev}:
        reason = f"holds {len(leaked)} texts of train.jsonl, so that F1 on them says nothing"
        raise InputError(str(folder / "dev.jsonl"), reason, "Export it again, into another folder.")
    card = found.card.model_dump(mode="json")
    return Course(folder, found.train, found.dev, found.profile, found.ontology, card, found.card.end)


def request_of(line: Line) -> Request:
    """What a run asks about a text."""
    return Request(line.id, line.text, line.title, line.context, line.lang)


def without_example(course: Course) -> list[str]:
    """The relations of the ontology, by their names, of which no text to train on states a fact."""
    if course.ontology is None:
        return []
    names = {lang: course.ontology.by_name(lang, aliases=True) for lang in LANGS}
    seen = {
        relation.id
        for lesson in course.train
        for _, name, _ in lesson.facts
        if (relation := names[lesson.lang].get(name))
    }
    lang = course.train[0].lang
    return [relation.names[lang] for relation in course.ontology.relations if relation.id not in seen]


def check_relations(course: Course, *, allow: bool) -> str:
    """What is to be told of relations without an example; empty for nothing.

    Raises:
        InputError: there are some, and it is not allowed.
    """
    missing = without_example(course)
    if not missing:
        return ""
    named = ", ".join(missing[:_SHOWN]) + (f" and {len(missing) - _SHOWN} others" if len(missing) > _SHOWN else "")
    reason = f"{len(missing)} relations of the ontology have no example: {named}"
    if not allow:
        remedy = "Judge texts that state them, take them out of the ontology, or add --allow-missing."
        raise InputError(str(course.folder), reason, remedy)
    return f"{reason}; the model will hardly ever say them"


def check_prompts(course: Course, prompts: str) -> None:
    """Whether a run would ask today as the texts were prepared.

    Args:
        prompts: the setting `prompt.dir`.

    Raises:
        InputError: it would not; both prompts are shown.
    """
    if course.profile.template == "server":
        return
    renderer = Renderer(load_prompts(prompts), course.ontology, course.profile)
    for lesson in (*course.train, *course.dev):
        asked = renderer.render(request_of(lesson)).text
        if asked != lesson.prompt:
            reason = f"was prepared with another prompt than a run asks with: {lesson.prompt!r}, not {asked!r}"
            remedy = "Export it again; or name the folder of prompts that it was exported with: --prompts DIR."
            raise InputError(f"{course.folder}, text {lesson.id}", reason, remedy)


def facts_of(lessons: Sequence[Line]) -> int:
    """Facts of all texts together."""
    return sum(len(each.facts) for each in lessons)
