"""Which columns are read: chosen by name before a run starts, or the run does not start."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from itertools import islice

from triplelake.config import CorpusSettings
from triplelake.corpus.markup import first_html
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
    "record_from_fields",
    "refuse_html",
    "sample_lists",
    "sample_names",
    "sample_problems",
    "sample_texts",
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
    return Columns(text, settings.title_column, settings.id_column, settings.keep_columns, html)


def sample_names(split: Split) -> list[str]:
    """The names of the columns in the first records of a split, in the order met.

    A document per file or per line has one column, `text`. Unreadable records are passed over.
    """
    names: dict[str, None] = {}
    for found in islice(read_fields(split), _SAMPLE):
        if isinstance(found, RawRecord):
            names.update(dict.fromkeys(found.fields))
    return list(names)


def sample_lists(split: Split) -> list[str]:
    """The columns that hold lists of objects or texts in the first records of a split."""
    records = [each for each in islice(read_fields(split), _SAMPLE) if isinstance(each, RawRecord)]
    values = ((name, value) for record in records for name, value in record.fields.items())
    return list(dict.fromkeys(name for name, value in values if isinstance(value, list) and any(map(fields_of, value))))


def sample_problems(split: Split) -> list[Rejected]:
    """The first records of a split that cannot be read, of those that `sample_names` looks at."""
    return [found for found in islice(read_fields(split), _SAMPLE) if isinstance(found, Rejected)][:3]


def sample_texts(split: Split, column: str) -> list[str]:
    """The texts of the first records of a split, of those that `sample_names` looks at."""
    found = [each.fields.get(column) for each in islice(read_fields(split), _SAMPLE) if isinstance(each, RawRecord)]
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
    single = [(key, getattr(settings, key)) for key in ("text_column", "id_column", "title_column")]
    named = [(key, name) for key, name in single if name is not None]
    return named + [("keep_columns", name) for name in settings.keep_columns]
