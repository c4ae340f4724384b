"""How a name is found in a record: as a column of that name, else as a path with dots into its objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

__all__ = ["Absent", "cuts", "look_up", "value_at"]


class Absent(Exception):
    """A record has nothing under a name: the reason, empty where it lacks the column itself."""


def look_up(fields: Mapping[str, object], name: str) -> object:
    """The value under a name.

    A column whose own name is `article.body` wins over `body` inside `article`, at each level.

    Raises:
        Absent: there is none.
    """
    if name in fields:
        return fields[name]
    why = Absent()
    for first, rest in cuts(name):
        if first not in fields:
            continue
        inner = fields[first]
        if isinstance(inner, Mapping):
            try:
                return look_up(inner, rest)
            except Absent:
                pass
        elif not why.args:
            why = Absent(f"`{first}` is no object")
    raise why


def value_at(fields: Mapping[str, object], name: str) -> object:
    """As `look_up`; None where there is nothing."""
    try:
        return look_up(fields, name)
    except Absent:
        return None


def cuts(name: str) -> Iterator[tuple[str, str]]:
    """A name cut in two at each of its dots, the longest first part first."""
    place = name.rfind(".")
    while place >= 0:
        yield name[:place], name[place + 1 :]
        place = name.rfind(".", 0, place)
