"""The figure that the scorer of Text2KGBench gives, and the way to it from ours.

Its rules (`src/evaluation/run_eval.py` of that project): of what was said of a sentence it drops every triple whose
relation the sentence's gold lacks; it compares triples as one string without spaces, underscores and case; it takes
precision, recall and F1 of each sentence, 0 where nothing is left; and it means over the sentences.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from triplelake.evaluate.gold import Fact
from triplelake.evaluate.metrics import Counts, strict_counts, total

_GAPS = re.compile(r"[_\s]+")


@dataclass(frozen=True, slots=True)
class Scorer:
    """The scorer's figures, and F1 after each of the steps that lead there from the strict one.

    Args:
        precision, recall, f1: as the scorer gives them.
        steps: what is changed, and F1 then; the first is the strict micro average, the last the scorer's.
        dropped: of `said`, triples whose relation the sentence's gold lacks.
        said: triples said of all sentences.
    """

    precision: float
    recall: float
    f1: float
    steps: tuple[tuple[str, float], ...]
    dropped: int
    said: int


def scorer(documents: Sequence[tuple[Sequence[Fact], Sequence[Fact]]]) -> Scorer:
    """Score documents as Text2KGBench does.

    Args:
        documents: of each the gold facts, and those said.

    Raises:
        ValueError: there are no documents.
    """
    if not documents:
        raise ValueError("no documents to score")
    kept = [(gold, _of_its_relations(gold, said)) for gold, said in documents]
    strict = [strict_counts(gold, said) for gold, said in documents]
    filtered = [strict_counts(gold, said) for gold, said in kept]
    plain = [_plain_counts(gold, said) for gold, said in kept]

    def mean(counts: Iterable[Counts], value: Callable[[Counts], float]) -> float:
        # Of nothing said the scorer makes 0, also where there is nothing to say.
        return fmean(value(each) if each.predicted else 0.0 for each in counts)

    def f1(counts: Counts) -> float:
        return counts.f1

    return Scorer(
        precision=mean(plain, lambda counts: counts.precision),
        recall=mean(plain, lambda counts: counts.recall),
        f1=mean(plain, f1),
        steps=(
            ("strict, counted over all documents", total(strict).f1),
            ("without what has a relation that the document's gold lacks", total(filtered).f1),
            ("as the mean over documents, 0 where nothing is left", mean(filtered, f1)),
            ("compared without spaces, underscores and case only", mean(plain, f1)),
        ),
        dropped=sum(len(said) for _, said in documents) - sum(len(said) for _, said in kept),
        said=sum(len(said) for _, said in documents),
    )


def _of_its_relations(gold: Sequence[Fact], said: Sequence[Fact]) -> list[Fact]:
    relations = {_underscored(relation) for _, relation, _ in gold}
    return [fact for fact in said if _underscored(fact[1]) in relations]


def _underscored(relation: str) -> str:
    return relation.replace(" ", "_")


def _plain_counts(gold: Iterable[Fact], said: Iterable[Fact]) -> Counts:
    wanted, found = {_plain(fact) for fact in gold}, {_plain(fact) for fact in said}
    return Counts(len(wanted & found), len(found), len(wanted))


def _plain(fact: Fact) -> str:
    return "".join(_GAPS.sub("", part).lower() for part in fact)
