"""Which format a file is in: by its ending, or by what stands in it."""

from __future__ import annotations

from collections.abc import Mapping

from triplelake.config import CorpusFormat
from triplelake.corpus.files import CorpusFile, ending_of
from triplelake.corpus.looks import refuse_unless_text
from triplelake.corpus.readers import READERS
from triplelake.errors import InputError

_READ_BY_SPARK: Mapping[str, CorpusFormat] = {".parquet": "parquet"}


def detect_format(path: str) -> CorpusFormat:
    """The format that a path's ending names; `.gz` after it is looked through.

    Raises:
        InputError: the ending names no format.
    """
    ours = {ending: reader.format for reader in READERS.values() for ending in reader.endings}
    formats = {**ours, **_READ_BY_SPARK}
    ending = ending_of(path)
    if ending in formats:
        return formats[ending]
    known = ", ".join(formats)
    raise InputError(
        path,
        f"the ending `{ending}` names no known format" if ending else "has no ending that names a format",
        f"Known endings: {known}, each also with .gz. Leave it out with a glob, or name the format of all: --format.",
    )


def format_of(file: CorpusFile) -> CorpusFormat:
    """By the ending; where that says too little, or names no format, by what a reader recognises.

    Raises:
        InputError: the ending names no format, and no reader recognises the file.
    """
    try:
        form = detect_format(file.path)
    except InputError:
        if (seen := _recognised(file)) is not None:
            return seen
        refuse_unless_text(file)  # of a .docx there is more to say than that its ending is not known
        raise
    is_vague = form in READERS and READERS[form].vague
    return (_recognised(file) if is_vague else None) or form


def _recognised(file: CorpusFile) -> CorpusFormat | None:
    """The format of the first reader that recognises the file."""
    readers = (reader for reader in READERS.values() if reader.recognises is not None and reader.recognises(file))
    return next((reader.format for reader in readers), None)
