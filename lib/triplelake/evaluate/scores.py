"""Scores of a run against gold, over all documents and by group."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from triplelake.evaluate.bootstrap import Interval
from triplelake.evaluate.gold import Fact
from triplelake.evaluate.metrics import Counts, pair_counts, strict_counts, total
from triplelake.evaluate.ratios import f1

EVERYTHING = "all"
"""The name of the group that holds everything."""
MATCHES: Mapping[str, Callable[[Iterable[Fact], Iterable[Fact]], Counts]] = {
    "strict": strict_counts,
    "pair": pair_counts,
}
"""How a fact is compared: with its relation, or its subject and object only."""


@dataclass(frozen=True, slots=True)
class Score:
    """How well one group of documents was read.

    Args:
        group: a group's name, or `EVERYTHING`.
        match: a key of `MATCHES`.
        documents: how many it holds.
        counts: summed over them.
        f1: with its interval by documents.
    """

    group: str
    match: str
    documents: int
    counts: Counts
    f1: Interval


def scores(
    gold: Mapping[str, Iterable[Fact]],
    predicted: Mapping[str, Iterable[Fact]],
    groups: Mapping[str, str],
) -> Iterator[Score]:
    """The scores of all documents of `gold`, then of each group in the order of their names.

    Args:
        gold: facts by document; it says which documents count.
        predicted: the same of a run; a document that is not there was answered with nothing.
        groups: a document's group, such as its language; one without is in none.

    Raises:
        ValueError: there are no documents.
    """
    members: dict[str, list[str]] = {EVERYTHING: list(gold)}
    for document in sorted(gold.keys() & groups.keys(), key=lambda document: (groups[document], document)):
        members.setdefault(groups[document], []).append(document)
    for group, documents in members.items():
        for match, count in MATCHES.items():
            counts = [count(gold[document], predicted.get(document, ())) for document in documents]
            yield Score(group, match, len(documents), total(counts), f1(counts))
