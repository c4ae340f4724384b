"""Lines and texts made by hand."""

from __future__ import annotations

from typing import Any

from triplelake.prompt.profile import ModelProfile
from triplelake.training.lines import Line, MadeLine
from triplelake.training.texts import KnownText
from triplelake.triples.identity import text_hash

PROFILE = ModelProfile("own", "text", prefix="<|user|>\n", suffix="<|end|>\n<|bot|>\n", instructions="line")


def made(text: str, *relations: str, document: str | None = None, lang: Any = "zh-Hans") -> MadeLine:
    """A line about a text, with a fact for each relation."""
    facts = tuple(("甲", relation, "乙") for relation in relations)
    line = Line(
        id=text_hash(text), lang=lang, text=text, title="", context="", facts=facts, prompt=text, answer="", origin="x"
    )
    return MadeLine(line, relations, text if document is None else document)


def known(text: str, *facts: tuple[str, str, str], lang: Any = "zh-Hans", **changes: Any) -> KnownText:
    """A text whose facts are all known."""
    return KnownText(
        **{"origin": "gold:g", "document": text, "is_complete": True, **changes}, text=text, lang=lang, facts=facts
    )
