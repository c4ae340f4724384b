"""The prompt of each language: `zh-Hans.yaml`, `zh-Hant.yaml` and `en.yaml` of a prompt folder.

    instructions: |             # {relations} stands for the list of relations, {form} and {empty} for the two below
    open_instructions: |        # the same for `ontology: none`
    forms: {arrays: …, objects: …, subjects: …, relations: …, lines: …}   # how an answer looks, by the profile's
                                # `answer`: {form}
    empty: …                    # what to answer where there is no fact, for {empty}; left out with `empty: untold`;
                                # [] in it becomes {} where an answer is grouped, and a word where it is lines
    relation_separator: 、
    relation_with_description: "{name}（{description}）"
    labels: {title: …, context: …, text: …, answer: …}   # what stands before each line
    examples:
      - text: …
        title: …                # may be missing, as context may
        context: …
        triples:                # [] shows that nothing is to be extracted
          - [subject, relation, object]   # the relation's name or alias in the file's language, or its id
    tuned:                      # all that a model is told which was tuned to the job; if missing, as shipped
      relations: …              # for `instructions: relations` of its profile; {relations} as above
      line: …                   # for `instructions: line`, and for both with `ontology: none`
    second_look:                # how `asking.second_look` asks about one triple; if missing, it is done as shipped
      instructions: …
      question: …               # holds {text} (the lines of title, context and text), {subject}, {relation}, {object}
      word: "Yes"               # what a model says where the text states the triple, and what ends its answer
      end: "."
    known_sentence: …           # what a server is asked about where there is no example; if missing, as shipped
    review: {title: …, context: …}   # what a sheet for people calls the two; if missing, as shipped

The relation of an example is written as the model is to see it, so that the open mode needs no other file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from triplelake.config import conf_dir, find_conf
from triplelake.errors import InputError
from triplelake.prompt.answer_form import ARRAYS, FORMS, FormName
from triplelake.prompt.fewshot import Example, check_spans
from triplelake.prompt.files import Section, nearest, read_yaml_as
from triplelake.prompt.ontology import Ontology, Relation
from triplelake.prompt.profile import ModelProfile
from triplelake.types import LANGS, Lang

_PLACE = "{relations}"
_SEE = "See conf/prompts/en.yaml."
FORM, EMPTY = "{form}", "{empty}"
_PLACES = re.compile(r"\{(?:form|empty)\}")
LOOK_PLACES = ("{text}", "{subject}", "{relation}", "{object}")
_SLOT = re.compile(r"\{name\}|\{description\}")


@dataclass(frozen=True, slots=True)
class Labels:
    """What stands before each field of a question, on the field's own line."""

    title: str
    context: str
    text: str
    answer: str


@dataclass(frozen=True, slots=True)
class LookWords:
    """How a model is asked whether a text states a triple.

    Args:
        instructions: of a conversation that asks about one triple.
        question: with each of `LOOK_PLACES` once; `{text}` is the lines of title, context and text.
        word: the word for yes.
        end: what ends the answer behind it.
        labels: what stands before title, context and text.
    """

    instructions: str
    question: str
    word: str
    end: str
    labels: Labels


