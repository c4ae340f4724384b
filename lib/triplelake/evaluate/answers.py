"""What a run made of a document, as it is judged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from triplelake.codes import Code
from triplelake.evaluate.gold import Fact
from triplelake.triples.parse import AnswerError, parse_answer
from triplelake.types import AttemptStatus, Flag, Lang


@dataclass(frozen=True, slots=True)
class Place:
    """A surface, and where it is said to stand: `[start, end)` of the document's text, or of its title."""

    surface: str
    in_title: bool
    start: int | None
    end: int | None


@dataclass(frozen=True, slots=True)
class PublishedTriple:
    """A published triple.

    Args:
        fact: subject, relation, object.
        grounded: subject and object were found in the text.
        flags: what to doubt; `facts` leaves out what has any.
        places: of subject, object and evidence.
        confidence: None where it is not known.
    """

    fact: Fact
    grounded: bool
    flags: tuple[Flag, ...]
    places: tuple[Place, ...]
    confidence: float | None = None


@dataclass(frozen=True)
class Reply:
    """What a request of the document came to.

    Args:
        error_code: of a failure; `truncated` also where the tail of a good answer was cut.
        completion: the raw answer, if there was one.
        tokens: decoded for it, all tries.
        shown: title, context and chunk, as the model saw them.
        lang: that it was asked in.
    """

    status: AttemptStatus
    error_code: str | None
    completion: str | None
    tokens: int
    shown: str
    lang: Lang

    @property
    def truncated(self) -> bool:
        return self.error_code == Code.TRUNCATED

    @cached_property
    def decoded(self) -> tuple[Fact, ...]:
        """The triples as decoded, repetitions included, with the relation's name; none of what is no answer."""
        try:
            return parse_answer(self.completion or "", truncated=self.truncated).items
        except AnswerError:
            return ()


@dataclass(frozen=True, slots=True)
class Answered:
    """A document as a run published it."""

    doc_id: str
    text: str
    title: str
    lang: Lang
    mentions: tuple[PublishedTriple, ...]
    replies: tuple[Reply, ...]

    @property
    def facts(self) -> tuple[Fact, ...]:
        """What it found: all that is grounded."""
        return tuple(mention.fact for mention in self.mentions if mention.grounded)

    @property
    def undoubted(self) -> tuple[Fact, ...]:
        """What the view `facts` counts of it."""
        return tuple(mention.fact for mention in self.mentions if mention.grounded and not mention.flags)

    def holds(self, mention: PublishedTriple) -> bool:
        """Whether the offsets of a mention give back what it says."""
        return all(self._slice(place) == place.surface for place in mention.places)

    def decoded(self) -> Iterator[tuple[Reply, Fact]]:
        """The triples of all its answers, as decoded."""
        return ((reply, fact) for reply in self.replies for fact in reply.decoded)

    def _slice(self, place: Place) -> str | None:
        if place.start is None or place.end is None:
            return None
        return (self.title if place.in_title else self.text)[place.start : place.end]
