"""A part of a file, as a task is given it."""

from __future__ import annotations

from dataclasses import dataclass

from triplelake.config import CorpusFormat
from triplelake.corpus.encodings import Encoding


@dataclass(frozen=True, slots=True)
class Split:
    """A part of a file for one task: the lines that start in bytes `[start, end)`.

    Args:
        path: the file, as `open_file` takes it.
        relative: the file's path below the input root; the id of a document per file.
        format: a plain format, never `auto`.
        start, end: a byte range, `end` None for the end of the file; `0, None` is the whole file,
            the only split there is of a format that cannot be cut.
        encoding: of the file.
    """

    path: str
    relative: str
    format: CorpusFormat
    start: int = 0
    end: int | None = None
    encoding: Encoding = "utf-8"
