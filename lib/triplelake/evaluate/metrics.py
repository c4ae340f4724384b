"""Precision, recall and F1 of triples, and how grounded and how repetitive answers are."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from triplelake.evaluate.gold import Fact
from triplelake.text import comparison_key, units


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
    return _matches({fact_key(fact) for fact in gold}, {fact_key(fact) for fact in predicted})


def pair_counts(gold: Iterable[Fact], predicted: Iterable[Fact], symmetric: Container[str] = frozenset()) -> Counts:
    """Matches of one document where subject and object agree, whatever the relation.

    Args:
        symmetric: relations whose subject and object may be exchanged.
    """
    wanted, said = [fact_key(fact) for fact in gold], [fact_key(fact) for fact in predicted]
    unordered = {frozenset(fact[::2]) for fact in (*wanted, *said) if fact[1] in symmetric}

    def pair(fact: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted(fact[::2])) if frozenset(fact[::2]) in unordered else fact[::2]

    return _matches(set(map(pair, wanted)), set(map(pair, said)))


def relaxed_counts(gold: Iterable[Fact], predicted: Iterable[Fact], symmetric: Container[str] = frozenset()) -> Counts:
    """Matches of one document where the relation agrees, and subject and object nearly do.

    Two arguments nearly agree where one holds the other as a run of units and the shorter has at least half of the
    units of the longer; a unit is a Chinese character, or a word. A fact is matched once, so that of two answers
    for one fact only one is right.

    Args:
        symmetric: relations whose subject and object may be exchanged.
    """
    wanted, said = sorted({fact_key(fact) for fact in gold}), sorted({fact_key(fact) for fact in predicted})
    candidates = [[rank for rank, found in enumerate(said) if _nearly(fact, found, symmetric)] for fact in wanted]
    return Counts(_most_matches(candidates), len(said), len(wanted))


def reversed_count(gold: Iterable[Fact], predicted: Iterable[Fact]) -> int:
    """Wrong answers of one document that were right with subject and object exchanged."""
    wanted = {fact_key(fact) for fact in gold}
    wrong = {fact_key(fact) for fact in predicted} - wanted
    return sum((object, predicate, subject) in wanted for subject, predicate, object in wrong)


def total(counts: Iterable[Counts]) -> Counts:
    """The sum over documents."""
    return sum(counts, Counts())


def grounded_share(answers: Iterable[tuple[str, Iterable[Fact]]]) -> float | None:
    """The share of triples whose subject and object are both verbatim in the shown text; None if there are none.

    Args:
        answers: for each document the text that was shown (with its title) and its triples as answered.
    """
    grounded = [is_grounded(fact, text) for text, facts in answers for fact in facts]
    return sum(grounded) / len(grounded) if grounded else None


def repeated_share(answers: Iterable[Sequence[Fact]]) -> float | None:
    """The share of triples that repeat an earlier one of their own answer; None if there are none.

    Args:
        answers: the triples of each answer as answered, repetitions included.
    """
    said = repeated = 0
    for facts in answers:
        said += len(facts)
        repeated += repeated_count(facts)
    return repeated / said if said else None


def repeated_count(facts: Iterable[Fact]) -> int:
    """The triples of an answer that repeat an earlier one of it."""
    keys = [fact_key(fact) for fact in facts]
    return len(keys) - len(set(keys))


def is_grounded(fact: Fact, text: str) -> bool:
    """Whether subject and object are both verbatim in a text."""
    return fact[0] in text and fact[2] in text


def by_relation(facts: Iterable[Fact]) -> dict[str, list[Fact]]:
    """Facts by their relation, in the order of first occurrence."""
    found: dict[str, list[Fact]] = {}
    for fact in facts:
        found.setdefault(fact[1], []).append(fact)
    return found


def fact_key(fact: Fact) -> tuple[str, ...]:
    """What two facts have in common that are one: the relation, and arguments by comparison key."""
    subject, predicate, object = fact
    return comparison_key(subject), predicate, comparison_key(object)


def _nearly(one: tuple[str, ...], other: tuple[str, ...], symmetric: Container[str]) -> bool:
    if one[1] != other[1]:
        return False
    # Which of two is the subject follows from their keys, and a name cut short has another key.
    ways = (other, other[::-1]) if one[1] in symmetric else (other,)
    return any(_overlap(one[0], way[0]) and _overlap(one[2], way[2]) for way in ways)


def _overlap(one: str, other: str) -> bool:
    if one == other:
        return True
    short, long = sorted(([unit for unit in units(text) if not unit.isspace()] for text in (one, other)), key=len)
    if not short or 2 * len(short) < len(long):
        return False
    return any(long[start : start + len(short)] == short for start in range(len(long) - len(short) + 1))


def _most_matches(candidates: Sequence[Sequence[int]]) -> int:
    """The size of the largest one-to-one matching, by augmenting paths (Kuhn 1955)."""
    taken: dict[int, int] = {}

    def place(left: int, seen: set[int]) -> bool:
        for right in candidates[left]:
            if right not in seen:
                seen.add(right)
                if right not in taken or place(taken[right], seen):
                    taken[right] = left
                    return True
        return False

    return sum(place(left, set()) for left in range(len(candidates)))


def _matches(gold: set[tuple[str, ...]], predicted: set[tuple[str, ...]]) -> Counts:
    return Counts(len(gold & predicted), len(predicted), len(gold))
