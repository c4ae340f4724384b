"""From a raw answer to triples: what `attempts` keeps becomes what `triples` shows, without asking again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import regex

from triplelake.codes import Code
from triplelake.config import AnswerSettings
from triplelake.forms import forms_digest
from triplelake.prompt.grammar.groups import unmarked
from triplelake.prompt.ontology import Ontology, Relation
from triplelake.readings import join_lines
from triplelake.text import comparison_key
from triplelake.triples.facts import Facts
from triplelake.triples.ground import Grounder, span_text
from triplelake.triples.identity import stable_hash
from triplelake.triples.parse import AnswerError, Place, parse_answer
from triplelake.triples.predicates import Predicates, free_predicate
from triplelake.triples.pronouns import is_pronoun
from triplelake.triples.signatures import assign_types
from triplelake.types import Flag, Request, Triple

DERIVATION_VERSION = "2"
"""Raised by whoever changes what the rooms' rules make of a given answer."""


DropReason = Literal["duplicate", "empty", "not_in_chunk", "over_limit", "self_loop", "too_long", "unknown_predicate"]
"""Why a triple of an answer is left out.

- `duplicate`: the answer says the same fact earlier, be it by a symmetric relation or by the inverse one with subject
  and object exchanged.
- `empty`: an argument shows nothing.
- `not_in_chunk`: both arguments stand in title or context only.
- `over_limit`: the answer has more than `answer.max_triples`.
- `self_loop`: subject and object are the same.
- `too_long`: an argument is longer than `answer.max_entity_chars`.
- `unknown_predicate`: the ontology has no such relation.
"""