@dataclass(frozen=True, slots=True)
class TunedWords:
    """All that a model is told which was tuned to the job.

    Args:
        relations: a line with `{relations}` where their list goes.
        line: a line that names none.
    """

    relations: str
    line: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """How a text of one language is asked.

    Args:
        file: where it was read.
        shipped: it came with the project; its examples may then show relations that the ontology lacks.
        instructions: with `{relations}` where the list of relations goes.
        open_instructions: instructions for a run without an ontology.
        forms: how an answer looks, in words, for `{form}`; empty where the instructions say it themselves.
        empty: what to answer where there is no fact, for `{empty}`.
        look: how single triples are asked about. It changes no answer, so that it is no part of what tells a changed
            prompt.
        tuned: what a tuned model is told; where it is used it becomes the instructions.
        known_sentence: what a server is asked about before it gets work, where there is no example.
        review: what a sheet for people calls title and context. Like `look` and the sentence it changes no answer.
        relation_separator: between two relations of the list.
        relation_with_description: form of a relation that has a description.
        examples: as in the file.
    """

    lang: Lang
    file: Path
    shipped: bool
    instructions: str
    open_instructions: str
    relation_separator: str
    relation_with_description: str
    labels: Labels
    examples: tuple[Example, ...]
    look: LookWords = field(repr=False)
    tuned: TunedWords = field(repr=False)
    known_sentence: str = field(repr=False)
    review: Mapping[str, str] = field(repr=False)
    forms: Mapping[FormName, str] = field(default_factory=dict, repr=False)
    empty: str = field(default="", repr=False)

    def asked(self, ontology: Ontology | None) -> str:
        """The instructions that go with an ontology, or with none."""
        return self.open_instructions if ontology is None else self.instructions

    def describes(self, profile: ModelProfile) -> bool:
        """Whether it can say how a profile's answer looks; one that says it in its own words is taken as it is."""
        return not self.forms or profile.answer in self.forms

    def filled(self, profile: ModelProfile) -> Prompt:
        """With a profile's form of an answer, and with what to answer where there is no fact if it wants that told.

        A tuned model is told one line of it, and shown no example.

        Raises:
            InputError: the prompt does not say how such an answer looks.
        """
        if profile.is_tuned:
            told = self.tuned.line if profile.instructions == "line" else self.tuned.relations
            return replace(self, instructions=told, open_instructions=self.tuned.line, examples=(), forms={}, empty="")
        if not self.describes(profile):
            reason = f"lacks `{profile.answer}` in `forms`, which model profile {profile.name} wants"
            raise InputError(str(self.file), reason, _SEE)
        nothing = self.empty.replace(ARRAYS.empty(self.lang), FORMS[profile.answer].empty(self.lang))
        values = {FORM: self.forms.get(profile.answer, ""), EMPTY: "" if profile.empty == "untold" else nothing}

        def fill(text: str) -> str:
            return _PLACES.sub(lambda place: values[place.group()], text)

        return replace(
            self,
            instructions=fill(self.instructions),
            open_instructions=fill(self.open_instructions),
            forms={},
            empty="",
        )

    def instruct(self, ontology: Ontology | None) -> str:
        """The instructions, with the relations of the ontology in its order."""
        asked = self.asked(ontology)
        if ontology is None:
            return asked
        return asked.replace(_PLACE, self.relation_separator.join(self._show(each) for each in ontology.relations))

    def _show(self, relation: Relation) -> str:
        values = {"{name}": relation.names[self.lang], "{description}": relation.description.get(self.lang, "")}
        if not values["{description}"]:
            return values["{name}"]
        return _SLOT.sub(lambda slot: values[slot.group()], self.relation_with_description)


class _LabelsForm(Section):
    title: str
    context: str
    text: str
    answer: str


class _ExampleForm(Section):
    text: str
    title: str = ""
    context: str = ""
    triples: tuple[tuple[str, str, str], ...]


class _LookForm(Section):
    instructions: str
    question: str
    word: str
    end: str


class _TunedForm(Section):
    relations: str
    line: str


class _ReviewForm(Section):
    title: str
    context: str


class _PromptForm(Section):
    instructions: str
    open_instructions: str
    relation_separator: str
    relation_with_description: str
    labels: _LabelsForm
    forms: Mapping[FormName, str] = MappingProxyType({})
    empty: str = ""
    examples: tuple[_ExampleForm, ...] = ()
    second_look: _LookForm | None = None
    tuned: _TunedForm | None = None
    known_sentence: str = ""
    review: _ReviewForm | None = None


def load_prompts(folder: str | Path) -> Mapping[Lang, Prompt]:
    """The prompts of the folder that the setting `prompt.dir` names.

    A language that a user's own folder lacks is asked with the shipped prompt.

    Raises:
        UsageError: there is no such folder.
        InputError: a file of the folder cannot be used, or an example is not verbatim in its own text.
    """
    home = find_conf(folder, kind="prompt folder")
    if not home.is_dir():
        raise InputError(str(home), "is a file; prompts are a folder with one file per language", "Name the folder.")
    names = [f"{lang}.yaml" for lang in LANGS]
    there = sorted(path.name for path in home.iterdir() if path.suffix in {".yaml", ".yml"})
    for name in there:
        if name not in names:
            raise InputError(str(home / name), "is not named after a language", nearest(name, names))
    if not there:
        raise InputError(str(home), "holds no prompt", f"It wants one of {', '.join(names)}.")
    shipped = conf_dir() / "prompts"
    return {lang: _load(lang, home if f"{lang}.yaml" in there else shipped, shipped) for lang in LANGS}


