"""Ways of asking that the product has not: arms of `asking.py` named `EXAMPLES-ANSWER-EMPTY~WAY`, to be measured.

ANSWER may also be a form that only these arms have: `short`, objects with the keys `s`, `r` and `o`.

WAY is one of:

- `as-is`: nothing else; with a form of the product it is the product's own arm.
- `near-K`: the first line of each question, instead of the instructions, names the relations: only those of the K
  likest gold sentences (BM25) and those whose name the text holds, and the grammar admits no others. The beginning of
  the prompt is the same for all texts.
- `list-K`: the same relations, in the instructions: the beginning of the prompt differs from text to text.
- `allow-K`: the same relations for the grammar alone; the prompt names all.
- `two`: the model answers with the relations that occur, and then, in the same conversation, with triples of these.
  Of a chat model with `turns` only.
- `last`: the instructions stand behind each text.
- `limit-F-W`: at most F triples, and one more per W words (characters) of the text, where the product has its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from arms import Outcome, read_ours

from triplelake.config import AnswerSettings
from triplelake.pool.client import LlamaServer
from triplelake.pool.protect import protect
from triplelake.pool.protocol import Finished
from triplelake.prompt.answer_form import ARRAYS, AnswerForm, Listed
from triplelake.prompt.fewshot import Example, answer, find_relation, ordered, usable
from triplelake.prompt.grammar import DIALECTS, names_works, triple_limit
from triplelake.prompt.grammar.branches import branches
from triplelake.prompt.grammar.spans import material
from triplelake.prompt.ontology import Ontology
from triplelake.prompt.parts import Part, question
from triplelake.prompt.profile import BLANK_LINE, ModelProfile
from triplelake.prompt.prompts import Prompt
from triplelake.prompt.retrieval import Gallery
from triplelake.prompt.turns import ServerTemplate, Turns
from triplelake.triples.repeats import Repeats
from triplelake.types import Completion, GrammarEngine, Lang, Request

SIGN = "~"
"""Between the keys of a profile and the way, in the name of an arm."""

SHORT = Listed(name="objects", opening="[", joints=('{"s":"', '","r":"', '","o":"', '"}'), closing="]")
OWN_FORMS: Mapping[str, Listed] = {"short": SHORT}

_WAY = re.compile(r"as-is|two|last|(?:near|list|allow)-[1-9]\d*|limit-[1-9]\d*-[1-9]\d*")
_STRING = r'((?:[^"\\]|\\.)*)'
_TRIPLES = {"short": re.compile(rf'\{{"s":"{_STRING}","r":"{_STRING}","o":"{_STRING}"\}}')}


@dataclass(frozen=True, slots=True)
class _Words:
    """What the ways need to say.

    Args:
        short: how such an answer looks, as `forms` of a prompt file.
        above: where the relations stand, for `{relations}`.
        relations: the label of their line.
        extract: what to do, where the instructions stand behind the texts.
        two: instructions for two answers.
        triples: asks for the second answer.
    """

    short: str
    above: str
    relations: str
    extract: str
    two: str
    triples: str


_WORDS: Mapping[Lang, _Words] = {
    "zh-Hans": _Words(
        'JSON数组[{"s":主体,"r":关系,"o":客体}]',
        "题目里列出的",
        "关系：",
        "从文本中抽取事实。",
        "先列出文本说明了哪些关系，写成JSON数组，关系只能是：{relations}。再只用这些关系抽取事实，写成{form}。"
        "主体和客体是文本、标题或上文里的原词。否认、计划或不确定的事不抽取，没有事实就回答[]。",
        "三元组：",
    ),
    "zh-Hant": _Words(
        'JSON陣列[{"s":主體,"r":關係,"o":客體}]',
        "題目裡列出的",
        "關係：",
        "從文本中擷取事實。",
        "先列出文本說明了哪些關係，寫成JSON陣列，關係只能是：{relations}。再只用這些關係擷取事實，寫成{form}。"
        "主體和客體是文本、標題或上文裡的原詞。否認、計畫或不確定的事不擷取，沒有事實就回答[]。",
        "三元組：",
    ),
    "en": _Words(
        'a JSON array [{"s": subject, "r": relation, "o": object}]',
        "those listed above the text",
        "Relations: ",
        "Extract the facts of the text.",
        "First name the relations that the text states, as a JSON array; a relation is one of: {relations}. Then "
        "extract the facts of these relations as {form}. Subject and object are words of the text, the title or the "
        "context. Leave out what is denied, planned or uncertain; without facts answer [].",
        "Triples:",
    ),
}


@dataclass(frozen=True, slots=True)
class Way:
    """An arm that the product has not.

    Args:
        profile: `EXAMPLES-ANSWER-EMPTY`, with a form of the product in place of `short`.
        own: the form of its answers, if the product has none of that name.
        kind: what stands behind the sign, without its numbers.
    """

    profile: str
    own: str | None
    kind: str
    numbers: tuple[int, ...]

    @property
    def by_text(self) -> bool:
        """Whether gold sentences tell which relations a text may have."""
        return self.kind in ("near", "list", "allow")

    def most(self, words: int, lang: Lang, settings: AnswerSettings) -> int:
        """Triples of an answer to a text of so many words."""
        if self.kind != "limit":
            return triple_limit(words, lang, settings)
        first, per = self.numbers
        return min(settings.max_triples, first + words // per)


def is_otherwise(name: str) -> bool:
    """Whether an arm is one of these."""
    return SIGN in name


def read_way(name: str) -> Way | None:
    """What the name of such an arm says; None if it says nothing."""
    base, _, way = name.partition(SIGN)
    keys = base.split("-")
    if len(keys) != 3 or not _WAY.fullmatch(way):
        return None
    own = keys[1] if keys[1] in OWN_FORMS else None
    if own:
        keys[1] = OWN_FORMS[own].name
    kind, *numbers = [way] if way == "as-is" else way.split("-")
    return Way("-".join(keys), own, kind, tuple(map(int, numbers)))


def read_triples(own: str, text: str) -> list[tuple[str, str, str]]:
    """The whole triples of an answer in such a form."""
    found = [match.groups() for match in _TRIPLES[own].finditer(text)]
    return [(_unescaped(subject), _unescaped(relation), _unescaped(obj)) for subject, relation, obj in found]


def as_arrays(way: Way, completion: Completion) -> Completion:
    """An answer in the form that everything else reads."""
    if way.own is None:
        return completion
    return replace(completion, text=ARRAYS.write(read_triples(way.own, completion.text)))


class OwnRepeats:
    """As `Repeats`, of an answer in such a form."""

    def __init__(self, own: str) -> None:
        self._own = own

    def __call__(self, text: str) -> Finished | None:
        seen: set[tuple[str | None, ...]] = set()
        end = 0
        for match in _TRIPLES[self._own].finditer(text):
            if match.groups() in seen:
                return Finished(text[:end] + OWN_FORMS[self._own].closing, end)
            seen.add(match.groups())
            end = match.end()
        return None


class Otherwise:
    """One of these ways, for one ontology.

    Args:
        gold: sentences of which the likest tell the relations of a text, where a way asks for them.
        template: of a chat model; None for a base model.
    """

    def __init__(
        self,
        way: Way,
        server: LlamaServer,
        engine: GrammarEngine,
        prompt: Prompt,
        ontology: Ontology,
        profile: ModelProfile,
        template: ServerTemplate | None,
        settings: AnswerSettings,
        gold: Sequence[Example],
    ) -> None:
        if way.kind == "two" and template and profile.examples != "turns":
            raise SystemExit("two answers to a question need turns, or a base model")
        self._way = way
        self._server = server
        self._engine = engine
        self._ontology = ontology
        self._settings = settings
        self._lang = lang = prompt.lang
        self._words = words = _WORDS[lang]
        self._labels = prompt.labels
        self._separator = prompt.relation_separator
        self._form: AnswerForm = OWN_FORMS[way.own] if way.own else profile.form
        self._is_chat = template is not None
        self._turns = _turns(profile, template, prompt)
        self._stop = profile.ends
        if way.own:
            prompt = replace(prompt, forms={profile.answer: words.short})
        if way.kind == "near":
            told = prompt.instructions.replace("：{relations}", words.above).replace(": {relations}", f" {words.above}")
            prompt = replace(prompt, instructions=told)
        if way.kind == "two":
            prompt = replace(prompt, instructions=words.two)
        self._prompt = prompt.filled(profile)
        self._examples = ordered(usable(prompt.examples, profile), None)
        self._gallery = Gallery({lang: gold}, way.numbers[0]) if way.by_text else None
        self._prefix = self._begin(ontology)

    def complete(self, request: Request) -> Completion:
        """The answer, as it comes."""
        chosen = self._chosen(request.text)
        prefix = self._begin(chosen) if self._way.kind == "list" else self._prefix
        parts = (Part(prefix), *self._question(request, chosen))
        if self._way.kind != "two":
            return self._ask((*parts, Part(self._turns.asked)), self._grammar(request, chosen))
        begun = self._first(self._turns.asked)
        first = self._ask((*parts, Part(begun)), _names_grammar(self._engine, chosen, self._lang))
        names = tuple(json.loads(first.text)) if not first.truncated else ()
        if not names:
            return first
        occurring = _only(self._ontology, lambda relation: relation in names, self._lang)
        said = Part(f"{begun}{first.text}{self._between(self._turns.asked)}")
        second = self._ask((*parts, said), self._grammar(request, occurring))
        return replace(
            second,
            prompt_tokens=first.prompt_tokens + second.prompt_tokens,
            cached_tokens=first.cached_tokens + second.cached_tokens,
            completion_tokens=first.completion_tokens + second.completion_tokens,
            latency_ms=first.latency_ms + second.latency_ms,
        )

    def ask(self, request: Request) -> Outcome:
        """The answer, read."""
        return read_ours(request, as_arrays(self._way, self.complete(request)), self._ontology, self._settings)

    def _ask(self, parts: Iterable[Part], grammar: str) -> Completion:
        return self._server.complete(
            protect(parts, self._server.tokenize),
            grammar=grammar,
            max_tokens=self._settings.max_tokens,
            stop=self._stop,
            probabilities=True,
            watch=OwnRepeats(self._way.own) if self._way.own else Repeats(),
        )

    def _chosen(self, text: str, own: Iterable[str] = ()) -> Ontology:
        """The ontology with only what can occur in a text.

        Args:
            own: relations of the text that are known.
        """
        if self._gallery is None:
            return self._ontology
        near = self._gallery.nearest(Request("", text, "", "", self._lang))
        names = self._names([*own, *(relation for example in near for _, relation, _ in example.triples)])
        return _only(self._ontology, lambda name: name in names or name in text, self._lang)

    def _begin(self, shown: Ontology) -> str:
        """What stands before the question."""
        instructions = self._prompt.instruct(shown)
        if self._way.kind == "last":
            instructions = self._words.extract
        turns = self._turns
        said = []
        for example in self._examples:
            own = [relation for _, relation, _ in example.triples]
            asked = Request("", example.text, example.title, example.context, self._lang)
            written = answer(example, self._ontology, self._lang, self._form)
            if self._way.kind == "two":
                names = self._names(own)
                before = f"{self._first(turns.to_answer)}{json.dumps(names, ensure_ascii=False, separators=(',', ':'))}"
                # Without relations nothing is asked about them, as it is with the text that is asked.
                written = f"{before}{self._between(turns.to_answer)}{written}" if names else before
            else:
                written = turns.to_answer + written
            shown_with = self._chosen(example.text, own) if self._way.kind == "near" else self._ontology
            lines = "".join(part.text for part in self._question(asked, shown_with))
            said.append(f"{lines}{written}{turns.to_next}")
        return f"{turns.opening}{instructions}{turns.to_question}{''.join(said)}"

    def _names(self, relations: Iterable[str]) -> list[str]:
        """Their names, each once, in the order of the ontology."""
        found = [find_relation(self._ontology, self._lang, each) for each in relations]
        return [each.names[self._lang] for each in self._ontology.relations if each in found]

    def _question(self, request: Request, shown: Ontology) -> tuple[Part, ...]:
        parts = question(self._labels, request.title, request.context, request.text)
        if self._way.kind == "near":
            names = self._separator.join(relation.names[self._lang] for relation in shown.relations)
            return (Part(f"{self._words.relations}{names}\n"), *parts)
        if self._way.kind == "last":
            return (*parts, Part(f"\n{self._prompt.instruct(self._ontology)}"))
        return parts

    def _first(self, to_answer: str) -> str:
        """What stands before the first of two answers, where before a single one stands `to_answer`."""
        return to_answer if self._is_chat else f"\n{self._words.relations}"

    def _between(self, to_answer: str) -> str:
        """What stands between the two answers to a question."""
        if self._is_chat:
            return f"{self._turns.to_next}{self._words.triples}{to_answer}"
        return f"\n{self._labels.answer}"

    def _grammar(self, request: Request, allowed_ontology: Ontology) -> str:
        spans = material(request, self._settings.max_entity_chars, quoted=names_works(self._ontology))
        allowed = branches(allowed_ontology, self._lang, spans) if any(spans.reaches) else []
        most = self._way.most(spans.words, self._lang, self._settings)
        return DIALECTS[self._engine].grounded(spans, allowed, self._lang, most, self._form)


def _names_grammar(engine: GrammarEngine, ontology: Ontology, lang: Lang) -> str:
    """The grammar of a JSON array of relations, each at most once, in their order."""
    language = DIALECTS[engine].language
    names = [language.literal(json.dumps(relation.names[lang], ensure_ascii=False)) for relation in ontology.relations]
    rules = [language.define(language.start, '"[" names? "]"')]
    following = [*(f" more{rank}" for rank in range(1, len(names))), ""]
    rules.append(
        language.define("names", " | ".join(f"{name}{then}" for name, then in zip(names, following, strict=True)))
    )
    for rank, (name, then) in enumerate(zip(names, following, strict=True)):
        if rank:
            rules.append(language.define(f"more{rank}", f'("," {name})?{then}'))
    return language.header + "\n".join((*rules, ""))


def _only(ontology: Ontology, wanted: Callable[[str], bool], lang: Lang) -> Ontology:
    """The ontology with the relations that are wanted; all of them where none is."""
    kept = tuple(relation for relation in ontology.relations if wanted(relation.names[lang]))
    return replace(ontology, relations=kept or ontology.relations)


def _turns(profile: ModelProfile, template: ServerTemplate | None, prompt: Prompt) -> Turns:
    label = f"\n{prompt.labels.answer}"
    if template is not None and profile.examples == "turns":
        assert template.turns is not None  # an arm with turns is asked where there are some only
        return template.turns
    before, after = (template.before, template.after) if template else ("", "")
    return Turns(before, BLANK_LINE, label, BLANK_LINE, label + after)


def _unescaped(text: str) -> str:
    value: str = json.loads(f'"{text}"')
    return value
