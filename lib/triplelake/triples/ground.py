"""Grounding: which code points of the request the two arguments of a triple are."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from triplelake.readings import join_lines, readings
from triplelake.triples.occurrences import Interval, SearchedText
from triplelake.triples.sentences import Sentences, trimmed
from triplelake.types import Grounding, Request, Span, SpanSource


@dataclass(frozen=True, slots=True)
class Grounded:
    """Where the arguments of a triple stand.

    Args:
        subject, object: None where `grounding` is `none`.
        evidence: the sentences of the chunk that hold the arguments found in it; all of it where none is.
        ambiguous: an argument occurs more than once in its source, so one pair was chosen.
        in_chunk: at least one argument stands in the chunk itself.
    """

    subject: Span | None
    object: Span | None
    evidence: Span
    ambiguous: bool
    grounding: Grounding
    in_chunk: bool


@dataclass(frozen=True, slots=True)
class _Occurrences:
    """The occurrences of a surface in the first source that has it."""

    source: SpanSource
    intervals: Sequence[Interval]
    grounding: Grounding


class Grounder:
    """Grounds the triples of one request.

    A surface is looked for in the chunk, then the title, then the context: verbatim, and only where it
    is verbatim in none of them, and `folding` allows it, after folding width, case and script.
    A span starts and ends at unit bounds, so it never cuts a number, a word or a combining sequence.
    """

    def __init__(self, request: Request, *, folding: bool) -> None:
        self._folding = folding
        self._chunk = request.text
        self._sources: dict[SpanSource, SearchedText] = {
            source: SearchedText(reading) for source, reading in readings(request).items()
        }
        self._texts: dict[SpanSource, str] = {"chunk": request.text, "title": request.title, "context": request.context}
        self._sentences = Sentences(request.text)
        self._known: dict[str, _Occurrences | None] = {}

    def ground(self, subject: str, object: str) -> Grounded:
        """Ground a pair of non-empty surfaces.

        Of several occurrences in the chunk the pair nearest to one another is taken. An argument whose
        partner stands elsewhere is taken where title, context and chunk read on: its last occurrence in
        the context, its first in chunk or title.
        """
        subjects, objects = self._find(subject), self._find(object)
        if subjects is None or objects is None:
            return self._ungrounded(subjects or objects)
        if subjects.source == objects.source == "chunk":
            first, second = nearest_pair(subjects.intervals, objects.intervals, self._sentences)
        else:
            first, second = _next_to_chunk(subjects), _next_to_chunk(objects)
        in_chunk = [span for span, found in ((first, subjects), (second, objects)) if found.source == "chunk"]
        return Grounded(
            subject=Span(subjects.source, *first),
            object=Span(objects.source, *second),
            evidence=self._evidence(in_chunk),
            ambiguous=len(subjects.intervals) > 1 or len(objects.intervals) > 1,
            grounding="exact" if subjects.grounding == objects.grounding == "exact" else "normalised",
            in_chunk=bool(in_chunk),
        )

    def _ungrounded(self, found: _Occurrences | None) -> Grounded:
        in_chunk = [found.intervals[0]] if found and found.source == "chunk" else []
        return Grounded(None, None, self._evidence(in_chunk), False, "none", bool(in_chunk))

    def _evidence(self, arguments: Sequence[Interval]) -> Span:
        if not arguments:
            return trimmed(self._chunk, 0, len(self._chunk))
        return self._sentences.around(min(start for start, _ in arguments), max(end for _, end in arguments))

    def _find(self, surface: str) -> _Occurrences | None:
        if surface not in self._known:
            self._known[surface] = next(self._candidates(surface), None)
        return self._known[surface]

    def _candidates(self, surface: str) -> Iterator[_Occurrences]:
        for source, text in self._sources.items():
            if intervals := text.exact(surface):
                # An occurrence in one line comes before those that go over a line end.
                same = [(start, end) for start, end in intervals if self._texts[source][start:end] == surface]
                yield _Occurrences(source, same, "exact") if same else _Occurrences(source, intervals, "normalised")
        if self._folding:
            for source, text in self._sources.items():
                if intervals := text.folded(surface):
                    yield _Occurrences(source, intervals, "normalised")


def span_text(request: Request, span: Span) -> str:
    """The name that a span stands for: its code points, line ends joined (`triplelake.readings.join_lines`)."""
    texts = {"chunk": request.text, "title": request.title, "context": request.context}
    return join_lines(texts[span.source][span.start : span.end])


def nearest_pair(
    subjects: Sequence[Interval], objects: Sequence[Interval], sentences: Sentences
) -> tuple[Interval, Interval]:
    """The pair in the fewest sentences; of those one that does not overlap; then the closest; then the first.

    Both lists are non-empty and ascending in start and in end, so only the neighbours of a subject can be
    its nearest object: the cost is that of a merge. All that overlap are tried only where no such pair
    stands in one sentence.
    """
    starts, ends = [start for start, _ in objects], [end for _, end in objects]

    def cost(pair: tuple[Interval, Interval]) -> tuple[int, bool, int, int, int]:
        subject, object = pair
        left, right = min(subject[0], object[0]), max(subject[1], object[1])
        crossed = sentences.index(right - 1) - sentences.index(left)
        gap = max(subject[0], object[0]) - min(subject[1], object[1])
        return crossed, gap < 0, max(gap, 0), subject[0], object[0]

    apart: list[tuple[Interval, Interval]] = []
    overlapping: list[tuple[Interval, Interval]] = []
    for subject in subjects:
        before, after = bisect_right(ends, subject[0]), bisect_left(starts, subject[1])
        apart += [(subject, object) for object in (*objects[max(before - 1, 0) : before], *objects[after : after + 1])]
        overlapping += [(subject, object) for object in objects[before:after]]
    nearest = min(apart, key=cost, default=None)
    if nearest is not None and cost(nearest)[0] == 0:
        return nearest
    return min([*apart, *overlapping], key=cost)


def _next_to_chunk(found: _Occurrences) -> Interval:
    return found.intervals[-1 if found.source == "context" else 0]
