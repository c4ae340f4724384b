"""Parquet files that cannot be read are told before Spark meets them: it names them late, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq

from triplelake.corpus.files import CorpusFile, open_file
from triplelake.errors import InputError
from triplelake.filesystems import one_line

_AT_A_TIME = 16
_SHOWN = 3


def refuse_damaged(files: Sequence[CorpusFile]) -> None:
    """Refuse an input with a file that is no whole Parquet file, by what stands at its end.

    Spark passes over an empty one without a word, and what stood in it would be taken for gone.

    Raises:
        InputError: there is one.
    """
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        found = [(file, why) for file, why in zip(files, pool.map(_fault, files), strict=True) if why]
    if not found:
        return
    file, why = found[0]
    others = ", ".join(each.relative for each, _ in found[1 : 1 + _SHOWN])
    more = f"\nSo {'are' if len(found) > 2 else 'is'} {len(found) - 1:,} more: {others}" if others else ""
    raise InputError(
        file.path,
        f"is no whole Parquet file: {why}",
        f"Write it again, or leave it out with a glob; nothing of this input was read.{more}",
    )


def _fault(file: CorpusFile) -> str | None:
    if not file.size:
        return "it is empty"
    try:
        with open_file(file.path) as stream:
            pq.read_metadata(stream)
    except (pa.ArrowException, OSError, ValueError) as error:
        return one_line(error)
    return None
