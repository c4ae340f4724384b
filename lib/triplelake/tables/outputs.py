"""A look at the output before anything is started or written there."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from triplelake.errors import OutputError
from triplelake.filesystems import absolute
from triplelake.tables.schemas import TABLES

_ELSEWHERE = "Choose another --output: a folder that is new, empty, or the output of an earlier run."


def check_output(output: str) -> None:
    """Refuse a local path that holds something else; another URI or a catalog name is looked at by Spark later.

    Raises:
        OutputError: a file, a table of its own, or a folder with other files and no table of ours.
    """
    folder = Path(absolute(output, OutputError).removeprefix("file://"))
    if "://" in str(folder) or not folder.exists():
        return
    if not folder.is_dir():
        raise OutputError(output, "is a file", _ELSEWHERE)
    if (folder / "_delta_log").is_dir():
        raise OutputError(output, "is a Delta table itself; triplelake makes a folder of tables", _ELSEWHERE)
    # Names with a dot in front are the system's: .DS_Store, lost files of NFS.
    others = (entry.name for entry in sorted(folder.iterdir()) if not entry.name.startswith("."))
    names = list(islice(others, 4))
    ours = any((folder / table.name / "_delta_log").is_dir() for table in TABLES)
    if names and not ours:
        raise OutputError(output, f"holds other files already ({', '.join(names)})", _ELSEWHERE)
