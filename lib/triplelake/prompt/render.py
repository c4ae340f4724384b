"""The text that a server is asked with.

A prompt is a prefix, equal for all requests of a language so that each slot keeps it in its KV cache
(template, instructions, relations, examples), and then the request: title, context and chunk, each on
one line behind its label.

Text of a document is data:

- Its line breaks are shown as spaces, those inside a wrapped paragraph as `triplelake.readings` joins them. A label
  counts at the beginning of a line only, so no document can begin a field, end its own or write an answer, whatever
  words it holds. Nothing else of it is changed.
- Where it may hold the text of a special token, it is a part of its own (`triplelake.prompt.parts`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import astuple
from hashlib import sha256

from triplelake.config import Settings
from triplelake.errors import InputError
from triplelake.prompt import fewshot
from triplelake.prompt.answer_form import ARRAYS, AnswerForm
from triplelake.prompt.ontology import Note, Ontology
from triplelake.prompt.parts import Part, RenderedPrompt, answer_text, joined, question
from triplelake.prompt.profile import BLANK_LINE, ModelProfile
from triplelake.prompt.prompts import EMPTY, FORM, Labels, Prompt
from triplelake.prompt.retrieval import Gallery
from triplelake.prompt.turns import ServerTemplate, Turns
from triplelake.readings import readings
from triplelake.types import LANGS, Lang, Request

_TITLE_TOKENS = 64


class Renderer:
    """Makes prompts for one model and one ontology. Plain values inside: it can be pickled to a worker.

    Args:
        prompts: of every language.
        ontology: None for free predicates.
        profile: how the model wants to be asked.
        server_template: what the server's chat template does; needed for, and used with, `template: server` only.
        shots: examples shown at most; all if None.
        gallery: examples of which each request is shown the likest, too.

    Raises:
        InputError: an example of a user's own prompt has a relation that the ontology lacks.
        ValueError: `template: server` without a server's template.
    """

    def __init__(
        self,
        prompts: Mapping[Lang, Prompt],
        ontology: Ontology | None,
        profile: ModelProfile,
        server_template: ServerTemplate | None = None,
        *,
        shots: int | None = None,
        gallery: Gallery | None = None,
    ) -> None:
        notes: list[Note] = []
        self._form = profile.form
        self._labels: dict[Lang, Labels] = {}
        self._prefixes: dict[Lang, str] = {}
        self._turns: dict[Lang, Turns] = {}
        for lang in LANGS:
            prompt = prompts[lang]
            turns = _turns(profile, server_template, prompt.labels)
            if not profile.is_tuned:
                notes += _unheeded(prompt, prompt.asked(ontology), profile)
            examples = _examples(prompt, ontology, profile, shots, notes)
            instructions = prompt.filled(profile).instruct(ontology)
            asked = [(_shown(prompt, each), fewshot.answer(each, ontology, lang, self._form)) for each in examples]
            self._labels[lang] = prompt.labels
            self._prefixes[lang] = turns.prefix(instructions, asked)
            self._turns[lang] = turns
        if profile.examples == "turns" and server_template is not None and server_template.turns is None:
            told = "the server's chat template refuses a conversation, or does not write every turn alike"
            notes.append(Note(f"{told}: the examples are shown in one message"))
        self._stop = profile.ends
        self._ontology = ontology
        self._gallery = gallery
        self._notes = tuple(notes)

    @property
    def notes(self) -> tuple[Note, ...]:
        """Examples with relations that the ontology lacks, and what is asked for and cannot be had."""
        return self._notes

    @property
    def form(self) -> AnswerForm:
        """How the model is asked to write an answer."""
        return self._form

    @property
    def stop(self) -> tuple[str, ...]:
        """Strings that end an answer."""
        return self._stop

    @property
    def retrieved(self) -> tuple[str, ...]:
        """What tells the examples of which each request is shown the likest, as they are written; empty for none."""
        if self._gallery is None:
            return ()
        written = ["\0".join(self.retrievable(lang)) for lang in LANGS]
        return ("retrieved", str(self._gallery.shots), *(sha256(text.encode()).hexdigest() for text in written))

    def prefix(self, lang: Lang) -> str:
        """What the prompts of all requests of a language begin with, byte for byte."""
        return self._prefixes[lang]

    def retrievable(self, lang: Lang) -> Iterator[str]:
        """The text of each example of which a request is shown the likest, as it is written in a prompt."""
        for example in self._gallery.of(lang) if self._gallery else ():
            yield "".join(part.text for part in self._written(example, lang))

    def render(self, request: Request) -> RenderedPrompt:
        """The prompt of a request."""
        read = {source: reading.text for source, reading in readings(request).items()}
        lines = question(self._labels[request.lang], read["title"], read["context"], read["chunk"])
        parts = (
            Part(self._prefixes[request.lang]),
            *self._retrieved(request),
            *lines,
            Part(self._turns[request.lang].asked),
        )
        return RenderedPrompt(joined(parts))

    def _retrieved(self, request: Request) -> Iterator[Part]:
        """Further examples for one request, written as the fixed ones are."""
        for example in self._gallery.nearest(request) if self._gallery else ():
            yield from self._written(example, request.lang)

    def _written(self, example: fewshot.Example, lang: Lang) -> Iterator[Part]:
        turns = self._turns[lang]
        yield from question(self._labels[lang], example.title, example.context, example.text)
        yield Part(turns.to_answer)
        yield from answer_text(fewshot.answer(example, self._ontology, lang, self._form), self._form)
        yield Part(turns.to_next)

    def identity(self) -> tuple[str, ...]:
        """All of the prompt and the ontology that can change an answer, for the extraction key.

        Types and aliases of relations are not in it: they change what is made of an answer, not the answer.
        """
        prompts = [
            text
            for lang in LANGS
            for text in (
                lang,
                self._prefixes[lang],
                *(part.text for part in question(self._labels[lang], "title", "context", "text")),
                self._turns[lang].asked,
            )
        ]
        relations = [
            text
            for relation in (self._ontology.relations if self._ontology else ())
            for text in (relation.id, *(relation.names[lang] for lang in LANGS), relation.object_pattern or "")
        ]
        # The form of arrays is not named: so it was before there was another, and its answers are still the same.
        form = () if self._form == ARRAYS else ("form", self._form.name)
        return ("prompt 2", *prompts, "stop", *self._stop, "relations", *relations, *form, *self.retrieved)


def check_fits(prefix_tokens: int, n_ctx: int, settings: Settings) -> None:
    """Refuse a prompt that leaves no room for the largest chunk and its answer in a slot.

    Args:
        prefix_tokens: tokens of the longest prefix, as the server counts them, with those of retrieved examples.
        n_ctx: tokens of a slot.

    Raises:
        InputError: with the counts and what can be made smaller.
    """
    request = settings.chunking.max_tokens + settings.chunking.context_tokens + _TITLE_TOKENS
    needed = prefix_tokens + request + settings.answer.max_tokens
    if needed > n_ctx:
        raise InputError(
            settings.ontology,
            f"asking with it needs {needed} tokens, a slot of the server has {n_ctx}: {prefix_tokens} for "
            f"instructions, relations and examples, up to {request} for title, context and chunk, "
            f"{settings.answer.max_tokens} for the answer",
            "Use an ontology with fewer or shorter relations, fewer examples (prompt.shots, prompt.retrieved), a "
            "smaller answer.max_tokens, or servers with more context per slot (embedded.context_per_slot).",
        )


def template_text(profile: ModelProfile, server_template: ServerTemplate | None) -> tuple[str, ...]:
    """What stands around messages and how an answer is written, for the hash that tells a changed profile or template.

    What a profile leaves as it was before there was a choice is not named, so that it does not seem to have changed.
    """
    form = () if profile.answer == ARRAYS.name else (profile.answer,)
    if profile.template != "server":
        return (profile.prefix, profile.suffix, *((profile.next,) if profile.next else ()), *form)
    single = _of_server(profile, server_template)
    turns = single.turns if profile.examples == "turns" else None
    return (single.before, single.after, *(astuple(turns) if turns else ()), *form)


def _of_server(profile: ModelProfile, server_template: ServerTemplate | None) -> ServerTemplate:
    if server_template is None:
        raise ValueError(f"the profile {profile.name} needs the server's own template")
    return server_template


def _turns(profile: ModelProfile, server_template: ServerTemplate | None, labels: Labels) -> Turns:
    """What stands around instructions, examples and question: the template's turns, or labels inside one message."""
    before, after = profile.prefix, profile.suffix
    if profile.template == "server":
        template = _of_server(profile, server_template)
        before, after = template.before, template.after
        if profile.examples == "turns" and template.turns:
            return template.turns
    elif profile.examples == "turns":
        return Turns(before, BLANK_LINE, after, profile.next, after)
    if profile.is_tuned and profile.template != "plain":
        # What a template ends a message with tells a tuned model as well that the answer begins.
        return Turns(before, "\n", after, after, after)
    answer = f"\n{labels.answer}"
    gap = "\n" if profile.is_tuned else BLANK_LINE
    return Turns(before, gap, answer, gap, answer + after)


