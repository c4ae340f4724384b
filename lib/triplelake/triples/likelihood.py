"""How likely a model found each part of a triple: the log probabilities of an answer's tokens, by what they spell."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from triplelake.triples.parse import Place


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Sums of natural logarithms of probabilities, before the grammar forbade anything.

    Args:
        subject, predicate, object: of the tokens that spell any of it; a token may begin before it or end behind it.
        onward: of the tokens that stand before it and spell no part of a triple: that the answer goes on at all.
    """

    subject: float
    predicate: float
    object: float
    onward: float


def likelihoods(
    places: Sequence[tuple[Place, Place, Place]], logprobs: Sequence[float], chars: Sequence[int]
) -> list[Likelihood] | None:
    """The likelihood of each triple of an answer.

    Args:
        places: where subject, predicate and object of each triple stand in the answer.
        logprobs, chars: of each token of the answer, in order: its log probability and how many characters it begins.

    Returns:
        None where the tokens do not reach as far as the triples, so that not all of them are known.
    """
    ends = list(accumulate(chars))
    if places and (not ends or ends[-1] < max(end for triple in places for _, end in triple)):
        return None
    # Tokens that finish a character begin none, so a sum over a run of tokens is one of prefix sums.
    sums = [0.0, *accumulate(logprobs)]

    def tokens(place: Place) -> tuple[int, int]:
        """The tokens that overlap a place: from the first that ends behind its start to the last that begins in it."""
        start, end = place
        first = bisect_right(ends, start)
        return first, max(first, bisect_left(ends, end)) + 1

    def total(place: Place) -> float:
        first, last = tokens(place)
        return sums[last] - sums[first]

    found = []
    said = 0
    for triple in places:
        own = [place for place in triple if place[0] >= said]
        first = min((tokens(place)[0] for place in own), default=0)
        before = tokens((said - 1, said))[1] if said else 0
        onward = sums[first] - sums[before] if own and first > before else 0.0
        subject, predicate, object_ = map(total, triple)
        found.append(Likelihood(subject, predicate, object_, onward))
        said = max(said, *(end for _, end in triple))
    return found
