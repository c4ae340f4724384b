"""The short conversation that asks about one triple: whether its text states it.

The answer is forced, so that nothing is chosen: what counts is how probable the model found the word for yes before the
grammar forbade the other one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from triplelake.prompt.ontology import Ontology
from triplelake.prompt.parts import Part, RenderedPrompt, document_text, joined, question
from triplelake.prompt.profile import BLANK_LINE, ModelProfile
from triplelake.prompt.prompts import LOOK_PLACES, LookWords, Prompt
from triplelake.prompt.turns import ServerTemplate, Turns
from triplelake.readings import readings
from triplelake.types import LANGS, Lang, Request, Triple

_PLACES = re.compile("|".join(f"({re.escape(place)})" for place in LOOK_PLACES))


class LookRenderer:
    """Makes the questions about single triples. Plain values inside: it can be pickled to a worker.

    Args:
        prompts: of every language.
        ontology: None for free predicates.
        profile: how the model wants to be asked; not one with `template: plain`.
        server_template: what the server's chat template does; needed for, and used with, `template: server` only.

    Raises:
        ValueError: `template: plain`, or `template: server` without a server's template.
    """

    def __init__(
        self,
        prompts: Mapping[Lang, Prompt],
        ontology: Ontology | None,
        profile: ModelProfile,
        server_template: ServerTemplate | None = None,
    ) -> None:
        self._words: Mapping[Lang, LookWords] = {lang: prompts[lang].look for lang in LANGS}
        self._names = {relation.id: relation.names for relation in (ontology.relations if ontology else ())}
        self._turns = _turns(profile, server_template)

    def word(self, lang: Lang) -> str:
        """The word for yes."""
        return self._words[lang].word

    def answer(self, lang: Lang) -> str:
        """The only answer: the word for yes, and what ends it. Of one token alone no probability would be believed."""
        return self._words[lang].word + self._words[lang].end

    def prefix(self, lang: Lang) -> str:
        """What the questions of a language begin with, byte for byte."""
        return self._turns.prefix(self._words[lang].instructions, ())

    def render(self, request: Request, triple: Triple) -> RenderedPrompt:
        """The question about a triple of an answer to a request.

        Args:
            triple: its relation is called by its name in the request's language.
        """
        lang = request.lang
        return RenderedPrompt(joined((Part(self.prefix(lang)), *self._asked(request, triple), Part(self._turns.asked))))

    def _asked(self, request: Request, triple: Triple) -> Iterator[Part]:
        words = self._words[request.lang]
        read = {source: reading.text for source, reading in readings(request).items()}
        relation = self._names[triple.predicate][request.lang] if self._names else triple.predicate
        values = {"{subject}": triple.subject, "{relation}": relation, "{object}": triple.object}
        for piece in filter(None, _PLACES.split(words.question)):
            if piece in values:
                yield document_text(values[piece])
            elif piece == "{text}":
                yield from question(words.labels, read["title"], read["context"], read["chunk"])
            else:
                yield Part(piece)


def _turns(profile: ModelProfile, server_template: ServerTemplate | None) -> Turns:
    """What stands around instructions and question: the template's turns if they are known, else one message."""
    before, after = profile.prefix, profile.suffix
    if profile.template == "server":
        if server_template is None:
            raise ValueError(f"the profile {profile.name} needs the server's own template")
        if server_template.turns:
            return server_template.turns
        before, after = server_template.before, server_template.after
    elif profile.template == "plain":
        raise ValueError(f"the profile {profile.name} has no template")
    return Turns(before, BLANK_LINE, after, profile.next, after)
