"""Lines of training data: the prompt as the profile renders it, and the answer as its form writes it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import regex
from pydantic import BaseModel, ConfigDict

from triplelake.config import AnswerSettings
from triplelake.evaluate.gold import Fact
from triplelake.prompt.grammar import sayable
from triplelake.prompt.grammar.spans import Material
from triplelake.prompt.ontology import Ontology, Relation
from triplelake.prompt.render import Renderer
from triplelake.readings import join_lines, readings
from triplelake.text import comparison_key, unit_bounds
from triplelake.training.texts import KnownText
from triplelake.triples.facts import Facts
from triplelake.triples.identity import text_hash
from triplelake.triples.predicates import Predicates, free_predicate
from triplelake.types import Lang, Request

NO_RELATION = "a relation that the ontology lacks"
NOT_THERE = "a subject or an object that does not stand in the text"
UNSAYABLE = "a subject or an object that no answer can say: it cuts a word, or holds a mark that ends a name"
NOT_IN_CHUNK = "neither subject nor object in the text itself"
PATTERN = "an object that the pattern of its relation forbids"
ITSELF = "a subject that is its own object"
TWICE = "said twice, the other way round or in another writing"
OVER_LIMIT = "more than an answer may hold"

NO_TEXT = "no text"
NOTHING_LEFT = "all of its facts were left out"
NOTHING_KNOWN = "none of its triples is known to be right, and whether it states others is not known"
MARKED = "it holds a mark of the model's template"


class Line(BaseModel):
    """A line of training data.

    Attributes:
        id: `text_hash` of the text.
        facts: subject, relation and object as the answer says them, in the order of the text, each once.
        prompt: all that the model is sent.
        answer: all that it is to say, without what ends it.
        origin: where the facts are from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    lang: Lang
    text: str
    title: str
    context: str
    facts: tuple[tuple[str, str, str], ...]
    prompt: str
    answer: str
    origin: str


@dataclass(frozen=True, slots=True)
class MadeLine:
    """A line, and what is done with it but not written.

    Args:
        relations: ids, each once.
        document: that holds its text.
    """

    line: Line
    relations: tuple[str, ...]
    document: str
    whole: str = ""


@dataclass
class LineMaker:
    """Makes lines of known texts, and counts the facts that no answer could say.

    Args:
        renderer: that of the profile.
        marks: of the model's template. A text that holds one is left out, since a trainer takes a prompt as one string,
            in which it would begin or end a turn.

    Attributes:
        left_out: facts by the reason why.
    """

    renderer: Renderer
    ontology: Ontology | None
    answer: AnswerSettings
    marks: tuple[str, ...] = ()
    left_out: Counter[str] = field(default_factory=Counter)
    _predicates: dict[Lang, Predicates] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._by_id = {relation.id: relation for relation in self.ontology.relations} if self.ontology else {}
        self._facts = Facts(self.ontology)

    def make(self, known: KnownText) -> MadeLine | str:
        """The line of a text, or why it has none.

        A text all of whose facts are left out has none: an empty answer would be false.
        """
        if not known.text.strip():
            return NO_TEXT
        if any(mark in each for mark in self.marks for each in (known.text, known.title, known.context)):
            return MARKED
        if not known.facts and not known.is_complete:
            return NOTHING_KNOWN
        request = Request("", known.text, known.title, known.context, known.lang)
        facts = self._sayable(known, request)
        if known.facts and not facts:
            return NOTHING_LEFT
        said = [(subject, self._shown(predicate, known.lang), object) for subject, predicate, object in facts]
        names = [relation.names[known.lang] for relation in self._by_id.values()]
        line = Line(
            id=text_hash(known.text),
            lang=known.lang,
            text=known.text,
            title=known.title,
            context=known.context,
            facts=tuple(said),
            prompt=self.renderer.render(request).text,
            answer=self.renderer.form.write(said, names, lang=known.lang),
            origin=known.origin,
        )
        return MadeLine(line, tuple(dict.fromkeys(each[1] for each in facts)), known.document, known.whole)

    def _sayable(self, known: KnownText, request: Request) -> list[Fact]:
        """The facts that an answer can say, by the ids of their relations, in the order of the text."""
        if not known.facts:
            return []
        spans, most = sayable(request, self.ontology, self.answer)
        texts = {source: reading.text for source, reading in readings(request).items()}
        chunk, everything = texts["chunk"], "\0".join(texts.values())
        bounds = frozenset(unit_bounds(chunk))
        found: list[tuple[int, int, Fact]] = []
        for fact in known.facts:
            subject, object = join_lines(fact[0]), join_lines(fact[2])
            relation = self._relation(fact[1], known.lang)
            places = [_first(each, chunk, bounds) for each in (subject, object)]
            if reason := self._reason(subject, relation, object, places, everything, spans):
                self._count(reason, 1)
            else:
                predicate = relation.id if relation else free_predicate(fact[1])
                found.append((places[0], places[1], (subject, predicate, object)))
        # Equal places are told apart by the facts themselves, so that the order in which they came does not count.
        distinct = self._each_once([fact for _, _, fact in sorted(found)])
        self._count(OVER_LIMIT, len(distinct) - most)
        return distinct[:most]

    def _reason(
        self,
        subject: str,
        relation: Relation | None,
        object: str,
        places: list[int],
        everything: str,
        spans: Material,
    ) -> str:
        """Why no answer could say a fact; empty if one could."""
        if self.ontology is not None and relation is None:
            return NO_RELATION
        if not (subject and object and subject in everything and object in everything):
            return NOT_THERE
        if comparison_key(subject) == comparison_key(object):
            return ITSELF
        if not (spans.holds(subject) and spans.holds(object)):
            return UNSAYABLE
        if max(places) < 0:
            return NOT_IN_CHUNK
        pattern = relation.object_pattern if relation else None
        if pattern is not None and regex.fullmatch(pattern, object) is None:
            return PATTERN
        return ""

    def _each_once(self, facts: list[Fact]) -> list[Fact]:
        kept: dict[Fact, Fact] = {}
        for fact in facts:
            subject, predicate, object = self._facts.fact(*fact)
            kept.setdefault((comparison_key(subject), predicate, comparison_key(object)), fact)
        self._count(TWICE, len(facts) - len(kept))
        return list(kept.values())

    def _count(self, reason: str, facts: int) -> None:
        if facts > 0:
            self.left_out[reason] += facts

    def _relation(self, name: str, lang: Lang) -> Relation | None:
        if self.ontology is None:
            return None
        if lang not in self._predicates:
            self._predicates[lang] = Predicates(self.ontology, lang)
        return self._by_id.get(name) or self._predicates[lang].relation(name)

    def _shown(self, predicate: str, lang: Lang) -> str:
        return self._by_id[predicate].names[lang] if self.ontology else predicate


def _first(entity: str, text: str, bounds: frozenset[int]) -> int:
    """Where an entity first stands in a text as a whole; -1 where it does not."""
    start = text.find(entity)
    while start >= 0:
        if start in bounds and start + len(entity) in bounds:
            return start
        start = text.find(entity, start + 1)
    return -1
