"""A look at the output before anything is started or written there."""

from __future__ import annotations

import logging

from pyarrow.fs import FileType

from triplelake.errors import OutputError
from triplelake.filesystems import Place, absolute, children, locate
from triplelake.tables.schemas import TABLES

log = logging.getLogger(__name__)

_LOG = "_delta_log"
_SHOWN = 4
_ELSEWHERE = "Choose another --output: a folder that is new, empty, or the output of an earlier run."


def check_output(output: str) -> None:
    """Refuse a path or URI that holds something else; a catalog name is looked at by Spark later.

    Raises:
        OutputError: a file, a table of its own, or a folder with other files and no table of ours.
    """
    absolute(output, OutputError)  # what is no location at all is told in any case
    try:
        place = locate(output, OutputError)
        there = place.fs.get_file_info(place.path).type
        # Names with a dot in front are the system's: .DS_Store, lost files of NFS.
        found = children(place.fs, place.path, hidden=True) if there == FileType.Directory else []
        names = [str(info.base_name) for info in found if not info.base_name.startswith(".")]
        ours = any(_is_table(place, f"{place.path}/{table.name}") for table in TABLES if table.name in names)
    except (OSError, OutputError) as error:
        # Spark may reach a store that Arrow does not.
        log.info("%s was not looked at: %s", output, error)
        return
    if there == FileType.File:
        raise OutputError(output, "is a file", _ELSEWHERE)
    if _LOG in names:
        raise OutputError(output, "is a Delta table itself; triplelake makes a folder of tables", _ELSEWHERE)
    if names and not ours:
        shown = names if len(names) <= _SHOWN else [*names[:_SHOWN], "…"]
        raise OutputError(output, f"holds other files already ({', '.join(shown)})", _ELSEWHERE)


def _is_table(place: Place, folder: str) -> bool:
    return bool(place.fs.get_file_info(f"{folder}/{_LOG}").type == FileType.Directory)
