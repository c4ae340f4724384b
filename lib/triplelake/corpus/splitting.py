"""How one big file is read by several tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from triplelake.corpus.files import compression_of
from triplelake.corpus.looks import Look
from triplelake.corpus.readers import READERS
from triplelake.corpus.splits import Split


def plan_splits(looks: Sequence[Look], split_bytes: int) -> list[Split]:
    """Cut the files into splits of about `split_bytes`, where format and compression allow it."""
    if split_bytes < 1:
        raise ValueError(f"split_bytes must be positive, not {split_bytes}")
    return [split for look in looks for split in _splits(look, split_bytes)]


def _splits(look: Look, split_bytes: int) -> Iterator[Split]:
    file = look.file
    cut = READERS[look.format].splittable and compression_of(file.path) is None
    starts = range(0, file.size, split_bytes) if cut and file.size else range(1)
    for start in starts:
        following = start + split_bytes
        end = following if cut and following < file.size else None
        yield Split(file.path, file.relative, look.format, start, end, look.encoding)
