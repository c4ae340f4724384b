"""The stores that files lie in: this machine, and what Arrow reaches behind a URI."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath

from pyarrow.fs import FileInfo, FileSelector, FileSystem, FileType, LocalFileSystem

from triplelake.errors import InputError

URI = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<host>[^/]*)(?P<path>/[^?]*(?:\?(?!\w+=)[^?]*)*)?(?P<query>\?.*)?"
)
_SCHEMES = {"s3a": "s3", "s3n": "s3"}  # names that Hadoop gives to what Arrow calls s3


@dataclass(frozen=True, slots=True)
class Place:
    """A file system and how a path in it is written: `written = prefix + path[cut:]`."""

    fs: FileSystem
    path: str
    prefix: str
    cut: int
    query: str

    def written(self, path: str) -> str:
        """A path of this file system as the user would write it."""
        return f"{self.prefix}{path[self.cut :]}{self.query}"


def locate(written: str) -> Place:
    """The file system that a path or URI names, and the path in it; nothing need exist there.

    Raises:
        InputError: Arrow knows no such scheme, or the store cannot be reached.
    """
    uri = URI.fullmatch(written)
    if uri is None:
        if re.match(r"dbfs:/", written):
            raise InputError(written, "dbfs:/ paths are not readable as files", "Write /Volumes/… or /dbfs/… instead.")
        path = os.path.abspath(os.path.expanduser(written))
        return Place(LocalFileSystem(), path, "", 0, "")
    scheme, host, query = uri["scheme"].lower(), uri["host"], uri["query"] or ""
    try:
        fs, base = _file_system(_SCHEMES.get(scheme, scheme), host, query)
    except (ValueError, OSError, ImportError) as error:
        raise InputError(
            written,
            f"cannot be reached: {one_line(error)}",
            "Known: paths, file://, s3://, gs://, hdfs://, abfss://. Check the name, the network and the credentials.",
        ) from None
    # Only the host goes through Arrow's URI parser: it wants percent-encoding, and names in a
    # corpus are full of spaces and Chinese. The rest of the path is appended as it is written.
    base = base.rstrip("/")
    path = base + (uri["path"] or "/")
    return Place(fs, path.rstrip("/") or "/", f"{uri['scheme']}://{host}", len(base), query)


@cache
def _file_system(scheme: str, host: str, query: str) -> tuple[FileSystem, str]:
    fs, path = FileSystem.from_uri(f"{scheme}://{host}/{query}")
    return fs, str(path)


def what_is_there(place: Place, path: str | None = None) -> str:
    """The names beside a path that does not exist, in its nearest folder that does."""
    folder, missing = os.path.split((path or place.path).rstrip("/"))
    while folder not in ("", "/") and place.fs.get_file_info(folder).type != FileType.Directory:
        folder, missing = os.path.split(folder)
    try:
        names = [str(info.base_name) for info in children(place.fs, folder or "/")]
    except OSError:
        return "Check the path."
    if not names:
        return f"{place.written(folder)} is empty."
    near = difflib.get_close_matches(missing, names, n=3, cutoff=0.5)
    if near:
        return f"Nearest names in {place.written(folder)}: {', '.join(near)}."
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"In {place.written(folder)} there are: {', '.join(names[:10])}{more}."


def children(fs: FileSystem, folder: str, *, hidden: bool = False) -> list[FileInfo]:
    """What a folder holds, by name; names that start with `_` or `.` only if `hidden`."""
    infos = fs.get_file_info(FileSelector(folder, recursive=False))
    shown = (info for info in infos if hidden or not info.base_name.startswith(("_", ".")))
    return sorted(shown, key=lambda info: str(info.path))


def is_loop(fs: FileSystem, folder: str) -> bool:
    """Whether a folder is a link to one above itself: walking into it would not end."""
    if not isinstance(fs, LocalFileSystem) or not os.path.islink(folder):
        return False
    target = os.path.realpath(folder)
    return any(os.path.realpath(above) == target for above in PurePosixPath(folder).parents)


def one_line(error: Exception) -> str:
    """An error's message, fit for a message of our own."""
    return " ".join(str(error).split())[:300]