def _load(lang: Lang, home: Path, shipped: Path) -> Prompt:
    file = home / f"{lang}.yaml"
    form = read_yaml_as(file, _PromptForm, "prompt")
    if form.instructions.count(_PLACE) != 1:
        reason = f"`instructions` must hold {_PLACE} once, where the list of relations goes"
        raise InputError(str(file), reason, _SEE)
    said = {"instructions": form.instructions, "open_instructions": form.open_instructions}
    for name, text in said.items():
        if FORM in text and not form.forms:
            raise InputError(str(file), f"`{name}` holds {FORM}, and there are no `forms`", _SEE)
        if EMPTY in text and not form.empty:
            raise InputError(str(file), f"`{name}` holds {EMPTY}, and there is no `empty`", _SEE)
    for key, place, value in (("forms", FORM, form.forms), ("empty", EMPTY, form.empty)):
        if value and not any(place in text for text in said.values()):
            raise InputError(str(file), f"`{key}` is used by no instructions: none holds {place}", _SEE)
    examples = tuple(Example(e.text, e.title, e.context, e.triples) for e in form.examples)
    for number, example in enumerate(examples, start=1):
        check_spans(example, f"{file}, example {number}")
    look, tuned = _look_words(file, form), _tuned_words(file, form)
    sentence, review = form.known_sentence.strip(), _review_words(form)
    if look is None or tuned is None or not sentence or review is None:
        shown = shipped / file.name
        of_project = read_yaml_as(shown, _PromptForm, "prompt")
        look, tuned = look or _look_words(shown, of_project), tuned or _tuned_words(shown, of_project)
        sentence, review = sentence or of_project.known_sentence.strip(), review or _review_words(of_project)
    if look is None or tuned is None or not sentence or review is None:
        lacking = "lacks `second_look`, `tuned`, `known_sentence` or `review`"
        raise InputError(str(shipped / file.name), lacking, "Install triplelake anew.")
    return Prompt(
        lang=lang,
        file=file,
        shipped=home.resolve() == shipped.resolve(),
        instructions=form.instructions.strip(),
        open_instructions=form.open_instructions.strip(),
        relation_separator=form.relation_separator,
        relation_with_description=form.relation_with_description,
        labels=_labels(form),
        examples=examples,
        look=look,
        tuned=tuned,
        known_sentence=sentence,
        review=review,
        forms=form.forms,
        empty=form.empty,
    )


def _labels(form: _PromptForm) -> Labels:
    return Labels(form.labels.title, form.labels.context, form.labels.text, form.labels.answer)


def _review_words(form: _PromptForm) -> Mapping[str, str] | None:
    return form.review.model_dump() if form.review else None


def _tuned_words(file: Path, form: _PromptForm) -> TunedWords | None:
    """What a file tells a tuned model; None where it says nothing of that."""
    said = form.tuned
    if said is None:
        return None
    for name, text, wanted in (("relations", said.relations, 1), ("line", said.line, 0)):
        if text.count(_PLACE) != wanted or not text.strip():
            reason = f"`tuned.{name}` must be a line that holds {_PLACE} {'once' if wanted else 'nowhere'}"
            raise InputError(str(file), reason, _SEE)
    return TunedWords(said.relations.strip(), said.line.strip())


def _look_words(file: Path, form: _PromptForm) -> LookWords | None:
    """How a file asks about single triples; None where it says nothing of that."""
    said = form.second_look
    if said is None:
        return None
    if place := next((place for place in LOOK_PLACES if said.question.count(place) != 1), None):
        raise InputError(str(file), f"`second_look.question` must hold {place} once", _SEE)
    for name, text in (("word", said.word), ("end", said.end)):
        if not text.strip() or not text.isprintable():
            raise InputError(str(file), f"`second_look.{name}` must be a word or a mark in one line", _SEE)
    return LookWords(said.instructions.strip(), said.question.strip(), said.word, said.end, _labels(form))
