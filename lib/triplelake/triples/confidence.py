"""How sure a triple is: the probability that people would call it right.

What a model's own probabilities say of a triple, and what can be seen of it, is weighed by a logistic regression that
was fitted on judged triples (`triplelake.evaluate.calibrate`). To apply it takes a sum and no library.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields

from triplelake.triples.derive import Derivation
from triplelake.triples.identity import stable_hash
from triplelake.triples.likelihood import likelihoods
from triplelake.types import Request, Triple


@dataclass(frozen=True, slots=True)
class Features:
    """What is known of a triple before anybody judges it; probabilities as natural logarithms.

    Args:
        subject, predicate, object: what the model gave to the tokens of each.
        onward: what it gave to going on with this triple instead of ending the answer.
        rank: triples before it in its answer.
        triples: of its answer.
        subject_chars, object_chars: code points.
        distance: code points between subject and object in the text; 0 where they stand in different fields.
        chunk_chars: code points of the chunk.
        is_ambiguous: subject or object stands there more than once.
        is_flagged: something is doubtful by itself (`Triple.flags`).
        look: the log odds of “yes” where it was asked about this triple alone; None where it was not, or where that is
            not known. The answer to a question of yes or no is a probability already, which a logistic regression takes
            as log odds.
    """

    subject: float
    predicate: float
    object: float
    onward: float
    rank: float
    triples: float
    subject_chars: float
    object_chars: float
    distance: float
    chunk_chars: float
    is_ambiguous: float
    is_flagged: float
    look: float | None = None


NAMES = tuple(field.name for field in fields(Features))

_LEAST_DOUBT = 0.005
"""A logarithm of two decimals that is rounded to 0 is of a probability of 0.995 at least."""

LOOK = "look"
"""The feature that a triple may lack."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A fitted logistic regression.

    Args:
        bias: what is added to the weighed features.
        weights: of features by name; what it lacks weighs nothing.
        relations: what a triple of a relation has more, by the relation's id.
    """

    bias: float
    weights: Mapping[str, float]
    relations: Mapping[str, float]

    @property
    def needs_look(self) -> bool:
        """Whether a triple that was not looked at again has no confidence."""
        return LOOK in self.weights

    def confidence(self, features: Features, predicate: str) -> float | None:
        """The probability that a triple of these features is right; None where they lack one that is weighed."""
        if self.needs_look and features.look is None:
            return None
        values = asdict(features)
        score = self.bias + self.relations.get(predicate, 0.0)
        score += sum(weight * values[name] for name, weight in self.weights.items())
        # Beyond this the exponential overflows, and nothing is as sure.
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))

    def identity(self) -> str:
        """A hash of all that changes a confidence."""
        return stable_hash(repr((self.bias, sorted(self.weights.items()), sorted(self.relations.items()))))


def log_odds(logprob: float) -> float:
    """The log odds of a probability, given as a logarithm of two decimals as attempts keep it; finite for 1, too."""
    doubt = max(-math.expm1(logprob), _LEAST_DOUBT)
    return logprob - math.log(doubt)


def least_confidence(precision: float, groups: Sequence[tuple[float, int, float]]) -> float:
    """The confidence from which on as many as may be are kept, a share `precision` of which is expected to be right.

    What is expected of several is the mean of their confidences.

    Args:
        groups: thousandths of confidence: the lowest of each, how many it holds, and the sum of theirs.

    Returns:
        1.0 where not even the surest group has that mean.
    """
    kept = total = 0.0
    least = 1.0
    for lowest, count, confidence in sorted(groups, reverse=True):
        kept += count
        total += confidence
        if total < precision * kept:
            break
        # In thousandths, since an engine's logarithms may differ from another's in the last digit.
        least = math.floor(1000 * lowest) / 1000
    return least


def features(
    request: Request,
    derived: Derivation,
    logprobs: Sequence[float],
    chars: Sequence[int],
    looks: Sequence[float | None] = (),
) -> Iterator[Features] | None:
    """The features of each triple of an answer.

    Args:
        logprobs, chars: of the answer's tokens, as a `Completion` has them.
        looks: of each triple as the answer says it, as an `Attempt` has them; empty for none.

    Returns:
        None where the probabilities were not asked for or are not those of this answer.
    """
    found = likelihoods(derived.places, logprobs, chars) if logprobs else None
    if found is None:
        return None
    return (
        Features(
            subject=found[rank].subject,
            predicate=found[rank].predicate,
            object=found[rank].object,
            onward=found[rank].onward,
            rank=rank,
            triples=len(derived.places),
            subject_chars=len(triple.subject),
            object_chars=len(triple.object),
            distance=_distance(triple),
            chunk_chars=len(request.text),
            is_ambiguous=triple.span_ambiguous,
            is_flagged=bool(triple.flags),
            look=_looked(looks, rank),
        )
        for triple, rank in zip(derived.triples, derived.ranks, strict=True)
    )


def _looked(looks: Sequence[float | None], rank: int) -> float | None:
    logprob = looks[rank] if rank < len(looks) else None
    return None if logprob is None else log_odds(logprob)


def _distance(triple: Triple) -> int:
    one, other = triple.subject_span, triple.object_span
    if one is None or other is None or one.source != other.source:
        return 0
    return max(0, max(one.start, other.start) - min(one.end, other.end))
