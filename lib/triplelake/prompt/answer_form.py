"""How an answer is written: triples one after another, or grouped by their subjects or their relations; compact JSON.

A form is what stands around the strings of a triple and around the triples. Examples, grammars and the wording of a
prompt are made from it; an answer is read whatever form it has (`triplelake.triples.parse`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

FormName = Literal["arrays", "objects", "subjects", "relations"]
Said: TypeAlias = tuple[str, str, str]
"""Subject, relation and object as an answer says them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """What every form has.

    Args:
        name: as a profile names it.
        opening, separator, closing: around all of an answer, and between its triples or groups.
    """

    name: FormName
    opening: str
    closing: str
    separator: str = ","

    @property
    def empty(self) -> str:
        """The answer without triples."""
        return self.opening + self.closing


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed(_Form):
    """Triples one after another.

    Args:
        joints: before the subject, between subject and relation, between relation and object, after the object;
            the strings themselves are JSON without their quotation marks.
    """

    joints: tuple[str, str, str, str]

    def write(self, triples: Iterable[Said], relations: Sequence[str] = ()) -> str:
        """An answer of these triples, in their order; `relations` says nothing here."""
        return self.opening + self.separator.join(map(self._triple, triples)) + self.closing

    def _triple(self, triple: Said) -> str:
        before, to_relation, to_object, after = self.joints
        subject, relation, obj = map(_inside, triple)
        return f"{before}{subject}{to_relation}{relation}{to_object}{obj}{after}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouped(_Form):
    """Triples by their subject and then by relation, or by relation alone.

    What they share is said once, and within a group each relation comes at most once, in the order in which the prompt
    lists them. So a model cannot come back to a relation again and again, as it does where triples stand one after
    another; within a relation it may still repeat an item.

    Args:
        joints: of what a relation holds: between the relation and its first item, between two items, after the last.
            An item is an object (`subjects`), or a subject and an object (`relations`).
        pair: between subject and object of an item; None where a group has one subject, which stands before its
            relations between `key`.
        key: what stands around the subject of a group, and what ends the group.
    """

    joints: tuple[str, str, str]
    pair: str | None = None
    key: tuple[str, str, str] | None = None
    quote: str = '"'

    def write(self, triples: Iterable[Said], relations: Sequence[str] = ()) -> str:
        """An answer of these triples: groups in order of appearance.

        Args:
            relations: in their order; those that it lacks come after them, in order of appearance.
        """
        groups: dict[str, list[Said]] = {}
        for triple in triples:
            groups.setdefault(triple[0] if self.key else "", []).append(triple)
        written = []
        for subject, group in groups.items():
            text = self._relations(group, relations)
            if self.key:
                before, after, end = self.key
                text = f"{before}{_inside(subject)}{after}{text}{end}"
            written.append(text)
        return self.opening + self.separator.join(written) + self.closing

    def _relations(self, triples: Sequence[Said], relations: Sequence[str]) -> str:
        items: dict[str, list[str]] = {name: [] for name in relations}
        for subject, relation, obj in triples:
            item = _inside(obj) if self.pair is None else f"{_inside(subject)}{self.pair}{_inside(obj)}"
            items.setdefault(relation, []).append(item)
        first, between, last = self.joints
        said = (
            f"{self.quote}{_inside(name)}{first}{between.join(found)}{last}" for name, found in items.items() if found
        )
        return self.separator.join(said)


AnswerForm: TypeAlias = Listed | Grouped

ARRAYS = Listed(name="arrays", opening="[", joints=('["', '","', '","', '"]'), closing="]")
OBJECTS = Listed(
    name="objects", opening="[", joints=('{"subject":"', '","relation":"', '","object":"', '"}'), closing="]"
)
BY_SUBJECT = Grouped(name="subjects", opening="{", key=('"', '":{', "}"), joints=('":["', '","', '"]'), closing="}")
BY_RELATION = Grouped(name="relations", opening="{", joints=('":[["', '"],["', '"]]'), pair='","', closing="}")
FORMS: Mapping[FormName, AnswerForm] = {form.name: form for form in (ARRAYS, OBJECTS, BY_SUBJECT, BY_RELATION)}


def _inside(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]
