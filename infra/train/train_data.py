"""The folder that `jobs/export.py --what training` writes, read and looked at before anything is loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triplelake.errors import InputError
from triplelake.evaluate.gold import Fact
from triplelake.prompt.ontology import Ontology
from triplelake.prompt.ontology_file import load_ontology
from triplelake.prompt.profile import ModelProfile, load_profile
from triplelake.prompt.prompts import LANGS, load_prompts
from triplelake.prompt.render import Renderer
from triplelake.types import Lang, Request

FEWEST = 20
"""Texts from which on a training is worth its time."""

_MADE_BY = "Make the folder with jobs/export.py --what training --to DIR."
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Lesson:
    """A text, the prompt that asks about it, and the answer that is right.

    Args:
        facts: relations by the names that the prompt's language shows.
    """

    id: str
    lang: Lang
    text: str
    title: str
    context: str
    facts: tuple[Fact, ...]
    prompt: str
    answer: str

    @property
    def request(self) -> Request:
        """What a run asks about this text."""
        return Request(self.id, self.text, self.title, self.context, self.lang)


@dataclass(frozen=True, slots=True)
class Course:
    """All that a model is trained with.

    Args:
        card: what the export says of the data, as JSON.
        end: what ends an answer.
    """

    folder: Path
    train: tuple[Lesson, ...]
    dev: tuple[Lesson, ...]
    profile: ModelProfile
    ontology: Ontology | None
    card: Mapping[str, Any]
    end: str


def read_course(folder: Path) -> Course:
    """Read the folder.

    Raises:
        InputError: a file is missing or cannot be used, there are too few texts, or a dev text is trained on.
    """
    if not folder.is_dir():
        raise InputError(str(folder), "is no folder", _MADE_BY)
    for name in ("train.jsonl", "profile.yaml", "card.json"):
        if not (folder / name).is_file():
            raise InputError(str(folder), f"lacks {name}", _MADE_BY)
    train = tuple(_lessons(folder / "train.jsonl"))
    if len(train) < FEWEST:
        reason = f"holds {len(train)} texts, and fewer than {FEWEST} teach nothing"
        raise InputError(str(folder / "train.jsonl"), reason, "Judge more sentences, or add gold (docs/own-model.md).")
    dev = tuple(_lessons(folder / "dev.jsonl")) if (folder / "dev.jsonl").is_file() else ()
    if leaked := {each.id for each in train} & {each.id for each in dev}:
        reason = f"holds {len(leaked)} texts of train.jsonl, so that F1 on them says nothing"
        raise InputError(str(folder / "dev.jsonl"), reason, _MADE_BY)
    profile = load_profile(folder / "profile.yaml")
    ontology = load_ontology(str(folder / "ontology.yaml")) if (folder / "ontology.yaml").is_file() else None
    card = _json(folder / "card.json")
    end = card.get("end") or (profile.stop[0] if profile.stop else "")
    if not isinstance(end, str) or not end:
        raise InputError(str(folder / "card.json"), "does not say what ends an answer (`end`)", _MADE_BY)
    return Course(folder, train, dev, profile, ontology, card, end)


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
        asked = renderer.render(lesson.request).text
        if asked != lesson.prompt:
            reason = f"was prepared with another prompt than a run asks with: {lesson.prompt!r}, not {asked!r}"
            remedy = "Export it again; or name the folder of prompts that it was exported with: --prompts DIR."
            raise InputError(f"{course.folder}, text {lesson.id}", reason, remedy)


def _lessons(file: Path) -> Iterator[Lesson]:
    for number, text in enumerate(file.read_text(encoding="utf-8").split("\n"), start=1):
        if not text.strip():
            continue
        where = f"{file}, line {number}"
        try:
            line = json.loads(text)
            facts = tuple((str(s), str(p), str(o)) for s, p, o in line["facts"])
            fields = {name: line[name] for name in ("id", "lang", "text", "prompt", "answer")}
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(where, f"is no line of training data ({error!r})", _MADE_BY) from None
        if fields["lang"] not in LANGS or not all(isinstance(each, str) for each in fields.values()):
            raise InputError(where, "has a field that is no text, or a language that is none of ours", _MADE_BY)
        yield Lesson(facts=facts, title=line.get("title") or "", context=line.get("context") or "", **fields)


def _json(file: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(str(file), f"is not JSON: {error}", _MADE_BY) from None
    if not isinstance(found, dict):
        raise InputError(str(file), "is no JSON object", _MADE_BY)
    return found


def facts_of(lessons: Sequence[Lesson]) -> int:
    """Facts of all texts together."""
    return sum(len(each.facts) for each in lessons)