@dataclass(frozen=True, slots=True)
class Derivation:
    """What an answer gives.

    Args:
        triples: in the order of the answer. Empty where the answer is bad as a whole.
        error_code: None for a good answer; `truncated` where the tail was cut off and the triples
            before it are kept; else a code of `AnswerError`.
        error_message: the error for a person.
        dropped: triples of the answer that were left out, by reason.
        ranks: of each triple, which of the answer's it is, the left out ones counted.
        places: of every triple of the answer, where its strings stand there, as `ParsedAnswer.places`.
    """

    triples: tuple[Triple, ...]
    error_code: Code | None
    error_message: str | None
    dropped: Mapping[DropReason, int]
    ranks: tuple[int, ...] = field(default=(), compare=False)
    places: tuple[tuple[Place, Place, Place], ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class _GroundedTriple:
    """A grounded triple before it is compared with the others of its answer."""

    triple: Triple
    relation: Relation | None
    subject_key: str
    object_key: str


def derive(
    request: Request, completion: str, *, truncated: bool, ontology: Ontology | None, answer: AnswerSettings
) -> Derivation:
    """Parse, ground and normalise one answer.

    The server is not trusted: under `constrain` an argument that the text does not hold verbatim, or a
    predicate outside the ontology, makes the whole answer bad, since the grammar cannot have been in
    force. Under `verify` such a predicate is dropped and counted, and such a triple kept with grounding
    `none` (flag `not_in_chunk` where neither argument stands in the chunk).

    Args:
        truncated: the server stopped before the answer ended.
        ontology: None in open mode, where the predicate is what the answer says.
    """
    return account(request, completion, truncated=truncated, ontology=ontology, answer=answer).derivation


@dataclass(frozen=True, slots=True)
class Account:
    """What became of an answer, triple by triple.

    Args:
        items: the triples of the answer as it says them, each with the triple made of it or the reason why there is
            none (see `Derivation.dropped`). Empty where the answer is bad as a whole.
    """

    items: tuple[tuple[tuple[str, str, str], Triple | DropReason], ...]
    derivation: Derivation


def account(
    request: Request, completion: str, *, truncated: bool, ontology: Ontology | None, answer: AnswerSettings
) -> Account:
    """As `derive`, and tell of each triple."""
    try:
        parsed = parse_answer(completion, truncated=truncated)
        outcomes = _draft_all(request, parsed.items, ontology, answer)
    except AnswerError as error:
        return Account((), Derivation((), error.code, error.message, {}))
    triples = _with_types([outcome for outcome in outcomes if not isinstance(outcome, str)])
    made = iter(triples)
    items = tuple(
        (item, outcome if isinstance(outcome, str) else next(made))
        for item, outcome in zip(parsed.items, outcomes, strict=True)
    )
    dropped = Counter(outcome for outcome in outcomes if isinstance(outcome, str))
    code = None if parsed.complete else Code.TRUNCATED
    message = None if parsed.complete else f"the answer was cut off after {len(parsed.items)} whole triples"
    ranks = tuple(rank for rank, outcome in enumerate(outcomes) if not isinstance(outcome, str))
    return Account(items, Derivation(triples, code, message, dropped, ranks, parsed.places))


def derivation_id(ontology: Ontology | None, answer: AnswerSettings, calibration: str | None = None) -> str:
    """A hash of all that can change the triples made of a given raw answer; stored as `derivation`.

    Args:
        calibration: the identity of what confidence is made with; None for none.
    """
    facts = Facts(ontology)
    relations = [
        {
            "id": relation.id,
            "names": dict(relation.names),
            "aliases": {lang: list(aliases) for lang, aliases in relation.aliases.items()},
            "signatures": [[signature.subject_type, signature.object_type] for signature in relation.signatures],
            "object_pattern": relation.object_pattern,
            "fact": [facts.inverted.get(relation.id, relation.id), relation.symmetric],
        }
        for relation in (ontology.relations if ontology else ())
    ]
    rules = {
        "open": ontology is None,
        "relations": relations,
        "grounding": answer.grounding,
        "max_triples": answer.max_triples,
        "max_entity_chars": answer.max_entity_chars,
    }
    # What has no confidence is named as it was before there was any.
    sure = () if calibration is None else (calibration,)
    return stable_hash(DERIVATION_VERSION, forms_digest(), json.dumps(rules, sort_keys=True, ensure_ascii=False), *sure)


def _draft_all(
    request: Request, items: Sequence[tuple[str, str, str]], ontology: Ontology | None, answer: AnswerSettings
) -> list[_GroundedTriple | DropReason]:
    """Each triple of the answer, grounded, or the reason why it is left out."""
    strict = answer.grounding == "constrain"
    grounder = Grounder(request, folding=not strict)
    predicates = Predicates(ontology, request.lang) if ontology else None
    facts = Facts(ontology)
    outcomes: list[_GroundedTriple | DropReason] = []
    seen: set[tuple[str, str, str]] = set()
    for item in items:
        outcome = _grounded_triple(
            item, request, grounder, predicates, strict=strict, max_chars=answer.max_entity_chars
        )
        if not isinstance(outcome, str):
            fact = facts.fact(outcome.subject_key, outcome.triple.predicate, outcome.object_key)
            if fact in seen:
                outcome = "duplicate"
            elif len(seen) == answer.max_triples:
                outcome = "over_limit"
            else:
                seen.add(fact)
        outcomes.append(outcome)
    return outcomes


def _grounded_triple(
    item: tuple[str, str, str],
    request: Request,
    grounder: Grounder,
    predicates: Predicates | None,
    *,
    strict: bool,
    max_chars: int,
) -> _GroundedTriple | DropReason:
    """One triple of the answer, or the reason to leave it out."""
    name = item[1].strip()
    subject, object = (unmarked(join_lines(part.strip())) for part in (item[0], item[2]))
    relation = predicates.relation(name) if predicates else None
    if predicates and relation is None:
        if strict:
            raise AnswerError(Code.UNKNOWN_PREDICATE, f"`{name}` is not a relation of the ontology")
        return "unknown_predicate"
    predicate = relation.id if relation else free_predicate(name)
    if not (subject and predicate and object):
        return "empty"
    if max(len(subject), len(object)) > max_chars:
        return "too_long"
    found = grounder.ground(subject, object)
    if found.subject and found.object:
        if not found.in_chunk:
            return "not_in_chunk"
        subject, object = span_text(request, found.subject), span_text(request, found.object)
    elif strict:
        raise AnswerError(Code.UNGROUNDED, f"`{subject}` and `{object}` do not both stand in the text")
    subject_key, object_key = comparison_key(subject), comparison_key(object)
    if not (subject_key and object_key):
        return "empty"
    if subject_key == object_key:
        return "self_loop"
    triple = Triple(
        subject=subject,
        predicate=predicate,
        object=object,
        subject_type=None,
        object_type=None,
        subject_span=found.subject,
        object_span=found.object,
        evidence=found.evidence,
        span_ambiguous=found.ambiguous,
        grounding=found.grounding,
        flags=_flags(subject, object, relation, in_chunk=found.in_chunk),
    )
    return _GroundedTriple(triple, relation, subject_key, object_key)


def _flags(subject: str, object: str, relation: Relation | None, *, in_chunk: bool) -> tuple[Flag, ...]:
    pattern = relation.object_pattern if relation else None
    doubts: Mapping[Flag, bool] = {
        "not_in_chunk": not in_chunk,
        "pattern_conflict": pattern is not None and regex.fullmatch(pattern, object) is None,
        "pronoun_object": is_pronoun(object),
        "pronoun_subject": is_pronoun(subject),
    }
    return tuple(flag for flag, raised in doubts.items() if raised)


def _with_types(grounded: Sequence[_GroundedTriple]) -> tuple[Triple, ...]:
    uses = [(each.subject_key, each.relation, each.object_key) for each in grounded]
    return tuple(
        replace(
            each.triple,
            subject_type=typed.subject_type,
            object_type=typed.object_type,
            flags=tuple(sorted({*each.triple.flags, "type_conflict"})) if typed.conflict else each.triple.flags,
        )
        for each, typed in zip(grounded, assign_types(uses), strict=True)
    )
