"""A name that stands twice, in the header of a table or in a JSON object: none of its values is right unasked."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from triplelake.corpus.paths import cuts
from triplelake.errors import InputError

_COPY = re.compile(r"(?P<name>.*)#[0-9]+", re.DOTALL)


def numbered(names: Sequence[str]) -> list[str]:
    """The names, each once: of a name that stands twice `name#1` and `name#2`, with numbers that no other name has."""
    total, taken, last = Counter(names), set(names), Counter[str]()
    found = []
    for name in names:
        made = name
        while total[name] > 1 and made in taken:
            last[name] += 1
            made = f"{name}#{last[name]}"
        taken.add(made)
        found.append(made)
    return found


def object_of(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A JSON object, for `object_pairs_hook`; keys that stand twice are numbered, unless they say the same."""
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    differ = {name for name, value in pairs if not _same(found[name], value)}
    kept = [(name, value) for name, value in pairs if name in differ]
    once = {name: value for name, value in found.items() if name not in differ}
    copies = numbered([*once, *(name for name, _ in kept)])[len(once) :]
    return once | dict(zip(copies, (value for _, value in kept), strict=True))


def copies_of(names: Iterable[str], name: str) -> list[str]:
    """What the copies of a name are called; empty where it does not stand twice."""
    there = list(names)
    if name in there:
        return []
    found = [each for each in there if (copy := _COPY.fullmatch(each)) and copy["name"] == name]
    return found if len(found) > 1 else []


def copies_at(fields: Mapping[str, object], name: str) -> list[str]:
    """The same of a record, where the name may lead into its objects as `paths.look_up` says."""
    if found := copies_of(fields, name):
        return found
    for first, rest in cuts(name):
        inner = fields.get(first)
        found = copies_at(inner, rest) if isinstance(inner, Mapping) else copies_of(fields, first)
        if found:
            return found
    return []


def refuse_copies(names: Sequence[str], wanted: Iterable[tuple[str, str]]) -> None:
    """Refuse a column to be read that stands twice.

    Args:
        names: of the columns that exist.
        wanted: settings, and the column that each names.

    Raises:
        InputError: it does.
    """
    for setting, name in wanted:
        if copies := copies_of(names, name):
            option = f"--{setting.replace('_', '-')} {shlex.quote(copies[0])}"
            raise InputError(
                name,
                f"stands {'twice' if len(copies) == 2 else f'{len(copies)} times'} in the input (corpus.{setting})",
                f"Its columns are called {', '.join(f'`{each}`' for each in copies)}, as they stand: {option}.",
            )


def _same(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other