def _examples(
    prompt: Prompt, ontology: Ontology | None, profile: ModelProfile, shots: int | None, notes: list[Note]
) -> tuple[fewshot.Example, ...]:
    if profile.is_tuned:
        if shots:
            notes.append(Note(f"prompt.shots is {shots}, but model profile {profile.name} shows no example"))
        return ()
    usable = fewshot.usable(prompt.examples, profile)
    examples = fewshot.ordered(usable, shots)
    if shots is not None and shots > len(usable):
        notes.append(Note(f"prompt.shots is {shots}, but {prompt.file} has {len(usable)} examples", prompt.lang))
    if prompt.examples and not usable:
        told = f"all examples of {prompt.file} are without triples, which model profile {profile.name} leaves out"
        notes.append(Note(told, prompt.lang))
    if ontology is not None and not prompt.shipped:
        fewshot.check_relations(prompt.examples, ontology, prompt.lang, str(prompt.file))
    elif ontology is not None and (foreign := fewshot.foreign(examples, ontology, prompt.lang)):
        # They are shown for the form of an answer; the grammar admits the ontology's relations only. Measured with
        # Gemma 3 270M: leaving them out, and so showing few or no triples, makes it answer [] to nearly everything.
        told = (
            f"{prompt.lang}: {foreign} of {len(examples)} examples show relations that the ontology {ontology.name} "
            "lacks, for the form only; set prompt.dir to a folder with examples of your own"
        )
        notes.append(Note(told, prompt.lang))
    return examples


def _unheeded(prompt: Prompt, instructions: str, profile: ModelProfile) -> Iterator[Note]:
    """What a profile wants of a prompt that says it in its own words."""
    own = f"{prompt.file} says in its own words"
    if profile.answer != ARRAYS.name and FORM not in instructions:
        told = f"{own} how an answer looks; model profile {profile.name} wants {profile.answer}: write {FORM} there"
        yield Note(f"{told}, as conf/prompts/en.yaml does", prompt.lang)
    if profile.empty == "untold" and EMPTY not in instructions:
        told = (
            f"{own} what to answer where there is no fact, if it says so; model profile {profile.name} wants it untold"
        )
        yield Note(f"{told}: write {EMPTY} there, as conf/prompts/en.yaml does", prompt.lang)


def _shown(prompt: Prompt, example: fewshot.Example) -> str:
    lines = question(prompt.labels, example.title, example.context, example.text)
    return "".join(part.text for part in lines)
