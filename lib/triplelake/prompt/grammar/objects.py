"""The objects that a relation's pattern leaves of a request's material."""

from __future__ import annotations

from functools import lru_cache

import regex

from triplelake.prompt.grammar.spans import Material


def matching_objects(pattern: str, material: Material) -> tuple[str, ...]:
    """All entities of the material that `pattern` matches as a whole, each once, in order of appearance.

    A span is grown unit by unit only while it may still become a match, so that the cost is about one
    look per unit of the text, plus one per unit of what is found.
    """
    compiled = _compiled(pattern)
    found: dict[str, None] = {}
    for start, reach in enumerate(material.reaches):
        first = material.units[start]
        if not reach or first is None or not _may_begin(pattern, first):
            continue
        surface = ""
        for at in range(start, reach):
            surface += material.units[at] or ""
            match = compiled.fullmatch(surface, partial=True)
            if match is None:
                break
            if not match.partial and material.ends[at]:
                found[surface] = None
    return tuple(found)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> regex.Pattern[str]:
    return regex.compile(pattern)


@lru_cache(maxsize=1 << 16)
def _may_begin(pattern: str, unit: str) -> bool:
    """Whether a match may begin with the unit; most units of a text come again and again."""
    return _compiled(pattern).fullmatch(unit, partial=True) is not None
