"""From the fields of a record, as any reader or Spark gives them, to a `Record` or the reason why not."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal

from triplelake.corpus.copies import copies_at
from triplelake.corpus.markup import NotConverted, html_to_text
from triplelake.corpus.paths import Absent, look_up
from triplelake.types import Record, Rejected

_SURROGATE = re.compile("[\ud800-\udfff]")
_SCALARS = (bool, int, float, Decimal, datetime, date, time)


@dataclass(frozen=True, slots=True)
class Columns:
    """Which fields of a record are its text, title and id, and which are kept beside it; `html`: the text is HTML.

    A name is looked up as `paths.look_up` does. Of several fields that are the id together the values are joined.
    """

    text: str
    title: str | None = None
    id: tuple[str, ...] = field(default=())
    keep: tuple[str, ...] = field(default=())
    html: bool = False


class _Unusable(Exception):
    """The reason why a record cannot be used."""


def record_from_fields(source: str, place: str, fields: Mapping[str, object], columns: Columns) -> Record | Rejected:
    """The record that the chosen columns of `fields` make.

    The text must be text and not blank. Other values are taken as text: numbers, booleans and dates
    as written, lists and objects as JSON (not as an id). A missing title or kept column is no fault;
    a missing id is, since any other id would change whenever the text does. Of HTML the text is what a reader of
    the page would see.
    """
    try:
        return Record(
            source=source,
            place=place,
            text=_converted(fields, columns.text) if columns.html else _text(fields, columns.text),
            title=_title(fields, columns.title) if columns.title is not None else None,
            id=_id(fields, columns.id) if columns.id else None,
            meta={name: text for name in columns.keep if (text := _as_text(name, _value(fields, name))) is not None},
        )
    except _Unusable as why:
        return Rejected(source, place, str(why))


def fields_of(item: object) -> dict[str, object] | None:
    """The fields of a JSON item: an object's own, of a text the one column `text`; None where it has none."""
    return item if isinstance(item, dict) else {"text": item} if isinstance(item, str) else None


def id_of(fields: Mapping[str, object], names: tuple[str, ...]) -> str | None:
    """The id that these columns make of a record; None where they make none."""
    try:
        return _id(fields, names)
    except _Unusable:
        return None


def kind(value: object) -> str:
    """What a JSON value is, in a person's words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "text"
    if isinstance(value, int | float | Decimal):
        return "a number"
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, list | tuple) else f"of type {type(value).__name__}"


def _text(fields: Mapping[str, object], name: str) -> str:
    try:
        value = look_up(fields, name)
    except Absent as why:
        _refuse_copies(fields, name)
        raise _Unusable(f"has no column `{name}`{': ' if why.args else ''}{why}") from None
    if not isinstance(value, str):
        raise _Unusable(f"column `{name}` is {kind(value)}, not text")
    if not value or value.isspace():
        raise _Unusable(f"column `{name}` is {'blank' if value else 'empty'}")
    return _checked(name, value)


def _converted(fields: Mapping[str, object], name: str) -> str:
    try:
        text = html_to_text(_text(fields, name))
    except NotConverted as why:
        raise _Unusable(f"column `{name}` {why}") from None
    if not text or text.isspace():
        raise _Unusable(f"column `{name}` is HTML without text")
    return text


def _title(fields: Mapping[str, object], name: str) -> str | None:
    text = _as_text(name, _value(fields, name))
    return None if text is None or not text.strip() else text


def _id(fields: Mapping[str, object], names: tuple[str, ...]) -> str:
    """The value of the id column; of several columns `report-7/2`, with `/` and `%` inside a value escaped as in a URL.

    So no two records with other values have the same id.
    """
    parts = [_id_part(fields, name) for name in names]
    return parts[0] if len(parts) == 1 else "/".join(part.replace("%", "%25").replace("/", "%2F") for part in parts)


def _id_part(fields: Mapping[str, object], name: str) -> str:
    value = _value(fields, name)
    if value is not None and not isinstance(value, (str, *_SCALARS)):
        raise _Unusable(f"id column `{name}` is {kind(value)}")
    text = _as_text(name, value)
    if text is None or not text.strip():
        raise _Unusable(f"id column `{name}` is missing or empty")
    return text


def _value(fields: Mapping[str, object], name: str) -> object:
    """What stands under a name; None where nothing does."""
    try:
        return look_up(fields, name)
    except Absent:
        _refuse_copies(fields, name)
        return None


def _refuse_copies(fields: Mapping[str, object], name: str) -> None:
    if copies := copies_at(fields, name):
        raise _Unusable(f"column `{name}` stands {len(copies)} times with other values: {', '.join(copies)}")


def _as_text(name: str, value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, *_SCALARS)):
        return _checked(name, str(value))
    return _checked(name, json.dumps(value, ensure_ascii=False, default=str))


def _checked(name: str, text: str) -> str:
    if found := _SURROGATE.search(text):
        raise _Unusable(
            f"column `{name}` holds a lone surrogate (U+{ord(found.group()):04X}) at character {found.start()}"
        )
    return text
