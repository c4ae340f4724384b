"""JSON Lines: an object per row, with numbers, lists and nulls as they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from triplelake.export.form import File, FormKind, Lines, Part, Row


@dataclass(frozen=True, slots=True)
class JsonLines:
    """JSON Lines in UTF-8, without escapes where none are needed."""

    def files(self, columns: pa.Schema) -> tuple[File, ...]:
        return (File("", (Part("rows", self.lines),)),)

    def lines(self, rows: Sequence[Row]) -> Lines:
        text = "".join(json.dumps(row, ensure_ascii=False, default=_other) + "\n" for row in rows)
        return Lines(text, len(rows))

    def note(self, marks: int) -> str:
        return ""


JSON_LINES = FormKind("jsonl", ".jsonl", lambda options: JsonLines())


def _other(value: object) -> str:
    assert isinstance(value, datetime), type(value)  # the tables hold nothing else that JSON lacks
    return value.isoformat()
