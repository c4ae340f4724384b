"""Precision, recall and F1 of triples, and how grounded and how repetitive answers are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from triplelake.evaluate.gold import Fact
from triplelake.text import comparison_key


@dataclass(frozen=True, slots=True)
class Counts:
    """What was found, said and there to find; sums over documents give micro averages.

    Precision, recall and F1 are 0 where their divisor is, as is the custom in the field, except that
    nothing said about nothing to find is perfect.
    """

    correct: int = 0
    predicted: int = 0
    gold: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.correct + other.correct, self.predicted + other.predicted, self.gold + other.gold)

    @property
    def precision(self) -> float:
        return self._share(self.correct, self.predicted)

    @property
    def recall(self) -> float:
        return self._share(self.correct, self.gold)

    @property
    def f1(self) -> float:
        return self._share(2 * self.correct, self.predicted + self.gold)

    def _share(self, part: int, whole: int) -> float:
        if not self.predicted and not self.gold:
            return 1.0
        return part / whole if whole else 0.0


def strict_counts(gold: Iterable[Fact], predicted: Iterable[Fact]) -> Counts:
    """Matches of one document where subject, relation and object agree; arguments by comparison key."""
    return _matches({_key(fact) for fact in gold}, {_key(fact) for fact in predicted})


def pair_counts(gold: Iterable[Fact], predicted: Iterable[Fact]) -> Counts:
    """Matches of one document where subject and object agree, whatever the relation."""
    return _matches({_key(fact)[::2] for fact in gold}, {_key(fact)[::2] for fact in predicted})


def total(counts: Iterable[Counts]) -> Counts:
    """The sum over documents."""
    return sum(counts, Counts())


def grounded_share(answers: Iterable[tuple[str, Iterable[Fact]]]) -> float | None:
    """The share of triples whose subject and object are both verbatim in the shown text; None if there are none.

    Args:
        answers: for each document the text that was shown (with its title) and its triples as answered.
    """
    grounded = [subject in text and object in text for text, facts in answers for subject, _, object in facts]
    return sum(grounded) / len(grounded) if grounded else None


def repeated_share(answers: Iterable[Sequence[Fact]]) -> float | None:
    """The share of triples that repeat an earlier one of their own answer; None if there are none.

    Args:
        answers: the triples of each answer as answered, repetitions included.
    """
    said = distinct = 0
    for facts in answers:
        said += len(facts)
        distinct += len({_key(fact) for fact in facts})
    return (said - distinct) / said if said else None


def _matches(gold: set[tuple[str, ...]], predicted: set[tuple[str, ...]]) -> Counts:
    return Counts(len(gold & predicted), len(predicted), len(gold))


def _key(fact: Fact) -> tuple[str, ...]:
    subject, predicate, object = fact
    return comparison_key(subject), predicate, comparison_key(object)
