"""Which columns are read: chosen by name before a run starts, or the run does not start."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from triplelake.config import CorpusSettings
from triplelake.corpus.copies import refuse_copies
from triplelake.corpus.markup import first_html
from triplelake.corpus.paths import value_at
from triplelake.corpus.readers import read_fields
from triplelake.corpus.readers.raw import RawRecord
from triplelake.corpus.records import Columns, record_from_fields
from triplelake.corpus.shapes import Shape, Way, ways
from triplelake.corpus.splits import Split
from triplelake.errors import InputError
from triplelake.types import Rejected

__all__ = [
    "TEXT_COLUMNS",
    "Columns",
    "choose_columns",
    "first_records",
    "names_of",
    "record_from_fields",
    "refuse_html",
    "texts_of",
]

TEXT_COLUMNS = ("sentence", "text", "content", "正文", "内容", "內容")
"""The names that are tried, in this order, when no text column is named."""

_SAMPLE = 100
_SHOWN = 60
_LISTED = 40


def choose_columns(
    names: Sequence[str], settings: CorpusSettings, shape: Shape | None = None, unfold: Callable[[Way], str] = str
) -> Columns:
    """The columns to read of those that exist; each may be a path into objects, as `paths.look_up` has it.

    Args:
        names: of the columns themselves.
        shape: of the records; columns of which nothing is known if it is left out.
        unfold: what to do where a list or a keyed object is on the way to the text, in a line or two.

    Raises:
        InputError: a named column does not exist, none is named and no known name exists, or what exists is no text.
    """
    refuse_copies(names, _named(settings))
    shape = shape if shape is not None else Shape(fields={name: Shape() for name in names})
    found = ways(shape)
    there = _columns(names, found)
    for setting, name in _named(settings):
        if name not in names and shape.find(name) is None:
            hint = _instead(setting, name, names, found, unfold)
            raise InputError(name, f"no such column in the input (corpus.{setting})", f"{hint}Columns: {there}.")
    text = settings.text_column or next(
        (name for name in TEXT_COLUMNS if name in names and _may_be_text(shape, name)), ""
    )
    if not text:
        refuse_copies(names, (("text_column", name) for name in TEXT_COLUMNS))
        raise _no_text(names, shape, found, unfold)
    if not _may_be_text(shape, text):
        raise _not_text(text, shape, found, unfold)
    html = settings.html_to_text is True
    return Columns(text, settings.title_column, settings.id_columns, settings.keep_columns, html)


def _may_be_text(shape: Shape, name: str) -> bool:
    there = shape.find(name)
    return there is None or not there.is_no_text


def _instead(setting: str, name: str, names: Sequence[str], found: Sequence[Way], unfold: Callable[[Way], str]) -> str:
    """What may be meant by a name that does not exist, up to the list of those that do."""
    inner = sorted((way for way in found if f".{'.'.join(way.names)}".endswith(f".{name}")), key=lambda way: -way.chars)
    paths = [way.path for way in inner if way.path is not None]
    best = _likely(found) if setting != "text_column" else inner[0] if inner else _likely(found)
    if paths:
        return f"It lies inside an object: {_option(setting)} {shlex.quote(paths[0])}\n"
    if best is not None and best.path is None:
        return f"{unfold(best)}\n"
    if inner:
        return "It lies in a list, which has no single value for a record. "
    near = difflib.get_close_matches(name, [*names, *(way.path for way in found if way.path)], n=1, cutoff=0.5)
    return f"Did you mean `{near[0]}`? " if near else ""


def _likely(found: Sequence[Way]) -> Way | None:
    """The way to the text, most likely: what has a known name, a path before a list; else the longest texts."""
    texts = [way for way in found if way.is_text]
    known = [way for name in TEXT_COLUMNS for way in texts if way.names[-1:] == (name,)]
    longest = max(texts, key=lambda way: way.chars, default=None)
    return min(known, key=lambda way: way.path is None, default=longest)


def _no_text(names: Sequence[str], shape: Shape, found: Sequence[Way], unfold: Callable[[Way], str]) -> InputError:
    """The error where no column has a known name: where the text lies, if it can be told."""
    if known := [name for name in TEXT_COLUMNS if name in names]:
        return _not_text(known[0], shape, found, unfold)
    there = _columns(names, found)
    best = _likely(found)
    if best is not None and best.path is None:
        remedy = f"{unfold(best)}\nOr name the column with the text: --text-column NAME. Columns: {there}."
    else:
        name = shlex.quote(best.path) if best is not None and best.path and len(best.steps) > 1 else "NAME"
        remedy = f"Name the column with the text: --text-column {name}. Columns: {there}."
    return InputError("corpus.text_column", f"none of the columns {', '.join(TEXT_COLUMNS)} is in the input", remedy)


def _not_text(name: str, shape: Shape, found: Sequence[Way], unfold: Callable[[Way], str]) -> InputError:
    """The error for a column that holds other values: what lies inside it."""
    there = shape.find(name)
    what = there.kinds.most_common(1)[0][0] if there is not None else "something else"
    inside = [way for way in found if way.is_text and f"{'.'.join(way.names)}.".startswith(f"{name}.")]
    paths = [way.path for way in sorted(inside, key=lambda way: -way.chars) if way.path is not None]
    if paths:
        remedy = f"Name what is inside it: --text-column {shlex.quote(paths[0])}. Text is in: {_listed(sorted(paths))}."
    elif inside:
        remedy = unfold(max(inside, key=lambda way: way.chars))
    elif there is not None and there.values is not None:
        remedy = f"Name one of its keys: --text-column {shlex.quote(name)}.KEY"
    elif there is not None and there.certain and not there.is_container:
        remedy = (
            f"Cast it to text first, in Spark SQL: CAST({name} AS STRING); or name another column: --text-column NAME."
        )
    else:
        remedy = f"Name a column with text: --text-column NAME. Columns: {_columns(list(shape.fields), found)}."
    return InputError(name, f"is {what}, not text (corpus.text_column)", remedy)


def _option(setting: str) -> str:
    return f"--{setting.replace('_', '-')}"


def _columns(names: Sequence[str], found: Sequence[Way]) -> str:
    """The columns that can be named, those inside objects by their paths."""
    paths = [way.path for way in found if way.path]
    hidden = {way.names[0] for way in found if len(way.steps) > 1 and way.path}
    listed = dict.fromkeys([*(name for name in names if name not in hidden), *paths])
    return _listed(list(listed)) if names else "none: no readable record was found"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return f"{', '.join(names[:_LISTED])}{more}"


def first_records(split: Split) -> list[RawRecord | Rejected]:
    """The first records of a split, readable or not."""
    return list(islice(read_fields(split), _SAMPLE))


def names_of(records: Iterable[RawRecord]) -> list[str]:
    """The names of the columns of records, in the order met.

    A document per file or per line has one column, `text`.
    """
    return list(dict.fromkeys(name for record in records for name in record.fields))


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
