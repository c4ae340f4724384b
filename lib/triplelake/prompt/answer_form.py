"""How an answer is written: triples as arrays or as objects, both compact JSON.

A form is what stands around the strings of a triple and around the triples. Examples, grammars and the wording of a
prompt are made from it; an answer is read whatever form it has (`triplelake.triples.parse`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

FormName = Literal["arrays", "objects"]


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """What is written around the three strings of a triple, and around all triples.

    Args:
        name: as a profile names it.
        joints: before the subject, between subject and relation, between relation and object, after the object;
            the strings themselves are JSON without their quotation marks.
    """

    name: FormName
    joints: tuple[str, str, str, str]
    opening: str = "["
    separator: str = ","
    closing: str = "]"

    @property
    def empty(self) -> str:
        """The answer without triples."""
        return self.opening + self.closing

    def write(self, triples: Iterable[tuple[str, str, str]]) -> str:
        """An answer of these triples."""
        return self.opening + self.separator.join(map(self._triple, triples)) + self.closing

    def _triple(self, triple: tuple[str, str, str]) -> str:
        before, to_relation, to_object, after = self.joints
        subject, relation, obj = (json.dumps(text, ensure_ascii=False)[1:-1] for text in triple)
        return f"{before}{subject}{to_relation}{relation}{to_object}{obj}{after}"


ARRAYS = AnswerForm("arrays", ('["', '","', '","', '"]'))
OBJECTS = AnswerForm("objects", ('{"subject":"', '","relation":"', '","object":"', '"}'))
FORMS: Mapping[FormName, AnswerForm] = {form.name: form for form in (ARRAYS, OBJECTS)}
