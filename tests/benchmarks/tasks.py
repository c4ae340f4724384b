"""What the quality benchmarks ask about: gold sentences, their ontologies, and examples for these."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import opencc
import yaml

from triplelake.errors import InputError
from triplelake.evaluate.gold import GoldDocument, read_duie, read_gold, read_text2kgbench, within
from triplelake.evaluate.ontologies import from_duie, from_text2kgbench
from triplelake.evaluate.tuning import chooses
from triplelake.prompt.fewshot import Example, check_spans, foreign
from triplelake.prompt.ontology import Ontology
from triplelake.prompt.ontology_file import load_ontology
from triplelake.prompt.prompts import Prompt
from triplelake.types import Lang

_SHOTS = Path(__file__).with_name("shots.yaml")
_HARD = Path(__file__).with_name("hard")


@dataclass(frozen=True, slots=True)
class Task:
    """Gold documents, each with the ontology it is asked with, those of one ontology side by side.

    Args:
        others: by the name of an ontology, documents of the half to choose on that are not asked about.
        is_hard: the ids of its documents begin with their kinds, and the shipped examples are of its relations.
    """

    name: str
    lang: Lang
    documents: tuple[tuple[GoldDocument, Ontology], ...]
    others: Mapping[str, Sequence[GoldDocument]]
    is_hard: bool = False

    @property
    def kinds(self) -> list[str]:
        """The kind of each document of a hard task; other tasks have none."""
        return [document.id.partition("-")[0] for document, _ in self.documents if self.is_hard]


Split = Literal["all", "choose", "report"]
"""All sentences, or one of two halves by a hash of their text: choose on the one, report on the other."""


def duie_task(path: Path, n: int, seed: int, split: Split = "all") -> Task:
    """`n` sentences of a DuIE file."""
    ontology = from_duie(path)
    read = read_duie(path)
    documents = _sample(_half(read, split), n, seed)
    others = {ontology.name: _without(_half(read, "choose"), documents)}
    return Task("DuIE", "zh-Hans", tuple((document, ontology) for document in documents), others)


def text2kg_task(folder: Path, n: int, seed: int, split: Split = "all") -> Task:
    """`n` sentences of Text2KGBench (`ontologies/`, `train/`), as evenly over its ontologies as `n` allows."""
    files = sorted(folder.glob("ontologies/*_ontology.json"), key=lambda file: int(file.stem.partition("_")[0]))
    documents: list[tuple[GoldDocument, Ontology]] = []
    others: dict[str, Sequence[GoldDocument]] = {}
    for rank, file in enumerate(files):
        ontology = from_text2kgbench(file)
        train = folder / "train" / f"ont_{file.stem.removesuffix('_ontology')}_train.jsonl"
        usable = [document for document in within(read_text2kgbench(train), ontology)[0] if document.facts]
        share = n // len(files) + (rank < n % len(files))
        drawn = _sample(_half(usable, split), share, seed)
        documents += [(document, ontology) for document in drawn]
        others[ontology.name] = _without(_half(usable, "choose"), drawn)
    return Task("Text2KGBench", "en", tuple(documents), others)


def hard_task(lang: Lang, split: Split = "all") -> Task:
    """All of our own passages that deny, plan, state nothing, are long or state much, with the shipped ontology.

    Their gold is written as that of `conf/demo`: what is denied, planned, supposed or asked is no fact, a fact of a
    symmetric relation is written once, and no passage turns on a relation that has ended.
    """
    ontology = load_ontology("ontologies/general.yaml")
    assert ontology is not None  # only `none` names no ontology
    read = read_gold(_HARD / f"{lang}.jsonl")
    documents = _half(read, split)
    others = {ontology.name: _without(_half(read, "choose"), documents)}
    return Task(f"Hard, {lang}", lang, tuple((document, ontology) for document in documents), others, is_hard=True)


def traditional(task: Task) -> Task:
    """The same sentences and facts in Traditional Chinese, as OpenCC converts them."""
    convert: Callable[[str], str] = opencc.OpenCC("s2t").convert

    def converted(document: GoldDocument) -> GoldDocument:
        text = convert(document.text)
        same = len(text) == len(document.text)

        def argument(said: str) -> str:
            # A word is converted by what stands around it, so the argument is taken from where it stands.
            start = document.text.find(said) if same else -1
            return text[start : start + len(said)] if start >= 0 else convert(said)

        facts = tuple((argument(subject), relation, argument(obj)) for subject, relation, obj in document.facts)
        return replace(document, text=text, facts=facts)

    documents = tuple((converted(document), ontology) for document, ontology in task.documents)
    others = {name: tuple(map(converted, each)) for name, each in task.others.items()}
    return Task(f"{task.name}, Traditional", "zh-Hant", documents, others)


def gold_examples(task: Task, ontology: Ontology, n: int) -> list[Example]:
    """Examples of the documents of a task that are not asked about, at most `n`; only those that a prompt admits."""

    def is_verbatim(example: Example) -> bool:
        try:
            check_spans(example, "gold")
        except InputError:
            return False
        return True

    others = [Example(each.text, each.title, "", each.facts) for each in task.others[ontology.name]]
    return [each for each in others if is_verbatim(each)][:n]


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
    shots["zh-Hant"] = tuple(map(_traditional_example, shots["zh-Hans"]))
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


def _traditional_example(example: Example) -> Example:
    convert: Callable[[str], str] = opencc.OpenCC("s2t").convert
    triples = tuple((convert(subject), convert(relation), convert(obj)) for subject, relation, obj in example.triples)
    return Example(convert(example.text), "", "", triples)


def _half(documents: Sequence[GoldDocument], split: Split) -> Sequence[GoldDocument]:
    if split == "all":
        return documents
    return [each for each in documents if chooses(each.text) is (split == "choose")]


def _without(documents: Sequence[GoldDocument], asked: Sequence[GoldDocument]) -> Sequence[GoldDocument]:
    texts = {each.text for each in asked}
    return [each for each in documents if each.text not in texts]


def _sample(documents: Sequence[GoldDocument], n: int, seed: int) -> list[GoldDocument]:
    return random.Random(seed).sample(documents, min(n, len(documents)))
