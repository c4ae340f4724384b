"""How an answer is written: triples one after another, or grouped by their subjects or their relations.

All forms but one are compact JSON. In `lines` each triple is a line `subject|relation|object`.

A form is what stands around the strings of a triple and around the triples. Examples, grammars and the wording of a
prompt are made from it; an answer is read whatever form it has (`triplelake.triples.parse`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from triplelake.types import Lang

FormName = Literal["arrays", "objects", "subjects", "relations", "lines"]
Said: TypeAlias = tuple[str, str, str]
"""Subject, relation and object as an answer says them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """What every form has.

    Args:
        name: as a profile names it.
        opening, separator, closing: around all of an answer, and between its triples or groups.
        none: by language, the word that is the answer without triples; of JSON it is what stands around an answer.
        bar: a mark that ends a string, so that within one it is written as JSON writes any character, by its number.
        end: what a model says behind an answer and a stop takes away, where it knows no turn to end.
    """

    name: FormName
    opening: str
    closing: str
    separator: str = ","
    none: Mapping[Lang, str] = field(default_factory=dict, hash=False)
    bar: str = ""
    end: str = ""

    def empty(self, lang: Lang) -> str:
        """The answer without triples."""
        return self.none.get(lang, self.opening + self.closing)

    def barred(self, text: str) -> str:
        """The inside of a JSON string as it stands in an answer."""
        return text.replace(self.bar, f"\\u{ord(self.bar):04x}") if self.bar else text

    def inside(self, text: str) -> str:
        """A string as it stands in an answer."""
        return self.barred(json.dumps(text, ensure_ascii=False)[1:-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed(_Form):
    """Triples one after another.

    Args:
        joints: before the subject, between subject and relation, between relation and object, after the object;
            the strings themselves are JSON without their quotation marks.
    """

    joints: tuple[str, str, str, str]

    def write(self, triples: Iterable[Said], relations: Sequence[str] = (), *, lang: Lang = "en") -> str:
        """An answer of these triples, in their order; `relations` says nothing here.

        Args:
            lang: of the text; it tells the word for no triples.
        """
        said = self.separator.join(map(self._triple, triples))
        return self.opening + said + self.closing if said else self.empty(lang)

    def _triple(self, triple: Said) -> str:
        before, to_relation, to_object, after = self.joints
        subject, relation, obj = map(self.inside, triple)
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

    def write(self, triples: Iterable[Said], relations: Sequence[str] = (), *, lang: Lang = "en") -> str:
        """An answer of these triples: groups in order of appearance.

        Args:
            relations: in their order; those that it lacks come after them, in order of appearance.
            lang: says nothing here.
        """
        groups: dict[str, list[Said]] = {}
        for triple in triples:
            groups.setdefault(triple[0] if self.key else "", []).append(triple)
        written = []
        for subject, group in groups.items():
            text = self._relations(group, relations)
            if self.key:
                before, after, end = self.key
                text = f"{before}{self.inside(subject)}{after}{text}{end}"
            written.append(text)
        return self.opening + self.separator.join(written) + self.closing

    def _relations(self, triples: Sequence[Said], relations: Sequence[str]) -> str:
        items: dict[str, list[str]] = {name: [] for name in relations}
        for subject, relation, obj in triples:
            item = self.inside(obj) if self.pair is None else f"{self.inside(subject)}{self.pair}{self.inside(obj)}"
            items.setdefault(relation, []).append(item)
        first, between, last = self.joints
        said = (
            f"{self.quote}{self.inside(name)}{first}{between.join(found)}{last}"
            for name, found in items.items()
            if found
        )
        return self.separator.join(said)


AnswerForm: TypeAlias = Listed | Grouped

ARRAYS = Listed(name="arrays", opening="[", joints=('["', '","', '","', '"]'), closing="]")
OBJECTS = Listed(
    name="objects", opening="[", joints=('{"subject":"', '","relation":"', '","object":"', '"}'), closing="]"
)
BY_SUBJECT = Grouped(name="subjects", opening="{", key=('"', '":{', "}"), joints=('":["', '","', '"]'), closing="}")
BY_RELATION = Grouped(name="relations", opening="{", joints=('":[["', '"],["', '"]]'), pair='","', closing="}")
LINES = Listed(
    name="lines",
    opening="",
    joints=("", "|", "|", ""),
    closing="",
    separator="\n",
    none={"zh-Hans": "无", "zh-Hant": "無", "en": "none"},
    bar="|",
)
FORMS: Mapping[FormName, AnswerForm] = {form.name: form for form in (ARRAYS, OBJECTS, BY_SUBJECT, BY_RELATION, LINES)}
