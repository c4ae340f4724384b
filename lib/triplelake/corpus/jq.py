"""The line of `jq` that makes a record of each thing that one record, or one file, holds many of."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from itertools import pairwise

from triplelake.corpus.looks import Look, text_of
from triplelake.corpus.shapes import Each, Way
from triplelake.corpus.shell import made_of, piped

__all__ = ["advice", "program"]

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_JOINED = '| strings] | join("\\n\\n"))'


def advice(way: Way, look: Look, *, many: bool) -> str:
    """What to do with a file where a list or a keyed object is on the way to the text: the command, and what then.

    Args:
        look: the file, JSON or JSON Lines.
        many: it holds several records.
    """
    code, column = program(way, many=many, array=look.format == "json" and _is_array(look))
    cut = max(index for index, step in enumerate(way.steps) if isinstance(step, Each))
    before = ".".join(step for step in way.steps[:cut] if isinstance(step, str))
    where = f" of `{before}`" if before else ""
    if way.steps[cut] is Each.VALUE:
        what = f"The keys{where} are no columns but name documents. A line for each:"
    elif code.endswith(_JOINED):
        what = f"The text lies in a list{f', `{before}`' if before else ''}. Its parts as one text:"
    else:
        what = f"The text lies in a list{f', `{before}`' if before else ''}. A line for each of its items:"
    made = made_of(look, "items.jsonl")
    named = "" if column == "text" else f" --text-column {shlex.quote(column)}"
    line = piped(look, f"jq -c {shlex.quote(code)}", as_utf8=True)
    return f"{what}\n  {line} > {made}\nThen: --input {made}{named}"


def program(way: Way, *, many: bool, array: bool) -> tuple[str, str]:
    """The program that gives a line per document, and the column of its text then.

    What a record says beside its list goes into each item's line. A list of texts, or of what speakers say in turn, is
    one document unless it is all that the file holds.

    Args:
        way: to the text, with a list or a keyed object on it.
        many: the file holds several records.
        array: they are the items of an array.
    """
    cut = max(index for index, step in enumerate(way.steps) if isinstance(step, Each))
    eaches = [index for index, step in enumerate(way.steps[: cut + 1]) if isinstance(step, Each)]
    piped = [".[]"] if array else []
    for before, at in pairwise((-1, *eaches[:-1])):
        piped.append(_each(way, before + 1, at))
    start = eaches[-2] + 1 if len(eaches) > 1 else 0
    keys, rest = _path(way.steps[start:cut]), way.steps[cut + 1 :]
    each = _each(way, start, cut)
    column = ".".join(str(step) for step in rest) or "text"
    several = many or len(eaches) > 1
    if way.steps[cut] is Each.VALUE:
        piped += [keys] if keys else []
        piped += ["objects"] if cut in way.gaps else []
        piped.append("to_entries[]")
        piped += ['select(.value | type == "object")'] if rest and cut in way.mixed else []
        piped.append("{id: .key} + .value" if rest else "{id: .key, text: .value}")
    elif way.is_speech or (not rest and several):
        inside = f" | {_path(rest)}" if " " in each else _path(rest)
        text = f"([{each}{inside if rest else ''} {_JOINED}"
        piped.append(f".text = {text}" if keys else f"{{text: {text}}}")
        column = "text"
    elif keys and rest and several:
        piped.append(f"del({keys}) + {f'({each})' if ' ' in each else each}")
    else:
        piped.append(each)
    return " | ".join(piped), column


def _path(keys: Sequence[str | Each]) -> str:
    """The path of `jq`: `.data."正文"`."""
    names = (key for key in keys if isinstance(key, str))
    return "".join(f".{key}" if _PLAIN.fullmatch(key) else f".{json.dumps(key, ensure_ascii=False)}" for key in names)


def _each(way: Way, start: int, at: int) -> str:
    """All that the steps from `start` to `at`, one into many, lead to."""
    wanted = " | objects" if at in way.mixed and way.steps[at + 1 : at + 2] and way.steps[at + 1] != Each.ITEM else ""
    path = _path(way.steps[start:at])
    if at in way.unlike:
        # `[]` takes lists and objects apart alike.
        kind = "arrays" if way.steps[at] is Each.ITEM else "objects"
        return f"({path} | {kind})[]{wanted}" if path else f"{kind}[]{wanted}"
    return f"{path or '.'}[]{'?' if at in way.gaps else ''}{wanted}"


def _is_array(look: Look) -> bool:
    return text_of(look).lstrip().startswith("[")
