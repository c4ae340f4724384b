"""Which objects each predicate of an answer admits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from triplelake.prompt.grammar.objects import matching_objects
from triplelake.prompt.grammar.spans import Material
from triplelake.prompt.ontology import Ontology
from triplelake.types import Lang

PLAIN_CLASS_EXCLUDES = r'"\\<>\[\]{}|\x00-\x1F\x7F-\x9F'
"""What no entity of a static grammar holds, as both grammar languages write it in a class: what JSON would escape,
and the brackets and bars of which control tokens are made."""


@dataclass(frozen=True, slots=True)
class FreePredicate:
    """What a free predicate is made of: words with a space between them.

    Args:
        chars: of its words, in ranges that both grammar languages read in a class.
        most_chars: of a word.
        most_words: 1 in a language that writes no spaces.
    """

    chars: str
    most_chars: int
    most_words: int = 1


_HAN = FreePredicate("㐀-䶿一-鿿々〇", most_chars=12)
# Latin, Greek, Cyrillic, Kana, Hangul.
_WORDS = FreePredicate("A-Za-zÀ-ÖØ-öø-ɏΑ-ΡΣ-ώА-яЁёҐґІіЇїЄєぁ-ゖァ-ヺ가-힣", most_chars=20, most_words=4)

FREE_PREDICATES: Mapping[Lang, FreePredicate] = {"zh-Hans": _HAN, "zh-Hant": _HAN, "en": _WORDS}
"""What a free predicate is made of in each language."""


@dataclass(frozen=True, slots=True)
class Branch:
    """Predicates that admit the same objects.

    Args:
        predicates: their names, as they stand inside a JSON string; None for free predicates.
        objects: the only objects, or None for any entity.
        ranks: of the predicates in the ontology.
    """

    predicates: tuple[str, ...] | None
    objects: tuple[str, ...] | None = None
    ranks: tuple[int, ...] = ()


def branches(ontology: Ontology | None, lang: Lang, material: Material | None) -> list[Branch]:
    """The predicates shown in `lang`, grouped by the objects that they admit.

    A relation whose pattern nothing in the material matches is left out. Without a material patterns are not
    looked at: the grammar is then the same for all requests.
    """
    if ontology is None:
        return [Branch(predicates=None)]
    matches: dict[str | None, tuple[str, ...] | None] = {None: None}
    grouped: dict[tuple[str, ...] | None, list[tuple[int, str]]] = {}
    for rank, relation in enumerate(ontology.relations):
        pattern = relation.object_pattern if material else None
        if material and pattern is not None and pattern not in matches:
            matches[pattern] = matching_objects(pattern, material)
        objects = matches[pattern]
        if objects != ():
            grouped.setdefault(objects, []).append((rank, _json_text(relation.names[lang])))
    return [
        Branch(tuple(name for _, name in found), objects, tuple(rank for rank, _ in found))
        for objects, found in grouped.items()
    ]


def _json_text(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)[1:-1]
