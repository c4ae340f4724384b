"""What a form is: the files that it makes, and how rows become their text.

The text of a row depends on that row alone, so that Spark's tasks can make it, and whoever writes the file holds no
more than a batch of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

import pyarrow as pa

from triplelake.export.iris import Names
from triplelake.prompt.ontology import Ontology

Row = Mapping[str, Any]

Source = Literal["rows", "entities"]
"""What a part of a file is made of: the facts or triples; or their subjects and objects, each once, with the columns
`entity_id`, `name` and `type`."""

LIST_SEPARATOR = ";"


@dataclass(frozen=True, slots=True)
class Lines:
    """The text of some rows.

    Args:
        rows: how many.
        marks: how often the form had to change or mark something, as its `note` tells.
    """

    text: str
    rows: int
    marks: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a file; `lines` can be pickled."""

    source: Source
    lines: Callable[[Sequence[Row]], Lines]


@dataclass(frozen=True, slots=True)
class File:
    """A file and what it holds, in order.

    Args:
        name: in the folder of the export; empty where the export is one file.
    """

    name: str
    parts: tuple[Part, ...]
    head: str = ""
    foot: str = ""


class Form(Protocol):
    """A form of export."""

    def files(self, columns: pa.Schema) -> tuple[File, ...]:
        """The files that rows with these columns become."""

    def note(self, marks: int) -> str:
        """What a person should know of the marks; empty if nothing."""


@dataclass(frozen=True, slots=True)
class FormOptions:
    """What a person can ask of the forms; each form takes what concerns it.

    Args:
        names: the IRIs of RDF.
        ontology: names the relations, each in the languages that it has; None: they have no names.
        plain: CSV without byte order mark and apostrophes.
    """

    names: Names
    ontology: Ontology | None = None
    plain: bool = False


@dataclass(frozen=True, slots=True)
class FormKind:
    """A form as it is offered, and what must be known of it before it is made.

    Args:
        name: what `--format` calls it.
        ending: of its file; empty where it makes a folder.
        make: the form itself, as the options say.
        folder: the names of the files in its folder; empty where it makes one file.
        tool: what reads its folder, in words for a person.
        names_relations: whether it writes the names of relations, so that an ontology has to be found.
        load: the command line that loads what was written, by its path and the marks; None where there is none.
    """

    name: str
    ending: str
    make: Callable[[FormOptions], Form]
    folder: frozenset[str] = frozenset()
    tool: str = ""
    names_relations: bool = False
    load: Callable[[Path, int], str] | None = None


def plain(value: object) -> object:
    """A value as files of text hold it: a time in ISO 8601, a list joined, true and false in small letters."""
    match value:
        case datetime():
            return value.isoformat()
        case list():
            return LIST_SEPARATOR.join(map(str, value))
        case bool():
            return "true" if value else "false"
        case _:
            return value
