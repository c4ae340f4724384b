"""What a judged sheet says of its sentences, read back as it was written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from triplelake.evaluate.gold import Fact
from triplelake.evaluate.review import Review, Verdict
from triplelake.spreadsheets import as_text

_ENDINGS = (".csv", ".tsv")


@dataclass(frozen=True, slots=True)
class JudgedSentence:
    """A sentence and its triples that are right.

    Args:
        document: that holds it, by a name that only its sheet knows.
        right: without repetition, those that a reviewer added among them; also those that the sheet has beside a part
            of the sentence.
        is_nothing: a reviewer has said that it states no fact at all.
    """

    text: str
    document: str
    right: tuple[Fact, ...]
    is_nothing: bool


def is_sheet(file: Path) -> bool:
    """Whether a file is a sheet, and not gold, by its name."""
    return file.suffix.lower() in _ENDINGS


def judged_facts(review: Review) -> Iterator[tuple[str, Fact, bool]]:
    """Each triple of which somebody could tell: its sentence, what it says, and whether that is right.

    Those that a reviewer added are right.
    """
    for verdict in (*review.verdicts, *review.missing):
        if verdict.right is not None:
            yield as_text(verdict.evidence), _fact(verdict), verdict.right


def judged_sentences(review: Review) -> list[JudgedSentence]:
    """The sentences of which somebody could tell of a triple, each with all that is right of it.

    The evidence of one triple may be a part of that of another one of its document, and what is right of the part is
    right of the whole.
    """
    right: dict[tuple[str, str], list[Fact]] = {}
    of_document: dict[str, list[str]] = defaultdict(list)
    # Not a set: what is drawn of these sentences by a seed depends on their order.
    silent = dict.fromkeys((document, as_text(evidence)) for document, evidence in review.silent)
    told = (each for each in (*review.verdicts, *review.missing) if each.right is not None)
    facts = [((each.document, as_text(each.evidence)), [_fact(each)] if each.right else []) for each in told]
    for (document, text), found in (*facts, *((place, []) for place in silent)):
        if (document, text) not in right:
            right[document, text] = []
            of_document[document].append(text)
        right[document, text] += found
    return [
        JudgedSentence(
            text,
            document,
            tuple(
                dict.fromkeys(fact for part in of_document[document] if part in text for fact in right[document, part])
            ),
            (document, text) in silent,
        )
        for document, text in right
    ]


def _fact(verdict: Verdict) -> Fact:
    return as_text(verdict.subject), as_text(verdict.predicate), as_text(verdict.object)
