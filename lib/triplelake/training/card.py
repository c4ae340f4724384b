"""The card of training data: where each line is from, what was left out, and by what its texts are known again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import regex
from pydantic import BaseModel, ConfigDict

from triplelake.prompt.profile import ModelProfile
from triplelake.training.draw import length_class
from triplelake.training.lines import MadeLine

VERSION = 1
FILES = frozenset({"train.jsonl", "dev.jsonl", "profile.yaml", "ontology.yaml", "card.json"})
"""What a folder of training data may hold; `ontology.yaml` is missing where predicates are free."""

LineForm = Literal["jsonl", "messages"]

_MARK = regex.compile(r"<[^<>\s]{1,40}>|\[/?[A-Z_]{1,20}\]")


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PartCard(_Section):
    """What a part holds.

    Attributes:
        texts: its lines.
        empty: those of them whose answer is empty.
        facts: of all lines together.
        origins, languages, lengths: lines by origin, language and class of length (estimated tokens of the text).
        relations: lines by relation id, the most frequent first; a line counts for each of its relations.
    """

    texts: int
    empty: int
    facts: int
    origins: Mapping[str, int]
    languages: Mapping[str, int]
    lengths: Mapping[str, int]
    relations: Mapping[str, int]


class Hashes(_Section):
    """`text_hash` of texts: SHA-256, in hex, of what case, width, script and white space leave of them.

    Attributes:
        train, dev: of each line's text, and of the whole document where a text is a part of one.
        apart: texts that the lines were kept clear of.
    """

    train: tuple[str, ...]
    dev: tuple[str, ...]
    apart: tuple[str, ...]


class DrawCard(_Section):
    """With what the lines were drawn; see `triplelake.training.parts.Wanted`.

    Attributes:
        hant: Traditional copies of Simplified lines were added to the part to train on.
    """

    n: int | None
    dev: float
    empty: float
    per_relation: int | None
    seed: int
    hant: bool


class Card(_Section):
    """The card of a folder of training data.

    Attributes:
        version: of this form.
        made_by: version of triplelake.
        format: how `train.jsonl` and `dev.jsonl` are written.
        profile, instructions, answer: name of the profile, what the model is told, the form of an answer.
        ontology: its name; None where predicates are free.
        end: what ends an answer, and is no part of `answer`; empty where the model's own end of text does.
        train, dev: what the parts hold.
        copies: lines of the part to train on that are Traditional copies, behind all others.
        texts_left_out, facts_left_out: how many, by the reason why.
        draw: with what the lines were drawn.
        contents: hashes of prompt, relations and template, as a run stores them in `runs.versions`.
        hashes: of the texts.
    """

    version: int = VERSION
    made_by: str
    format: LineForm
    profile: str
    instructions: str
    answer: str
    ontology: str | None
    end: str
    train: PartCard
    dev: PartCard
    copies: int
    texts_left_out: Mapping[str, int]
    facts_left_out: Mapping[str, int]
    draw: DrawCard
    contents: Mapping[str, str]
    hashes: Hashes


def part_card(lines: Sequence[MadeLine], relations: Iterable[str] = ()) -> PartCard:
    """What a part holds.

    Args:
        relations: those that are asked about, so that one without a line is told too.
    """
    found = Counter(relation for each in lines for relation in each.relations)
    every = {relation: found[relation] for relation in (*found, *relations)}
    return PartCard(
        texts=len(lines),
        empty=sum(not each.line.facts for each in lines),
        facts=sum(len(each.line.facts) for each in lines),
        origins=_counts(each.line.origin for each in lines),
        languages=_counts(each.line.lang for each in lines),
        lengths=_counts(length_class(each.line.text) for each in lines),
        relations=dict(sorted(every.items(), key=lambda each: (-each[1], each[0]))),
    )


def text_hashes(lines: Iterable[MadeLine]) -> tuple[str, ...]:
    """What the texts of lines are known again by, each once."""
    return tuple(dict.fromkeys(name for each in lines for name in (each.line.id, each.whole) if name))


def end_of_answer(profile: ModelProfile) -> str:
    """What ends an answer: the first stop string of a profile, else the mark with which its suffix ends a turn.

    Empty where neither tells: then it is the model's own end of text.
    """
    if profile.ends:
        return profile.ends[0]
    found = _MARK.match(profile.suffix.lstrip()) if profile.template == "text" else None
    return found[0] if found else ""


def template_marks(profile: ModelProfile) -> tuple[str, ...]:
    """What begins or ends a turn or an answer, each once: `<|im_end|>`, `</s>`, `[INST]`, and every stop string."""
    found = _MARK.findall(profile.prefix + profile.suffix)
    return tuple(dict.fromkeys((*found, *(stop for stop in profile.ends if stop.strip()))))


def _counts(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())
