"""Traditional copies of Simplified lines, so that a model learns both scripts from one."""

from __future__ import annotations

from functools import cache

import opencc

from triplelake.training.lines import MadeLine
from triplelake.training.texts import KnownText


def traditional(made: MadeLine) -> KnownText | None:
    """A Simplified line's text in Traditional Chinese, as OpenCC converts it; None where nothing changes by it."""
    line = made.line
    if line.lang != "zh-Hans" or (text := _convert(line.text)) == line.text:
        return None

    def argument(said: str) -> str:
        # A word is converted by what stands around it, so an argument is taken from where it stands.
        start = line.text.find(said) if len(text) == len(line.text) else -1
        return text[start : start + len(said)] if start >= 0 else _convert(said)

    return KnownText(
        origin=line.origin,
        document=made.document,
        text=text,
        lang="zh-Hant",
        facts=tuple((argument(subject), relation, argument(object)) for subject, relation, object in line.facts),
        is_complete=True,
        title=_convert(line.title),
        context=_convert(line.context),
    )


def _convert(text: str) -> str:
    converted: str = _converter().convert(text)
    return converted


@cache
def _converter() -> opencc.OpenCC:
    return opencc.OpenCC("s2t")
