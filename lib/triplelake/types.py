"""The value objects that cross the walls between rooms. All offsets count Unicode code points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from triplelake.codes import Code

Lang = Literal["zh-Hans", "zh-Hant", "en"]
"""The language a text is asked in: Simplified Chinese, Traditional Chinese, English."""

LANGS: tuple[Lang, ...] = get_args(Lang)


@dataclass(frozen=True, slots=True)
class LanguageTraits:
    """What every room may ask about a language.

    Args:
        suffix: what its keys in an ontology file end with.
        twin: the same language in its other script; None where it is written in one.
        from_twin: OpenCC's name of the conversion from the twin; empty where there is none.
    """

    suffix: str
    twin: Lang | None = None
    from_twin: str = ""


TRAITS: Mapping[Lang, LanguageTraits] = {
    "zh-Hans": LanguageTraits("zh", twin="zh-Hant", from_twin="t2s"),
    "zh-Hant": LanguageTraits("zh_hant", twin="zh-Hans", from_twin="s2t"),
    "en": LanguageTraits("en"),
}

PageLang = Literal["zh", "en"]
"""The language in which a page or a plot speaks to people; Chinese is Simplified there."""

GrammarEngine = Literal["llguidance", "gbnf"]
"""What makes a llama.cpp server keep to a grammar. A run uses the first of them that all its servers have."""

SpanSource = Literal["chunk", "title", "context"]
Grounding = Literal["exact", "normalised", "none"]
AttemptStatus = Literal["ok", "empty", "failed"]
DocumentState = Literal["planned", "published", "removed", "rejected"]
RunCommand = Literal["extract", "probe", "republish", "maintain", "upgrade"]
RunStatus = Literal["succeeded", "budget_spent", "failed", "interrupted"]

Flag = Literal["not_in_chunk", "pattern_conflict", "pronoun_object", "pronoun_subject", "type_conflict"]
"""What a reader of a triple should doubt.

- `not_in_chunk`: both arguments stand in title or context only.
- `pattern_conflict`: the object has not the form that the relation's pattern asks for.
- `pronoun_object`, `pronoun_subject`: the argument is a pronoun.
- `type_conflict`: the types contradict another triple of the answer.
"""


@dataclass(frozen=True, slots=True)
class Record:
    """A record as a reader found it, before it has an identity.

    Args:
        source: the file or table it came from.
        place: where in the source, for a person: `line 12`, `item 3`, `byte 4096`; may be empty.
        text: the text to read, non-empty, no lone surrogates.
        title: the document's title, if a title column was named.
        id: the value of the id column, if one was named.
        meta: the kept columns, as text.
    """

    source: str
    place: str
    text: str
    title: str | None = None
    id: str | None = None
    meta: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that could not be read: where it stands and why.

    Args:
        lines: of its source that are lost with it.
        cut: nothing of its source was read from here on, so more may be lost than is known.
    """

    source: str
    place: str
    reason: str
    lines: int = 1
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Chunk:
    """A slice `[char_start, char_end)` of a document's text, with what precedes it.

    Args:
        ordinal: its rank in the document, from 0.
        text: exactly `document.text[char_start:char_end]`.
        context: exactly the `len(context)` code points before `char_start`; may be empty.
        lang: the language that it is asked in.
        est_tokens: estimated tokens of text and context.
    """

    ordinal: int
    char_start: int
    char_end: int
    text: str
    context: str
    lang: Lang
    est_tokens: int


@dataclass(frozen=True, slots=True)
class Request:
    """One question to the pool: a chunk with its title and context. Content-addressed by `request_id`."""

    request_id: str
    text: str
    title: str
    context: str
    lang: Lang


@dataclass(frozen=True, slots=True)
class Completion:
    """What a server answered.

    Args:
        text: the decoded text, as sent.
        truncated: the server stopped for want of tokens or context, not because the answer ended.
        prompt_tokens: tokens of the prompt, cached ones included.
        cached_tokens: those of them found in the slot's KV cache.
        completion_tokens: tokens decoded.
        latency_ms: from sending the request to holding the whole answer.
        model: the model's alias as the answer itself names it.
        endpoint: base URL of the server that answered.
        token_logprobs: per decoded token, the natural logarithm of the probability that the model gave it, whatever
            the grammar allowed; empty where it was not asked for.
        token_chars: per decoded token, the characters of `text` that begin with it.
        left: the server was left where the answer began to repeat itself.
    """

    text: str
    truncated: bool
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    latency_ms: float
    model: str
    endpoint: str
    token_logprobs: tuple[float, ...] = ()
    token_chars: tuple[int, ...] = ()
    left: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """A run of code points `[start, end)` of a request's chunk, title or context."""

    source: SpanSource
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Triple:
    """A grounded triple relative to its request.

    Args:
        subject, object: the surfaces, verbatim where `grounding` is not `none`.
        predicate: the relation's id, or the free predicate in open mode.
        subject_type, object_type: types by the relation's signature, or None.
        subject_span, object_span: None exactly where `grounding` is `none`.
        evidence: the sentence(s) of the chunk that hold the arguments found in it.
        span_ambiguous: the surface occurs more than once and the nearest pair was chosen.
        grounding: `exact` (verbatim), `normalised` (after NFKC, case, script folding, or over a line end), `none`.
        flags: what a reader should doubt, sorted.
    """

    subject: str
    predicate: str
    object: str
    subject_type: str | None
    object_type: str | None
    subject_span: Span | None
    object_span: Span | None
    evidence: Span
    span_ambiguous: bool
    grounding: Grounding
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True, slots=True)
class FailedTry:
    """A question that was put to a server and brought no good answer: the server's base URL, and why."""

    endpoint: str
    code: Code


@dataclass(frozen=True, slots=True)
class Attempt:
    """The final outcome of asking one request, retries included. A row of `attempts`.

    Args:
        status: `ok` (triples), `empty` (a good answer without triples), `failed` (see `error_code`).
        completion: the raw answer, also of a failed attempt where there was one.
        error_code: of a failure; `truncated` on an `ok` row whose tail was cut.
        prompt_tokens, cached_tokens, latency_ms: of the good answer, with those of its looks.
        completion_tokens: of all answers, with those of the looks.
        tries: how many times the question was put to a server; looks are not counted.
        failed_tries: those of them that brought no good answer, in order. Of a chunk asked in halves each half has its
            own good answer.
        token_logprobs, token_chars: of the tokens of `completion`, as a `Completion` has them; empty where they were
            not asked for, and of a chunk asked in halves.
        looks: of each triple as `completion` says it, in its order, the log probability with which the model says yes
            where it is asked about it alone; None where it was not asked, or is not known. Empty where no triple was.
    """

    request_id: str
    status: AttemptStatus
    completion: str | None
    triples: tuple[Triple, ...]
    error_code: Code | None
    error_message: str | None
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    latency_ms: float
    tries: int
    failed_tries: tuple[FailedTry, ...]
    endpoint: str | None
    model: str | None
    token_logprobs: tuple[float, ...] = ()
    token_chars: tuple[int, ...] = ()
    looks: tuple[float | None, ...] = ()
