"""What a judged sheet says of its sentences, read back as it was written."""

from __future__ import annotations

from collections.abc import Iterator

from triplelake.evaluate.gold import Fact
from triplelake.evaluate.review import Review
from triplelake.export.delimited import as_text


def judged_facts(review: Review) -> Iterator[tuple[str, Fact, bool]]:
    """Each triple of which somebody could tell: its sentence, what it says, and whether that is right."""
    for verdict in review.verdicts:
        if verdict.right is not None:
            subject, predicate, object, sentence = map(
                as_text, (verdict.subject, verdict.predicate, verdict.object, verdict.evidence)
            )
            yield sentence, (subject, predicate, object), verdict.right
