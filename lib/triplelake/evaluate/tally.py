"""What one document adds to each figure, and the figures made of the sums."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields

from triplelake.evaluate.answers import Answered
from triplelake.evaluate.gold import Fact
from triplelake.evaluate.metrics import (
    Counts,
    is_grounded,
    pair_counts,
    relaxed_counts,
    repeated_count,
    reversed_count,
    strict_counts,
)
from triplelake.evaluate.ratios import F1, Ratio
from triplelake.evaluate.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class DocumentTally:
    """Counts of one document; sums over documents give micro averages.

    Args:
        gold, said, right: distinct facts, all three parts compared.
        undoubted, undoubted_right: those of them that the view `facts` counts, since nothing is flagged.
        relaxed_right: see `relaxed_counts`.
        gold_pairs, pairs, pairs_right: subject and object without the relation.
        reversed: see `reversed_count`.
        mentions, flagged: published triples, and those with a flag.
        spans, spans_held: grounded ones, and those whose offsets give back what they say.
        decoded, repeated, grounded: triples as decoded, and those that repeat one of their own answer, or stand
            verbatim in what was shown.
        checked, conformant: decoded ones where there is an ontology, and those whose relation it has.
        requests, failed, truncated, empty: requests by what they came to.
        tokens: decoded.
    """

    gold: int = 0
    said: int = 0
    right: int = 0
    undoubted: int = 0
    undoubted_right: int = 0
    relaxed_right: int = 0
    gold_pairs: int = 0
    pairs: int = 0
    pairs_right: int = 0
    reversed: int = 0
    mentions: int = 0
    flagged: int = 0
    spans: int = 0
    spans_held: int = 0
    decoded: int = 0
    repeated: int = 0
    grounded: int = 0
    checked: int = 0
    conformant: int = 0
    requests: int = 0
    failed: int = 0
    truncated: int = 0
    empty: int = 0
    tokens: int = 0

    def __add__(self, other: DocumentTally) -> DocumentTally:
        return DocumentTally(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(DocumentTally)))

    @property
    def strict(self) -> Counts:
        return Counts(self.right, self.said, self.gold)

    @property
    def relaxed(self) -> Counts:
        return Counts(self.relaxed_right, self.said, self.gold)

    @property
    def in_facts(self) -> Counts:
        return Counts(self.undoubted_right, self.undoubted, self.gold)

    @property
    def pair(self) -> Counts:
        return Counts(self.pairs_right, self.pairs, self.gold_pairs)


COLUMNS = tuple(each.name for each in fields(DocumentTally))
"""The counts of a tally, in order."""


def tally(gold: Iterable[Fact], answered: Answered | None, vocabulary: Vocabulary) -> DocumentTally:
    """The counts of a document; one that was not answered adds what was there to find."""
    wanted = list(gold)
    if answered is None:
        return DocumentTally(
            gold=strict_counts(wanted, ()).gold, gold_pairs=pair_counts(wanted, (), vocabulary.symmetric).gold
        )
    facts = vocabulary.relations(answered.facts, answered.lang)
    strict = strict_counts(wanted, facts)
    undoubted = strict_counts(wanted, vocabulary.relations(answered.undoubted, answered.lang))
    pairs = pair_counts(wanted, facts, vocabulary.symmetric)
    grounded = [mention for mention in answered.mentions if mention.grounded]
    decoded = list(answered.decoded())
    return DocumentTally(
        gold=strict.gold,
        said=strict.predicted,
        right=strict.correct,
        undoubted=undoubted.predicted,
        undoubted_right=undoubted.correct,
        relaxed_right=relaxed_counts(wanted, facts, vocabulary.symmetric).correct,
        gold_pairs=pairs.gold,
        pairs=pairs.predicted,
        pairs_right=pairs.correct,
        reversed=reversed_count(wanted, facts),
        mentions=len(answered.mentions),
        flagged=sum(bool(mention.flags) for mention in answered.mentions),
        spans=len(grounded),
        spans_held=sum(answered.holds(mention) for mention in grounded),
        decoded=len(decoded),
        repeated=sum(repeated_count(vocabulary.relations(reply.decoded, reply.lang)) for reply in answered.replies),
        grounded=sum(is_grounded(fact, reply.shown) for reply, fact in decoded),
        checked=len(decoded) if vocabulary.known else 0,
        conformant=sum(vocabulary.knows(fact[1], reply.lang) for reply, fact in decoded),
        requests=len(answered.replies),
        failed=sum(reply.status == "failed" for reply in answered.replies),
        truncated=sum(reply.truncated for reply in answered.replies),
        empty=sum(reply.status == "empty" for reply in answered.replies),
        tokens=sum(reply.tokens for reply in answered.replies),
    )


def _f1(counts: Callable[[DocumentTally], Counts]) -> Ratio[DocumentTally]:
    return Ratio(
        lambda sums: F1.part(counts(sums)),
        lambda sums: F1.whole(counts(sums)),
        lambda sums: F1.of_nothing(counts(sums)),
    )


FIGURES: Mapping[str, Ratio[DocumentTally]] = {
    "precision": Ratio(lambda sums: sums.right, lambda sums: sums.said, lambda sums: sums.strict.precision),
    "recall": Ratio(lambda sums: sums.right, lambda sums: sums.gold, lambda sums: sums.strict.recall),
    "f1": _f1(lambda sums: sums.strict),
    "f1_in_facts": _f1(lambda sums: sums.in_facts),
    "relaxed_f1": _f1(lambda sums: sums.relaxed),
    "pair_f1": _f1(lambda sums: sums.pair),
    "reversed": Ratio(lambda sums: sums.reversed, lambda sums: sums.said),
    "conformance": Ratio(lambda sums: sums.conformant, lambda sums: sums.checked),
    "grounding": Ratio(lambda sums: sums.grounded, lambda sums: sums.decoded),
    "span_validity": Ratio(lambda sums: sums.spans_held, lambda sums: sums.spans),
    "flagged": Ratio(lambda sums: sums.flagged, lambda sums: sums.mentions),
    "repeated": Ratio(lambda sums: sums.repeated, lambda sums: sums.decoded),
    "failed": Ratio(lambda sums: sums.failed, lambda sums: sums.requests),
    "truncated": Ratio(lambda sums: sums.truncated, lambda sums: sums.requests),
    "empty": Ratio(lambda sums: sums.empty, lambda sums: sums.requests),
    "right_per_1000_tokens": Ratio(lambda sums: sums.right, lambda sums: sums.tokens, per=1000),
}
"""Every figure by its name; None where there is nothing to divide by."""

MEANINGS: Mapping[str, str] = {
    "precision": "of what was said, right (strict: subject, relation and object agree)",
    "recall": "of what is there, found (strict)",
    "f1": "of both, strict",
    "f1_in_facts": "strict, of what `facts` counts: without flagged triples",
    "relaxed_f1": "subject and object may be cut too short or too long by half",
    "pair_f1": "subject and object, whatever the relation",
    "reversed": "of what was said, wrong but right the other way round",
    "conformance": "of the decoded triples, with a relation of the ontology",
    "grounding": "of the decoded triples, subject and object verbatim in what was shown",
    "span_validity": "of the grounded triples, whose offsets give back what they say",
    "flagged": "of the published triples, with a doubt: pronoun, type, pattern",
    "repeated": "of the decoded triples, said already in the same answer",
    "failed": "of the requests, without a good answer",
    "truncated": "of the requests, whose answer was cut off",
    "empty": "of the requests, answered with no triple",
    "right_per_1000_tokens": "right triples per 1,000 decoded tokens",
}
