"""What the quality benchmark asks about: gold sentences, their ontologies, and examples for these."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from triplelake.evaluate.gold import GoldDocument, read_duie, read_text2kgbench, within
from triplelake.evaluate.ontologies import from_duie, from_text2kgbench
from triplelake.prompt.fewshot import Example, check_spans, foreign
from triplelake.prompt.ontology import Ontology
from triplelake.prompt.prompts import Prompt
from triplelake.types import Lang

_SHOTS = Path(__file__).with_name("shots.yaml")


@dataclass(frozen=True, slots=True)
class Task:
    """Gold documents, each with the ontology it is asked with, those of one ontology side by side."""

    name: str
    lang: Lang
    documents: tuple[tuple[GoldDocument, Ontology], ...]


def duie_task(path: Path, n: int, seed: int) -> Task:
    """`n` sentences of a DuIE file."""
    ontology = from_duie(path)
    return Task("DuIE", "zh-Hans", tuple((document, ontology) for document in _sample(read_duie(path), n, seed)))


def text2kg_task(folder: Path, n: int, seed: int) -> Task:
    """`n` sentences of Text2KGBench (`ontologies/`, `train/`), as evenly over its ontologies as `n` allows."""
    files = sorted(folder.glob("ontologies/*_ontology.json"), key=lambda file: int(file.stem.partition("_")[0]))
    documents: list[tuple[GoldDocument, Ontology]] = []
    for rank, file in enumerate(files):
        ontology = from_text2kgbench(file)
        train = folder / "train" / f"ont_{file.stem.removesuffix('_ontology')}_train.jsonl"
        usable = [document for document in within(read_text2kgbench(train), ontology)[0] if document.facts]
        share = n // len(files) + (rank < n % len(files))
        documents += [(document, ontology) for document in _sample(usable, share, seed)]
    return Task("Text2KGBench", "en", tuple(documents))


def own_shots() -> dict[Lang, tuple[Example, ...]]:
    """Our examples for the relations of the gold data.

    Raises:
        InputError: one is not verbatim in its own text.
    """
    tree = yaml.safe_load(_SHOTS.read_text(encoding="utf-8"))
    shots: dict[Lang, tuple[Example, ...]] = {
        lang: tuple(Example(row["text"], "", "", tuple(map(tuple, row["triples"]))) for row in rows)
        for lang, rows in tree.items()
    }
    for examples in shots.values():
        for example in examples:
            check_spans(example, f"{_SHOTS.name}, “{example.text}”")
    return shots


def fit(
    prompts: Mapping[Lang, Prompt], own: Mapping[Lang, tuple[Example, ...]], ontology: Ontology
) -> dict[Lang, Prompt]:
    """The prompts with the examples, our own before the shipped ones, whose relations an ontology has."""

    def fitting(prompt: Prompt) -> Iterator[Example]:
        for example in (*own.get(prompt.lang, ()), *prompt.examples):
            if not foreign([example], ontology, prompt.lang):
                yield example

    return {lang: replace(prompt, examples=tuple(fitting(prompt))) for lang, prompt in prompts.items()}


def _sample(documents: Sequence[GoldDocument], n: int, seed: int) -> list[GoldDocument]:
    return random.Random(seed).sample(documents, min(n, len(documents)))
