"""The objects that a relation's pattern leaves of a request's material."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import regex

from triplelake.prompt.grammar.spans import Material


def matching_objects(pattern: str, material: Material) -> tuple[str, ...]:
    """All entities of the material that `pattern` matches as a whole, each once, in order of appearance.

    A span is grown unit by unit only while it may still become a match, so that the cost is about one
    look per unit of the text, plus one per unit of what is found.
    """
    found: dict[str, None] = {}
    for start, reach in enumerate(material.reaches):
        if not reach:
            continue
        surface = ""
        for at in range(start, reach):
            surface += material.units[at] or ""
            match = _match(pattern, surface)
            if match is None:
                break
            if match == "whole" and material.ends[at]:
                found[surface] = None
    return tuple(found)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> regex.Pattern[str]:
    return regex.compile(pattern)


# Most spans that are looked at have one or two units, and come again and again in a language.
@lru_cache(maxsize=1 << 16)
def _match(pattern: str, surface: str) -> Literal["whole", "part"] | None:
    """Whether the pattern matches the surface as a whole, or may do so when it goes on."""
    match = _compiled(pattern).fullmatch(surface, partial=True)
    return None if match is None else "part" if match.partial else "whole"
