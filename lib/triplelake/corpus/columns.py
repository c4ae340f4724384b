"""Which columns are read: chosen by name before a run starts, or the run does not start."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from itertools import islice

from triplelake.config import CorpusSettings
from triplelake.corpus.markup import first_html
from triplelake.corpus.paths import value_at
from triplelake.corpus.readers import read_fields
from triplelake.corpus.readers.raw import RawRecord
from triplelake.corpus.records import Columns, fields_of, record_from_fields
from triplelake.corpus.splits import Split
from triplelake.errors import InputError
from triplelake.types import Rejected

__all__ = [
    "TEXT_COLUMNS",
    "Columns",
    "choose_columns",
    "first_records",
    "lists_of",
    "names_of",
    "record_from_fields",
    "refuse_html",
    "texts_of",
]

TEXT_COLUMNS = ("sentence", "text", "content", "正文", "内容", "內容")
"""The names that are tried, in this order, when no text column is named."""

_SAMPLE = 100
_SHOWN = 60


def choose_columns(names: Sequence[str], settings: CorpusSettings, lists: Sequence[str] = ()) -> Columns:
    """The columns to read of those that exist.

    Args:
        lists: columns that hold lists of records.

    Raises:
        InputError: a named column does not exist, or none is named and no known name exists.
    """
    there = ", ".join(names) if names else "none: no readable record was found"
    for setting, name in _named(settings):
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
            hint = f"Did you mean `{near[0]}`? " if near else ""
            raise InputError(name, f"no such column in the input (corpus.{setting})", f"{hint}Columns: {there}.")
    text = settings.text_column or next((name for name in TEXT_COLUMNS if name in names), None)
    if text is None:
        remedy = f"Name the column with the text: --text-column NAME. Columns: {there}."
        if lists:
            remedy += f"\n`{lists[0]}` is a list. To read its items: jq -c '.\"{lists[0]}\"[]' FILE > FILE.jsonl"
        raise InputError("corpus.text_column", f"none of the columns {', '.join(TEXT_COLUMNS)} is in the input", remedy)
    html = settings.html_to_text is True
    return Columns(text, settings.title_column, settings.id_columns, settings.keep_columns, html)


def first_records(split: Split) -> list[RawRecord | Rejected]:
    """The first records of a split, readable or not."""
    return list(islice(read_fields(split), _SAMPLE))


def names_of(records: Iterable[RawRecord]) -> list[str]:
    """The names of the columns of records, in the order met.

    A document per file or per line has one column, `text`.
    """
    return list(dict.fromkeys(name for record in records for name in record.fields))


def lists_of(records: Iterable[RawRecord]) -> list[str]:
    """The columns of records that hold lists of objects or texts."""
    values = ((name, value) for record in records for name, value in record.fields.items())
    return list(dict.fromkeys(name for name, value in values if isinstance(value, list) and any(map(fields_of, value))))


def texts_of(records: Iterable[RawRecord], column: str) -> list[str]:
    """What is text in a column of records."""
    found = (value_at(record.fields, column) for record in records)
    return [text for text in found if isinstance(text, str)]


def refuse_html(name: str, texts: Sequence[str]) -> None:
    """Refuse texts that look like HTML, of which nobody has said what to do with it.

    Raises:
        InputError: a tenth of them hold tags.
    """
    if (text := first_html(texts)) is not None:
        raise InputError(
            name,
            "its text looks like HTML",
            f"The first begins: {' '.join(text.split())[:_SHOWN]}\n"
            "--html-to-text keeps what a reader of the page would see; offsets then count in that text.\n"
            "--no-html-to-text asks about the text as it stands, tags and all.",
        )


def _named(settings: CorpusSettings) -> list[tuple[str, str]]:
    named = {
        "text_column": [settings.text_column],
        "id_column": settings.id_columns,
        "title_column": [settings.title_column],
        "keep_columns": settings.keep_columns,
    }
    return [(key, name) for key, names in named.items() for name in names if name is not None]
